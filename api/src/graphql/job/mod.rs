//! Jobs: the GraphQL object with its lists, mutations and subscriptions.
//!
//! Reads go through `job_loaders` and the store's page functions, changes through the core's steps,
//! subscriptions through `feed`.

mod again;
mod bulk;
mod change;
mod composed;
mod context;
mod delete;
mod event;
mod failure;
mod filter;
mod inputs;
mod list;
mod mutation;
mod object;
mod privacy;
mod query;
mod state;
mod subscription;
mod waiting;

pub use again::JobAgainMutation;
pub use bulk::{BulkMutation, BulkPayload, JobsCancelInput, JobsRetryInput};
pub use change::JobChangeMutation;
pub use composed::Composed;
pub use context::JobContext;
pub use delete::JobDeleteMutation;
pub use event::{JobEvent, JobEventConnection, JobEventEdge, JobEventKind};
pub use failure::{Failure, Progress};
pub use filter::{DateTimeRange, JobFilter, JobOrder, JobOrderField, OrderDirection};
pub use inputs::{
    JobCancelInput, JobDeleteInput, JobEnqueueAgainInput, JobEnqueueInput, JobRetryInput, JobRunNowInput,
    JobsEnqueueInput,
};
pub use list::{JobConnection, JobEdge, held_by, jobs_of_profile};
pub use mutation::{JobEnqueuePayload, JobMutation, JobPayload, JobsEnqueuePayload, submit};
pub use object::{Job, load};
pub use privacy::{KEPT_BACK, hidden_command, is_kept_back, is_viewer};
pub use query::JobQuery;
pub use state::JobState;
pub use subscription::{JobChange, JobChanges, JobSubscription};
pub use waiting::{WaitReason, Waiting};
