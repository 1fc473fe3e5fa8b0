//! Hand out makes waiting jobs ready and puts their references into Redis.
//!
//! 1. `promote` makes scheduled jobs ready when their time comes, and expires jobs that are late.
//! 2. `unblock` makes blocked jobs ready when their dependencies have succeeded, or cancels them.
//! 3. `dispatch` marks ready jobs as handed over and pushes their references, a bounded window of
//!    them, and pushes again what Redis has lost.
//!
//! `run_now` makes a scheduled job ready before its time.
//!
//! `pause` keeps the jobs of a queue from starting.

pub mod dispatch;
pub mod pause;
pub mod promote;
pub mod run_now;
pub mod unblock;
