//! The inputs of schedule mutations.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::{
    catalogue::{ScheduleChanges, ScheduleCreate, ScheduleUpdate},
    job::JobRequest,
};

use super::OverlapPolicy;
use crate::graphql::{
    inputs::{id_of, ids_of, patch},
    policy::PolicyInput,
    scalars::{Duration, Json},
};

/// The job that each firing enqueues. Absent fields use the values of the command or the profile at
/// the time of firing.
#[derive(Debug, InputObject)]
pub struct JobTemplateInput {
    /// The command to run. Each firing uses the command's version at that time.
    pub command_id: ID,
    /// Overrides the command's profile.
    pub profile_id: Option<ID>,
    /// Overrides the command's proxy and the profile's own choice.
    pub proxy_id: Option<ID>,
    /// Overrides the services of the command and of the profile, without duplicates. `[]` uses
    /// none.
    pub service_ids: Option<Vec<ID>>,
    /// The job's input: an object of at most 262144 bytes that matches the command's inputSchema,
    /// now and whenever the schedule fires. Properties that the schema marks `writeOnly` are
    /// encrypted at rest and shown as `***`. On update, a value of `***` for such a property keeps
    /// the stored one.
    pub input: Option<Json>,
    /// Overrides the command's queue.
    pub queue: Option<String>,
    /// The priority, 0 to 9. 9 runs first. Default 4.
    pub priority: Option<i32>,
    /// Overrides parts of the command's policy.
    pub policy: Option<PolicyInput>,
    /// Groups the jobs for fair ordering, instead of their profile: 1 to 255 bytes. Within a queue
    /// and priority, fairness keys (and profiles of jobs without one) take turns to start one job
    /// each, however many jobs the others have enqueued.
    pub fairness_key: Option<String>,
    /// At most 20 labels, each 1 to 60 characters.
    pub labels: Option<Vec<String>>,
}

impl From<JobTemplateInput> for JobRequest {
    fn from(input: JobTemplateInput) -> Self {
        Self {
            profile: input.profile_id.as_ref().map(id_of),
            proxy: input.proxy_id.as_ref().map(id_of),
            services: input.service_ids.map(|ids| ids_of(&ids)),
            input: input.input.map(|json| json.0),
            queue: input.queue,
            priority: input.priority,
            policy: input.policy.map(Into::into),
            fairness_key: input.fairness_key,
            labels: input.labels.unwrap_or_default(),
            ..Self::new(id_of(&input.command_id))
        }
    }
}

/// Input of scheduleCreate.
#[derive(Debug, InputObject)]
pub struct ScheduleCreateInput {
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among schedules.
    pub name: String,
    /// The cron pattern: minute, hour, day of month, month and day of week (`30 2 * * MON-FRI`),
    /// optionally with seconds as a sixth field in front, or a nickname such as `@daily`. At most
    /// 200 bytes.
    pub cron: String,
    /// The IANA time zone of the pattern, such as `Europe/Berlin`.
    #[graphql(default_with = "Some(\"UTC\".to_owned())")]
    pub timezone: Option<String>,
    /// The job that each firing enqueues.
    pub job: JobTemplateInput,
    /// What happens when the schedule is due and its last job is unfinished.
    #[graphql(default_with = "Some(OverlapPolicy::Skip)")]
    pub overlap: Option<OverlapPolicy>,
    /// How far back to make up firings that were missed because no worker was running. A delay of
    /// up to half a minute does not count as missed.
    #[graphql(default_with = "Some(Duration(callboard::duration::IsoDuration::from_secs(0)))")]
    pub catch_up: Option<Duration>,
    /// Whether the schedule starts paused.
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

/// Input of scheduleUpdate. Absent fields stay unchanged. After a change of pattern or zone, and
/// when resumed, the schedule continues from now.
#[derive(Debug, InputObject)]
pub struct ScheduleUpdateInput {
    /// The id of the schedule.
    pub id: ID,
    /// The version that was read. If another version is stored, the update is refused with
    /// STALE_VERSION. Absent or null updates any version.
    pub version: Option<i32>,
    /// As in ScheduleCreateInput. Cannot be null.
    pub name: MaybeUndefined<String>,
    /// As in ScheduleCreateInput. Cannot be null.
    pub cron: MaybeUndefined<String>,
    /// As in ScheduleCreateInput. Null means UTC.
    pub timezone: MaybeUndefined<String>,
    /// Replaces the whole job template, except for input values given as `***`. Cannot be null.
    pub job: MaybeUndefined<JobTemplateInput>,
    /// As in ScheduleCreateInput. Null means SKIP.
    pub overlap: MaybeUndefined<OverlapPolicy>,
    /// As in ScheduleCreateInput. Null means PT0S.
    pub catch_up: MaybeUndefined<Duration>,
    /// Whether the schedule is paused. Null means false. Firings that were due while it was paused
    /// are not made up.
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

/// Input of scheduleRunNow.
#[derive(Debug, InputObject)]
pub struct ScheduleRunNowInput {
    /// The id of the schedule.
    pub id: ID,
}

/// Input of scheduleDelete. Jobs that the schedule has enqueued continue.
#[derive(Debug, InputObject)]
pub struct ScheduleDeleteInput {
    /// The id of the schedule.
    pub id: ID,
    /// The version that was read. If another version is stored, the deletion is refused with
    /// STALE_VERSION. Absent or null deletes any version.
    pub version: Option<i32>,
}
