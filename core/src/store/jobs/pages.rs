//! Keyset pages of live and ended jobs, filtered and in three orders, and counts up to a limit.
//!
//! Returns ids and places only. `records` reads what a list shows of its jobs. A statement has one
//! leg for each part of the tables that has an index. Legs that a filter excludes cost nothing,
//! because the statements are planned for each call with its values.

mod bounds;
mod statements;

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{CommandId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId},
    job::JobState,
    store::{Connection, StoreError},
};
use bounds::Bounds;

/// Counting stops at this number.
pub const COUNT_MAX: i64 = 10_000;
/// Most commands that a search matches by name. Jobs of further commands are not found.
const SEARCH_COMMANDS_MAX: i64 = 1000;

/// A filter of jobs. A job must match every field that is set, by any of its values. An empty list
/// matches no job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// By id.
    pub ids: Option<Vec<JobId>>,
    /// By state.
    pub states: Option<Vec<JobState>>,
    /// By queue.
    pub queues: Option<Vec<String>>,
    /// By command.
    pub commands: Option<Vec<CommandId>>,
    /// By profile.
    pub profiles: Option<Vec<ProfileId>>,
    /// By the proxy that overrides the profile's choice: their own or their command's.
    pub proxies: Option<Vec<ProxyId>>,
    /// By service: jobs that use any of these.
    pub services: Option<Vec<ServiceId>>,
    /// By the schedule that enqueued them.
    pub schedules: Option<Vec<ScheduleId>>,
    /// By label: jobs that have all of these.
    pub labels: Option<Vec<String>>,
    /// Created at or after this time.
    pub created_from: Option<Time>,
    /// Created before this time.
    pub created_before: Option<Time>,
    /// By text: jobs whose id begins with it, whose command's name contains it, or that have it as
    /// a label.
    pub search: Option<String>,
}

/// The order of a list. The id breaks ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOrder {
    /// By the time of acceptance.
    Created,
    /// By the time of ending. Live jobs are greater than all ended jobs.
    Finished,
    /// By priority.
    Priority,
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the order of creation.
    Created(JobId),
    /// In the order of ending. Live jobs have no time.
    Finished(Option<Time>, JobId),
    /// In the order of priority.
    Priority(i16, JobId),
}

impl Place {
    /// The order that it belongs to.
    pub const fn order(self) -> JobOrder {
        match self {
            Self::Created(_) => JobOrder::Created,
            Self::Finished(..) => JobOrder::Finished,
            Self::Priority(..) => JobOrder::Priority,
        }
    }

    /// The job.
    pub const fn job(self) -> JobId {
        match self {
            Self::Created(job) | Self::Finished(_, job) | Self::Priority(_, job) => job,
        }
    }
}

/// A request for a page.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPageRequest {
    /// The filter.
    pub filter: JobFilter,
    /// The order.
    pub order: JobOrder,
    /// Whether the order is descending.
    pub is_descending: bool,
    /// Only jobs after this place, which must belong to the order.
    pub after: Option<Place>,
    /// Only jobs before this place, which must belong to the order.
    pub before: Option<Place>,
    /// Whether to read from the end of the range, which also reverses the rows.
    pub is_from_end: bool,
    /// Most rows.
    pub rows: i64,
}

/// Reads a page, in the direction of reading.
#[tracing::instrument(name = "db.pages.page", level = "debug", skip_all)]
pub async fn page(connection: &mut Connection, request: &JobPageRequest) -> Result<Vec<Place>, StoreError> {
    if request.filter.is_nothing() || request.rows == 0 {
        return Ok(Vec::new());
    }
    let commands = commands_called(connection, request.filter.search.as_deref()).await?;
    let bounds = Bounds::of_page(request, commands);
    let is_descending = request.is_descending != request.is_from_end;
    let rows = match (request.order, is_descending) {
        (JobOrder::Created | JobOrder::Finished, true) => {
            statements::by_id_descending(connection, &bounds).await?
        }
        (JobOrder::Created | JobOrder::Finished, false) => {
            statements::by_id_ascending(connection, &bounds).await?
        }
        (JobOrder::Priority, true) => statements::by_priority_descending(connection, &bounds).await?,
        (JobOrder::Priority, false) => statements::by_priority_ascending(connection, &bounds).await?,
    };
    let place = |row: statements::Row| match request.order {
        JobOrder::Created => Place::Created(row.id.into()),
        JobOrder::Finished => Place::Finished(row.finished_at, row.id.into()),
        JobOrder::Priority => Place::Priority(row.priority, row.id.into()),
    };
    Ok(rows.into_iter().map(place).collect())
}

/// The exact number of jobs up to [`COUNT_MAX`], which means that many or more.
#[tracing::instrument(name = "db.pages.count", level = "debug", skip_all)]
pub async fn count(connection: &mut Connection, filter: &JobFilter) -> Result<i64, StoreError> {
    count_up_to(connection, filter, COUNT_MAX).await
}

/// The exact number of jobs, however many. Reads every job that matches.
#[tracing::instrument(name = "db.pages.count_all", level = "debug", skip_all)]
pub async fn count_all(connection: &mut Connection, filter: &JobFilter) -> Result<i64, StoreError> {
    count_up_to(connection, filter, i64::MAX).await
}

async fn count_up_to(connection: &mut Connection, filter: &JobFilter, most: i64) -> Result<i64, StoreError> {
    if filter.is_nothing() {
        return Ok(0);
    }
    let commands = commands_called(connection, filter.search.as_deref()).await?;
    statements::count(connection, &Bounds::of_count(filter, commands, most)).await
}

/// Commands, including deleted ones, whose name contains the text, ignoring case.
async fn commands_called(connection: &mut Connection, search: Option<&str>) -> Result<Vec<Uuid>, StoreError> {
    let Some(search) = search else { return Ok(Vec::new()) };
    let ids = sqlx::query_scalar!(
        "SELECT DISTINCT command_id FROM command_versions WHERE strpos(lower(name), lower($1)) > 0 LIMIT $2",
        search,
        SEARCH_COMMANDS_MAX
    )
    .fetch_all(connection)
    .await?;
    Ok(ids)
}

/// How many characters of a job's id a search gives after `job_`. `None` if no id begins with it.
pub fn searched_id_characters(search: &str) -> Option<usize> {
    bounds::ids_that_begin_with(search).and(search.strip_prefix("job_")).map(str::len)
}

impl JobFilter {
    /// Whether every job matches, because no field is set.
    pub fn is_anything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether no job can match: a list is empty, or a text contains NUL, which Postgres cannot
    /// store.
    pub fn is_nothing(&self) -> bool {
        fn empty<T>(list: Option<&Vec<T>>) -> bool {
            list.is_some_and(Vec::is_empty)
        }
        let texts = self.queues.iter().chain(&self.labels).flatten().chain(&self.search);
        empty(self.ids.as_ref())
            || empty(self.states.as_ref())
            || empty(self.queues.as_ref())
            || empty(self.commands.as_ref())
            || empty(self.profiles.as_ref())
            || empty(self.proxies.as_ref())
            || empty(self.services.as_ref())
            || empty(self.schedules.as_ref())
            || empty(self.labels.as_ref())
            || texts.into_iter().any(|text| text.contains('\0'))
    }
}
