//! Schedules, which enqueue a job at the times of a cron pattern.

mod inputs;
mod mutation;
mod object;
mod preview;
mod query;
mod template;

pub use inputs::{JobTemplateInput, ScheduleCreateInput, ScheduleDeleteInput, ScheduleUpdateInput};
pub use mutation::{ScheduleMutation, SchedulePayload};
pub use object::{OverlapPolicy, Schedule, ScheduleConnection, ScheduleEdge, upcoming_cost};
pub use preview::{CronPreview, CronPreviewQuery};
pub use query::ScheduleQuery;
pub use template::JobTemplate;
