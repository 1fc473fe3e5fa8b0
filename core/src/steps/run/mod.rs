//! Run: a worker wins a job, and reports what its attempt does.

pub mod append_log;
pub mod claim;
pub mod drain;
pub mod fetch_work;
pub mod keep_artifact;
pub mod note_progress;
pub mod note_start;
pub mod renew;
