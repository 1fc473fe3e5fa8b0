//! The queries `job` and `jobs`.

use async_graphql::{Context, ID, Object, Result};

use super::{Job, JobConnection, JobFilter, JobOrder, list, object};

/// The query fields of jobs.
#[derive(Debug, Default, Clone, Copy)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// Returns the job with this id. Null when there is none.
    async fn job(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the job.")] id: ID,
    ) -> Option<Result<Job>> {
        object::load(ctx, id.parse().ok()?).await.transpose()
    }

    /// Returns jobs, by default newest first. The page is selected first and the fields are read
    /// afterwards, so a job that changes in between shows the change.
    #[expect(clippy::too_many_arguments, reason = "the arguments are fixed by the contract")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Returns only jobs that match. Absent or null returns all.")] filter: Option<
            JobFilter,
        >,
        #[graphql(desc = "The order. Absent or null means newest first.")] order_by: Option<JobOrder>,
    ) -> Result<JobConnection> {
        Box::pin(list::list(ctx, (first, after), (last, before), filter.unwrap_or_default(), order_by)).await
    }
}
