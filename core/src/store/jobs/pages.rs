//! Keyset pages of jobs: filtered, in three orders, over live and ended jobs together; and counts that stop early.
//!
//! The API reads them. Answers ids and places only: what a list shows of its jobs is read by `records`. One leg of a
//! statement for each part of the tables that an index serves; legs that a filter leaves out cost nothing, because
//! the statements are planned anew for every call, with the values in hand.

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

/// Where counting stops.
pub const COUNT_MAX: i64 = 10_000;
/// Most commands whose names a search may match; with more, it finds the jobs of these only.
const SEARCH_COMMANDS_MAX: i64 = 1000;

/// Which jobs. None: any. An empty list: none at all. Several fields: all of them; several values: any of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// These jobs.
    pub ids: Option<Vec<JobId>>,
    /// In these states.
    pub states: Option<Vec<JobState>>,
    /// In these queues.
    pub queues: Option<Vec<String>>,
    /// Of these commands.
    pub commands: Option<Vec<CommandId>>,
    /// On these profiles.
    pub profiles: Option<Vec<ProfileId>>,
    /// That name these proxies, themselves or through their commands.
    pub proxies: Option<Vec<ProxyId>>,
    /// With any of these services.
    pub services: Option<Vec<ServiceId>>,
    /// Enqueued by these schedules.
    pub schedules: Option<Vec<ScheduleId>>,
    /// With all of these labels.
    pub labels: Option<Vec<String>>,
    /// Created at or after.
    pub created_from: Option<Time>,
    /// Created before.
    pub created_before: Option<Time>,
    /// Whose id begins with this, whose command's name contains it, or that have it as a label.
    pub search: Option<String>,
}

/// What a list is ordered by; the id breaks ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOrder {
    /// When they were accepted.
    Created,
    /// When they ended; jobs that have not ended come after all that have.
    Finished,
    /// Their priority.
    Priority,
}

/// A place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the order of creation.
    Created(JobId),
    /// In the order of ending; without a time for jobs that have not ended.
    Finished(Option<Time>, JobId),
    /// In the order of priority.
    Priority(i16, JobId),
}

impl Place {
    /// The order that it is a place of.
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

/// What the caller wants to see of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPageRequest {
    /// Which jobs.
    pub filter: JobFilter,
    /// In which order.
    pub order: JobOrder,
    /// From the highest to the lowest.
    pub is_descending: bool,
    /// Only after this place. Must be of this order.
    pub after: Option<Place>,
    /// Only before this place. Must be of this order.
    pub before: Option<Place>,
    /// Read from the end of what lies between, and answer in that direction.
    pub is_from_end: bool,
    /// Most rows.
    pub rows: i64,
}

/// A page, in the direction in which it was read.
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

/// How many jobs there are, exactly, up to [`COUNT_MAX`], which stands for that many or more.
#[tracing::instrument(name = "db.pages.count", level = "debug", skip_all)]
pub async fn count(connection: &mut Connection, filter: &JobFilter) -> Result<i64, StoreError> {
    if filter.is_nothing() {
        return Ok(0);
    }
    let commands = commands_called(connection, filter.search.as_deref()).await?;
    statements::count(connection, &Bounds::of_count(filter, commands)).await
}

/// Commands, deleted ones too, whose name contains this, in whichever case.
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

impl JobFilter {
    /// Whether nothing can match, whatever there is: an empty list, or a text that Postgres cannot hold.
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
