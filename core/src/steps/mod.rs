//! The steps of a job's life, in order. One verb, one file, one transaction.
//!
//! | step | does | if we die right after |
//! |---|---|---|
//! | [`preview`] | compose without writing | nothing happened |
//! | [`submit`] | compose, insert job + event + mark, in one statement | the job is safe; dispatch finds it |
//! | [`dispatch`] | mark backlog, push references; compare marks with Redis | pushed twice or late: the claim sorts it out |
//! | [`fire_schedules`] | what schedules that are due enqueue, and their next time | done or not done |
//! | [`promote`] | scheduled jobs whose time has come; expired ones | done or not done |
//! | [`claim`] | state, attempt, worker, holds, over a batch | rescue; or the same claim is asked for again |
//! | [`fetch_work`] | what a granted job needs to run | rescue |
//! | [`note_start`] | what the attempt runs, through which proxy | rescue |
//! | [`append_log`], [`note_progress`], [`keep_artifact`] | what the attempt tells, fenced | rescue |
//! | [`observe`] | what services answered moves their gates | the attempt tells it again, or the next one finds out |
//! | [`cool_down`] | a proxy that could not be reached is left alone | the next attempt finds out |
//! | [`renew`] | the worker's lease; learns of cancels | the lease runs out: rescue |
//! | [`settle`] | outcome -> transition -> job + attempt + event | a repeat recognises itself |
//! | [`call`] | parked jobs whose gate has room | done or not done |
//! | [`unblock`] | jobs whose dependencies have ended | done or not done: the marks stay |
//! | [`cancel`], [`retry`], [`drain`], [`pause`], [`bound`] | by request | done or not done |
//! | [`rescue`] | jobs of workers whose lease ran out | done or not done |
//! | [`own_up`] | a worker that was declared lost lives | the attempt counts as one that took its worker down |
//! | [`why`] | what stands in a ready job's way, without changing anything | nothing happened |
//! | [`roll_up`] | counters of queues, partitions of days to come | done or not done |
//! | [`take_stock`] | statistics that are of an emptier queue are taken again | done or not done |
//! | [`prune`] | what is too old | files may be gone whose rows are there: the next round |
//!
//! Locks are taken in one order everywhere: schedules, then jobs by id, then gates by key, then
//! lanes. Times are the database's, taken after
//! the locks are held. Nothing here sends NOTIFY, and nothing here waits for Redis.

mod after;
pub mod append_log;
pub mod bound;
pub mod call;
pub mod cancel;
pub mod claim;
pub mod context;
pub mod cool_down;
pub mod dispatch;
pub mod drain;
mod error;
pub mod fetch_work;
pub mod fire_schedules;
pub mod keep_artifact;
pub mod note_progress;
pub mod note_start;
pub mod observe;
pub mod own_up;
pub mod pause;
pub mod preview;
pub mod promote;
pub mod prune;
pub mod renew;
pub mod rescue;
pub mod retry;
pub mod roll_up;
pub mod settle;
pub mod submit;
pub mod take_stock;
pub mod targets;
pub mod unblock;
pub mod why;

pub use after::After;
pub use error::CatalogueError;
