//! Run carries an attempt from a worker's claim of the job to the last thing that it reports.
//!
//! A worker registers, and keeps its lease with `renew`. It claims the jobs whose references it
//! pops (`claim`), reads what the granted ones need (`fetch_work`), and records what each will run
//! (`note_start`) while the process starts. While an attempt runs, `append_log`, `note_progress`
//! and `keep_artifact` store what it reports, fenced by job and attempt. `drain` asks a worker to
//! end. If a worker dies, its lease runs out and `finish::rescue` takes its jobs.

pub mod append_log;
pub mod claim;
pub mod drain;
pub mod fetch_work;
pub mod keep_artifact;
pub mod note_progress;
pub mod note_start;
pub mod renew;
