//! Reading schedules.

use async_graphql::{Context, ID, Object, Result};
use callboard::{catalogue::Catalogue, store::catalogue::schedules};

use super::{Schedule, ScheduleConnection};
use crate::graphql::{
    limits::page_cost,
    loaders::{self, ScheduleName},
    name_lists::{self, Wanted},
};

/// The query fields of schedules.
#[derive(Debug, Default, Clone, Copy)]
pub struct ScheduleQuery;

#[Object]
impl ScheduleQuery {
    /// A schedule by its id or by its name; null when there is none.
    async fn schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id. Give either this or `name`.")] id: Option<ID>,
        #[graphql(desc = "Its exact name. Give either this or `id`.")] name: Option<String>,
    ) -> Option<Result<Schedule>> {
        find(ctx, id, name).await.transpose()
    }

    /// All schedules, in order of name.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, instead of the first: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Only those whose name contains this, in whichever case. Absent, null or empty: all."
        )]
        search: Option<String>,
    ) -> Result<ScheduleConnection> {
        let request = name_lists::request((first, after), (last, before), search)?;
        let mut connection = ctx.data::<Catalogue>()?.store.read().await?;
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
