//! The mutations that create, update and delete profiles.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::steps::StepError;

use super::{Profile, ProfileCreateInput, ProfileDeleteInput, ProfileUpdateInput};
use crate::graphql::{
    catalogue::acting,
    inputs::id_of,
    payload::{DeletePayload, settle},
    user_error::UserError,
};

/// Returned by profileCreate and profileUpdate.
#[derive(Debug, SimpleObject)]
pub struct ProfilePayload {
    /// The profile as it is now. Null when the input was refused.
    pub profile: Option<Profile>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

impl ProfilePayload {
    fn of(ctx: &Context<'_>, done: Result<callboard::profile::Profile, StepError>) -> Result<Self> {
        let (profile, user_errors) = settle(ctx, done)?;
        Ok(Self { profile: profile.map(Profile::from), user_errors })
    }
}

/// The mutations of profiles.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProfileMutation;

#[Object]
impl ProfileMutation {
    /// Creates a profile. Requires an ADMIN key.
    async fn profile_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile to create.")] input: ProfileCreateInput,
    ) -> Result<ProfilePayload> {
        let catalogue = acting(ctx)?;
        ProfilePayload::of(ctx, Box::pin(catalogue.profile_create(input.read(catalogue.ids))).await)
    }

    /// Updates a profile. Running attempts keep the values that they started with. Requires an
    /// ADMIN key.
    async fn profile_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile to update, and the changes.")] input: ProfileUpdateInput,
    ) -> Result<ProfilePayload> {
        ProfilePayload::of(ctx, Box::pin(acting(ctx)?.profile_update(input.into())).await)
    }

    /// Deletes a profile and its secrets. Refused with IN_USE while a command, a schedule or an
    /// unfinished job uses it. Requires an ADMIN key.
    async fn profile_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The profile to delete.")] input: ProfileDeleteInput,
    ) -> Result<DeletePayload> {
        let done = acting(ctx)?.profile_delete(id_of(&input.id), input.version).await;
        DeletePayload::of(ctx, input.id, done)
    }
}
