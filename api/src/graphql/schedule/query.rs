//! The queries `schedule` and `schedules`.

use async_graphql::{Context, ID, Object, Result};
use callboard::{ids::ScheduleId, store::catalogue::schedules};

use super::{Schedule, ScheduleConnection};
use crate::graphql::{
    loaders::{self, ScheduleName},
    name_lists::{self, Wanted},
    reads,
};

/// The query fields of schedules.
#[derive(Debug, Default, Clone, Copy)]
pub struct ScheduleQuery;

#[Object]
impl ScheduleQuery {
    /// Returns the schedule with this id or name. Null when there is none.
    async fn schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id. Give exactly one of `id` and `name`.")] id: Option<ID>,
        #[graphql(desc = "The exact name. Give exactly one of `id` and `name`.")] name: Option<String>,
    ) -> Option<Result<Schedule>> {
        find(ctx, id, name).await.transpose()
    }

    /// Returns schedules, ordered by name.
    async fn schedules(
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
    ) -> Result<ScheduleConnection> {
        let request = name_lists::request(ScheduleId::PREFIX, (first, after), (last, before), search)?;
        let mut connection = reads::connection(ctx).await?;
        Ok(ScheduleConnection::of(schedules::page(&mut connection, &request).await?))
    }
}

async fn find(ctx: &Context<'_>, id: Option<ID>, name: Option<String>) -> Result<Option<Schedule>> {
    match Wanted::of(id, name)? {
        Wanted::Id(id) => match id.parse() {
            Ok(id) => Schedule::load(ctx, id).await,
            Err(_) => Ok(None),
        },
        Wanted::Name(name) => Ok(loaders::one(ctx, ScheduleName(name)).await?.map(Schedule::from)),
    }
}
