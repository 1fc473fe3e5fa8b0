//! The type `Schedule`, and lists of schedules.

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
        loaders, name_lists,
        scalars::{DateTime, Duration},
    },
};

/// Most times of `upcoming`.
const UPCOMING_MAX: i32 = 100;
/// Times of `upcoming` without a count.
const UPCOMING_DEFAULT: i32 = 5;

/// See the object below.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(schedules::Schedule);

crate::connection!(
    /// A page of schedules, in order of name.
    ScheduleConnection,
    /// A schedule in a list.
    ScheduleEdge,
    Schedule
);

/// What happens when a schedule is due and its last job has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Overlap")]
pub enum OverlapPolicy {
    /// Nothing is enqueued.
    Skip,
    /// Another job is enqueued.
    Allow,
    /// The last one is cancelled, and another is enqueued.
    CancelRunning,
}

impl From<schedules::Schedule> for Schedule {
    fn from(schedule: schedules::Schedule) -> Self {
        Self(schedule)
    }
}

impl Schedule {
    /// A schedule by its id; batched.
    pub async fn load(ctx: &Context<'_>, id: ScheduleId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }
}

impl ScheduleConnection {
    /// From a page of the store.
    pub fn of(page: NamePage<schedules::Schedule>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(page, |row: &schedules::Schedule| (&row.plan.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// What enqueues a job by itself, again and again. Its jobs are listed by `jobs(filter: { scheduleIds: [...] })`.
#[Object]
impl Schedule {
    /// Global id, `schedule_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Unique among schedules.
    async fn name(&self) -> &str {
        &self.0.plan.name
    }

    /// When it is due, on the clocks of `timezone`. A pattern with every hour goes by what the clock shows; any other names times of
    /// the day, each of which is due once: one that the clocks skip at the moment of the jump, one that comes twice the first
    /// time.
    async fn cron(&self) -> &str {
        self.0.plan.timing.cron.text()
    }

    /// IANA name.
    async fn timezone(&self) -> &str {
        self.0.plan.timing.zone.name()
    }

    /// What each firing enqueues.
    async fn job(&self) -> JobTemplate {
        JobTemplate(self.0.plan.template.clone())
    }

    /// Whether it does not fire.
    async fn is_paused(&self) -> bool {
        self.0.plan.is_paused
    }

    /// What happens when it is due and its last job has not ended.
    async fn overlap(&self) -> OverlapPolicy {
        self.0.plan.timing.overlap.into()
    }

    /// How far back missed runs are made up after downtime.
    async fn catch_up(&self) -> Duration {
        Duration(self.0.plan.timing.catch_up)
    }

    /// When it fires next; null while it is paused.
    async fn next_run_at(&self) -> Option<DateTime> {
        self.0.next_at.map(DateTime)
    }

    /// The time of the last firing that enqueued a job.
    async fn last_run_at(&self) -> Option<DateTime> {
        self.0.last_at.map(DateTime)
    }

    /// Why its last firing enqueued nothing although it was due and nothing overlapped: its job was refused (the command or its
    /// schema has changed, say). Null when it was not.
    async fn last_failure(&self) -> Option<&str> {
        self.0.last_failure.as_deref()
    }

    /// The next times at which it fires, 1 to 100; none while it is paused.
    #[graphql(complexity = "usize::try_from(count.unwrap_or(UPCOMING_DEFAULT)).unwrap_or(0) / 10 + 1")]
    #[expect(clippy::unused_async, reason = "the macro takes no other functions")]
    async fn upcoming(
        &self,
        #[graphql(desc = "How many, 1 to 100.", default_with = "Some(UPCOMING_DEFAULT)")] count: Option<i32>,
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

    /// Rises by one with every change; firing is none. Hand it back with an update to be told when somebody else was faster.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
