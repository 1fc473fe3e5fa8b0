//! Changing profiles.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{catalogue::Catalogue, steps::CatalogueError};

use super::{Profile, ProfileCreateInput, ProfileDeleteInput, ProfileUpdateInput};
use crate::{
    auth::{Caller, Role},
    graphql::{
        inputs::id_of,
        payload::{DeletePayload, settle},
        user_error::UserError,
    },
};

/// The answer to a change of a profile.
#[derive(Debug, SimpleObject)]
pub struct ProfilePayload {
    /// As it is now; null when the change was refused.
    pub profile: Option<Profile>,
    /// Why it was refused; empty when it was made.
    pub user_errors: Vec<UserError>,
}

impl ProfilePayload {
    fn of(done: Result<callboard::profile::Profile, CatalogueError>) -> Result<Self> {
        let (profile, user_errors) = settle(done)?;
        Ok(Self { profile: profile.map(Profile::from), user_errors })
    }
}

/// The mutations of profiles.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProfileMutation;

#[Object]
impl ProfileMutation {
    /// Makes a profile. Needs an ADMIN key.
    async fn profile_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new profile.")] input: ProfileCreateInput,
    ) -> Result<ProfilePayload> {
        Caller::require(ctx, Role::Admin)?;
        let catalogue = ctx.data::<Catalogue>()?;
        ProfilePayload::of(catalogue.profile_create(input.read(catalogue.ids)).await)
    }

    /// Changes a profile; running attempts keep what they were started with. Needs an ADMIN key.
    async fn profile_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which profile, and what to change.")] input: ProfileUpdateInput,
    ) -> Result<ProfilePayload> {
        Caller::require(ctx, Role::Admin)?;
        ProfilePayload::of(ctx.data::<Catalogue>()?.profile_update(input.into()).await)
    }

    /// Deletes a profile with its secrets; IN_USE while a command or a job that has not ended needs it. Needs
    /// an ADMIN key.
    async fn profile_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which profile.")] input: ProfileDeleteInput,
    ) -> Result<DeletePayload> {
        Caller::require(ctx, Role::Admin)?;
        let done = ctx.data::<Catalogue>()?.profile_delete(id_of(&input.id), input.version).await;
        Ok(DeletePayload::of(input.id, done)?)
    }
}
