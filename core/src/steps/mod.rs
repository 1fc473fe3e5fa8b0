//! The steps of a job's life, in order. One verb, one file, one transaction.
//!
//! | step | does | if we die right after |
//! |---|---|---|
//! | [`preview`](enqueue::preview) | compose without writing | nothing happened |
//! | [`submit`](enqueue::submit) | compose, insert job + event + mark, in one statement | the job is safe; dispatch finds it |
//! | [`dispatch`](hand_out::dispatch) | mark backlog, push references; compare marks with Redis | pushed twice or late: the claim sorts it out |
//! | [`fire_schedules`](enqueue::fire_schedules) | what schedules that are due enqueue, and their next time | done or not done |
//! | [`promote`](hand_out::promote) | scheduled jobs whose time has come; expired ones | done or not done |
//! | [`claim`](run::claim) | state, attempt, worker, holds, over a batch | rescue; or the same claim is asked for again |
//! | [`fetch_work`](run::fetch_work) | what a granted job needs to run | rescue |
//! | [`note_start`](run::note_start) | what the attempt runs, through which proxy | rescue |
//! | [`append_log`](run::append_log), [`note_progress`](run::note_progress), [`keep_artifact`](run::keep_artifact) | what the attempt tells, fenced | rescue |
//! | [`observe`](limits::observe) | what services answered moves their gates | the attempt tells it again, or the next one finds out |
//! | [`cool_down`](limits::cool_down) | a proxy that could not be reached is left alone | the next attempt finds out |
//! | [`renew`](run::renew) | the worker's lease; learns of cancels | the lease runs out: rescue |
//! | [`settle`](finish::settle) | outcome -> transition -> job + attempt + event | a repeat recognises itself |
//! | [`call`](limits::wake) | parked jobs whose gate has room | done or not done |
//! | [`unblock`](hand_out::unblock) | jobs whose dependencies have ended | done or not done: the marks stay |
//! | [`cancel`](finish::cancel), [`retry`](finish::retry), [`drain`](run::drain), [`pause`](hand_out::pause), [`bound`](limits::queue_limit) | by request | done or not done |
//! | [`rescue`](finish::rescue) | jobs of workers whose lease ran out | done or not done |
//! | [`report_alive`](finish::report_alive) | a worker that was declared lost lives | the attempt counts as one that took its worker down |
//! | [`why`](limits::explain) | what stands in a ready job's way, without changing anything | nothing happened |
//! | [`roll_up`](maintain::fold_counters) | counters of queues, partitions of days to come | done or not done |
//! | [`refresh_statistics`](maintain::refresh_statistics) | statistics that are of an emptier queue are taken again | done or not done |
//! | [`prune`](maintain::prune) | what is too old | files may be gone whose rows are there: the next round |
//!
//! Locks are taken in one order everywhere: schedules, then jobs by id, then gates by key, then
//! lanes. Times are the database's, taken after
//! the locks are held. Nothing here sends NOTIFY, and nothing here waits for Redis.

mod after;
pub mod enqueue;
mod error;
pub mod finish;
pub mod hand_out;
pub mod limits;
pub mod maintain;
pub mod run;

pub use after::After;
pub use error::StepError;
