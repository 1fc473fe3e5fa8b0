//! Schedules, which enqueue a job at the times of a cron pattern.

mod inputs;
mod mutation;
mod object;
mod preview;
mod query;
mod run_now;
mod template;

pub use inputs::{
    JobTemplateInput, ScheduleCreateInput, ScheduleDeleteInput, ScheduleRunNowInput, ScheduleUpdateInput,
};
pub use mutation::{ScheduleMutation, SchedulePayload};
pub use object::{OverlapPolicy, Schedule, ScheduleConnection, ScheduleEdge, upcoming_cost};
pub use preview::{CronPreview, CronPreviewQuery};
pub use query::ScheduleQuery;
pub use run_now::{ScheduleRunMutation, ScheduleRunNowPayload};
pub use template::JobTemplate;
