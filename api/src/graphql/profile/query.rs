//! The queries `profile` and `profiles`.

use async_graphql::{Context, ID, Object, Result};
use callboard::{ids::ProfileId, store::catalogue::profiles};

use super::{Profile, ProfileConnection};
use crate::graphql::{
    loaders::{self, ProfileName},
    name_lists::{self, Wanted},
    reads,
};

/// The query fields of profiles.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProfileQuery;

#[Object]
impl ProfileQuery {
    /// Returns the profile with this id or name. Null when there is none.
    async fn profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id. Give exactly one of `id` and `name`.")] id: Option<ID>,
        #[graphql(desc = "The exact name. Give exactly one of `id` and `name`.")] name: Option<String>,
    ) -> Option<Result<Profile>> {
        find(ctx, id, name).await.transpose()
    }

    /// Returns profiles, ordered by name.
    async fn profiles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Returns only items whose name contains this text, ignoring case. Absent, null or \
                    empty returns all."
        )]
        search: Option<String>,
    ) -> Result<ProfileConnection> {
        let request = name_lists::request(ProfileId::PREFIX, (first, after), (last, before), search)?;
        let mut connection = reads::connection(ctx).await?;
        Ok(ProfileConnection::of(profiles::page(&mut connection, &request).await?))
    }
}

async fn find(ctx: &Context<'_>, id: Option<ID>, name: Option<String>) -> Result<Option<Profile>> {
    match Wanted::of(id, name)? {
        Wanted::Id(id) => match id.parse() {
            Ok(id) => Profile::load(ctx, id).await,
            Err(_) => Ok(None),
        },
        Wanted::Name(name) => Ok(loaders::one(ctx, ProfileName(name)).await?.map(Profile::from)),
    }
}
