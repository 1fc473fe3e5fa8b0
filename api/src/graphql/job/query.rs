//! Reading jobs.

use async_graphql::{Context, ID, Object, Result};

use super::{Job, JobConnection, JobFilter, JobOrder, list, object};
use crate::graphql::limits::page_cost;

/// The query fields of jobs.
#[derive(Debug, Default, Clone, Copy)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// A job by its id; null when there is none.
    async fn job(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: ID) -> Option<Result<Job>> {
        object::load(ctx, id.parse().ok()?).await.transpose()
    }

    /// Jobs, newest first unless told otherwise. A page is as of the moment it is read: a job that changes between its
    /// being found and its fields being read shows the change.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the arguments of the field, as the contract has them")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, instead of the first: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which jobs; absent or null: all.")] filter: Option<JobFilter>,
        #[graphql(desc = "In which order; absent or null: newest first.")] order_by: Option<JobOrder>,
    ) -> Result<JobConnection> {
        list::list(ctx, (first, after), (last, before), filter.unwrap_or_default(), order_by).await
    }
}
