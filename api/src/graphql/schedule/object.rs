//! The GraphQL type `Schedule` and its lists.

use async_graphql::{Context, Enum, ID, Object, Result};
use callboard::{
    clock,
    ids::ScheduleId,
    schedule::Overlap,
    store::catalogue::{name_pages::NamePage, schedules},
};

use super::JobTemplate;
use crate::{
    error::{ApiError, Code},
    graphql::{
        job::KEPT_BACK,
        loaders, name_lists,
        scalars::{DateTime, Duration},
    },
};

/// Maximum number of times in `upcoming`, of a schedule and of a preview.
pub(super) const UPCOMING_MAX: i32 = 100;
/// Number of times in `upcoming` when no count is given.
pub(super) const UPCOMING_DEFAULT: i32 = 5;

/// The cost of firing times: ten cost as much as one field.
pub fn upcoming_cost(count: Option<i32>) -> usize {
    usize::try_from(count.unwrap_or(UPCOMING_DEFAULT)).unwrap_or(0) / 10 + 1
}

/// The GraphQL object `Schedule`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(schedules::Schedule);

crate::connection!(
    /// A page of schedules, ordered by name.
    ScheduleConnection,
    /// A schedule with its cursor.
    ScheduleEdge,
    Schedule
);

/// What happens when a schedule is due and its last job is unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Overlap")]
pub enum OverlapPolicy {
    /// No job is enqueued.
    Skip,
    /// Another job is enqueued.
    Allow,
    /// The last job is cancelled and another one is enqueued.
    CancelRunning,
}

impl From<schedules::Schedule> for Schedule {
    fn from(schedule: schedules::Schedule) -> Self {
        Self(schedule)
    }
}

impl Schedule {
    /// Loads a schedule by its id. Batched.
    pub async fn load(ctx: &Context<'_>, id: ScheduleId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }
}

impl ScheduleConnection {
    /// Creates the connection from a page of the store.
    pub fn of(page: NamePage<schedules::Schedule>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(ScheduleId::PREFIX, page, |row: &schedules::Schedule| {
                (&row.plan.name, row.id.uuid())
            });
        Self::new(items, bounds, total)
    }
}

/// Enqueues a job at the times of a cron pattern. List its jobs with
/// `jobs(filter: { scheduleIds: [...] })`.
#[Object]
impl Schedule {
    /// The global id, `schedule_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The name, unique among schedules.
    async fn name(&self) -> &str {
        &self.0.plan.name
    }

    /// The cron pattern, evaluated in `timezone`. A pattern that covers every hour follows the
    /// clock as shown. Any other pattern names times of day, each of which fires once. A time
    /// skipped by a clock change fires at the change, a time that occurs twice fires the first
    /// time.
    async fn cron(&self) -> &str {
        self.0.plan.timing.cron.text()
    }

    /// The IANA time zone of the pattern.
    async fn timezone(&self) -> &str {
        self.0.plan.timing.zone.name()
    }

    /// The job that each firing enqueues.
    async fn job(&self) -> JobTemplate {
        JobTemplate(self.0.plan.template.clone())
    }

    /// Whether the schedule is paused, so that it does not fire.
    async fn is_paused(&self) -> bool {
        self.0.plan.is_paused
    }

    /// What happens when the schedule is due and its last job is unfinished.
    async fn overlap(&self) -> OverlapPolicy {
        self.0.plan.timing.overlap.into()
    }

    /// How far back to make up firings that were missed because no worker was running.
    async fn catch_up(&self) -> Duration {
        Duration(self.0.plan.timing.catch_up)
    }

    /// When the schedule fires next. Null while it is paused.
    async fn next_run_at(&self) -> Option<DateTime> {
        self.0.next_at.map(DateTime)
    }

    /// Scheduled time of the last firing that enqueued a job. Null when there was none.
    async fn last_run_at(&self) -> Option<DateTime> {
        self.0.last_at.map(DateTime)
    }

    /// Why the job of the last firing was refused, for example because the command or its schema
    /// had changed. Null when it was not. For a VIEWER `"***"` if the command is private, because
    /// it may quote the input.
    async fn last_failure(&self, ctx: &Context<'_>) -> Option<Result<&str>> {
        let failure = self.0.last_failure.as_deref()?;
        let is_kept_back = JobTemplate(self.0.plan.template.clone()).is_kept_back(ctx).await;
        Some(is_kept_back.map(|is_kept_back| if is_kept_back { KEPT_BACK } else { failure }))
    }

    /// The next firing times within a hundred years. Empty while the schedule is paused.
    #[expect(clippy::unused_async, reason = "the macro accepts only async functions")]
    async fn upcoming(
        &self,
        #[graphql(desc = "Number of times, 1 to 100.", default_with = "Some(UPCOMING_DEFAULT)")]
        count: Option<i32>,
    ) -> Result<Vec<DateTime>> {
        let count = count.unwrap_or(UPCOMING_DEFAULT);
        if !(1..=UPCOMING_MAX).contains(&count) {
            let message = format!("`count` must be 1 to {UPCOMING_MAX}, not {count}.");
            return Err(ApiError::new(Code::BadRequest, message).into());
        }
        if self.0.plan.is_paused {
            return Ok(Vec::new());
        }
        let count = usize::try_from(count).unwrap_or(0);
        let times = self.0.plan.timing.upcoming(clock::now(), count);
        Ok(times.into_iter().map(DateTime).collect())
    }

    /// Increases by one with every change. Firing is not a change. Pass it with an update, which is
    /// then refused if the schedule has changed.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the schedule was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the schedule was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
