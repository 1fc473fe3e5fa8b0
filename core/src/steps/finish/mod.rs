//! Finish has the steps that end attempts and jobs, and revive finished jobs.
//!
//! `settle` applies the outcome of an attempt: the job ends, waits for its next attempt, or goes
//! back to the queue. `cancel` ends a job that has not started, or asks the worker of a running one
//! to end it, which settles it. `rescue` settles the attempts of workers whose leases ran out. A
//! worker that was lost and lives uses `report_alive`. `retry` revives finished jobs, if `choices`
//! lets the caller, and `delete` removes one for good.

pub mod cancel;
mod choices;
pub mod delete;
pub mod report_alive;
pub mod rescue;
pub mod retry;
pub mod settle;
