//! What mutations of schedules take.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::catalogue::{ScheduleChanges, ScheduleCreate, ScheduleUpdate, TemplateInput};

use super::OverlapPolicy;
use crate::graphql::{
    inputs::{id_of, ids_of, patch},
    policy::PolicyInput,
    scalars::{Duration, Json},
};

/// What each firing enqueues. What is left out is the command's or the profile's, as it is when it fires.
#[derive(Debug, InputObject)]
pub struct JobTemplateInput {
    /// What to run. A firing runs the command as it is then.
    pub command_id: ID,
    /// Overrides the command's profile.
    pub profile_id: Option<ID>,
    /// Overrides the command's proxy and the profile's own choice.
    pub proxy_id: Option<ID>,
    /// Overrides the services of the command and of the profile, each once; `[]`: none.
    pub service_ids: Option<Vec<ID>>,
    /// Must fit the command's inputSchema, now and whenever it fires. What the schema marks `writeOnly` is encrypted at rest and
    /// shown as `***`; on update, `***` in such a place keeps what was there.
    pub input: Option<Json>,
    /// Overrides the command's queue.
    pub queue: Option<String>,
    /// 0 to 9; 9 runs first. Default 4.
    pub priority: Option<i32>,
    /// Overrides parts of the command's policy.
    pub policy: Option<PolicyInput>,
    /// Whose turn its jobs count as, instead of their profile's: 1 to 255 bytes. Of one queue and priority, each fairness key, and each
    /// profile of jobs without one, has one job started after the other, however many jobs others have enqueued.
    pub fairness_key: Option<String>,
    /// At most 20, each 1 to 60 characters.
    pub labels: Option<Vec<String>>,
}

impl From<JobTemplateInput> for TemplateInput {
    fn from(input: JobTemplateInput) -> Self {
        Self {
            command: id_of(&input.command_id),
            profile: input.profile_id.as_ref().map(id_of),
            proxy: input.proxy_id.as_ref().map(id_of),
            services: input.service_ids.map(|ids| ids_of(&ids)),
            input: input.input.map(|json| json.0),
            queue: input.queue,
            priority: input.priority,
            policy: input.policy.map(Into::into),
            fairness_key: input.fairness_key,
            labels: input.labels.unwrap_or_default(),
        }
    }
}

/// A new schedule.
#[derive(Debug, InputObject)]
pub struct ScheduleCreateInput {
    /// Unique among schedules, 1 to 100 characters.
    pub name: String,
    /// Minute, hour, day of month, month, day of week (`30 2 * * MON-FRI`), with seconds as a sixth field in front if they
    /// matter; or a nickname such as `@daily`. At most 200 bytes.
    pub cron: String,
    /// The IANA zone on whose clocks it is read, such as `Europe/Berlin`.
    #[graphql(default_with = "Some(\"UTC\".to_owned())")]
    pub timezone: Option<String>,
    /// What each firing enqueues.
    pub job: JobTemplateInput,
    /// What happens when it is due and its last job has not ended.
    #[graphql(default_with = "Some(OverlapPolicy::Skip)")]
    pub overlap: Option<OverlapPolicy>,
    /// How far back times that were missed (no worker was running) are made up. Half a minute late is not missed.
    #[graphql(default_with = "Some(Duration(callboard::duration::IsoDuration::from_secs(0)))")]
    pub catch_up: Option<Duration>,
    /// Whether it begins paused.
    #[graphql(default_with = "Some(false)")]
    pub is_paused: Option<bool>,
}

impl From<ScheduleCreateInput> for ScheduleCreate {
    fn from(input: ScheduleCreateInput) -> Self {
        Self {
            name: input.name,
            cron: input.cron,
            timezone: input.timezone,
            job: input.job.into(),
            overlap: input.overlap.map(Into::into),
            catch_up: input.catch_up.map(|duration| duration.0),
            is_paused: input.is_paused.unwrap_or(false),
        }
    }
}

/// Changes of a schedule. Absent fields stay as they are. With another pattern or zone, and when it is resumed, it goes on from
/// now.
#[derive(Debug, InputObject)]
pub struct ScheduleUpdateInput {
    /// Which.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null changes whatever is there.
    pub version: Option<i32>,
    /// As in ScheduleCreateInput. Cannot be null.
    pub name: MaybeUndefined<String>,
    /// As in ScheduleCreateInput. Cannot be null.
    pub cron: MaybeUndefined<String>,
    /// As in ScheduleCreateInput; null for UTC.
    pub timezone: MaybeUndefined<String>,
    /// Replaces the whole template, but for values of the input that are given as `***`. Cannot be null.
    pub job: MaybeUndefined<JobTemplateInput>,
    /// As in ScheduleCreateInput; null for SKIP.
    pub overlap: MaybeUndefined<OverlapPolicy>,
    /// As in ScheduleCreateInput; null for PT0S.
    pub catch_up: MaybeUndefined<Duration>,
    /// Whether it fires; null for false. What was due while it was paused is not made up.
    pub is_paused: MaybeUndefined<bool>,
}

impl From<ScheduleUpdateInput> for ScheduleUpdate {
    fn from(input: ScheduleUpdateInput) -> Self {
        let changes = ScheduleChanges {
            name: patch(input.name),
            cron: patch(input.cron),
            timezone: patch(input.timezone),
            job: patch(input.job.map_value(Into::into)),
            overlap: patch(input.overlap.map_value(Into::into)),
            catch_up: patch(input.catch_up.map_value(|duration| duration.0)),
            is_paused: patch(input.is_paused),
        };
        Self { id: id_of(&input.id), version: input.version, changes }
    }
}

/// Which schedule to delete. Jobs that it has enqueued go on.
#[derive(Debug, InputObject)]
pub struct ScheduleDeleteInput {
    /// Which.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null deletes whatever is there.
    pub version: Option<i32>,
}
