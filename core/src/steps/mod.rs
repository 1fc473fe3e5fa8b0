//! The steps of a job's life, one file per verb. A step is one transaction unless its header says
//! otherwise.
//!
//! The tables say what follows if the process dies right after a step. "All or nothing" means that
//! the transaction was committed or it was not.
//!
//! # Enqueue
//!
//! | step | what it does | if the process dies right after |
//! |---|---|---|
//! | [`enqueue::preview`] | composes a command, writes nothing | nothing happened |
//! | [`enqueue::submit`] | inserts jobs | the jobs are safe, dispatch finds them |
//! | [`enqueue::again`] | reads the request of a job, for submit | nothing happened |
//! | [`enqueue::run_schedule`] | reads the job of a schedule, for submit | nothing happened |
//! | [`enqueue::fire_schedules`] | enqueues due jobs, moves schedules on | all or nothing |
//!
//! # Hand out
//!
//! | step | what it does | if the process dies right after |
//! |---|---|---|
//! | [`hand_out::promote`] | makes due jobs ready, expires late ones | all or nothing |
//! | [`hand_out::run_now`] | makes a scheduled job ready now | all or nothing, dispatch finds it |
//! | [`hand_out::unblock`] | decides jobs with finished dependencies | all or nothing |
//! | [`hand_out::dispatch`] | hands references to Redis | pushed twice or late, the claim decides |
//! | [`hand_out::pause`] | pauses or resumes a queue | all or nothing |
//!
//! # Run
//!
//! | step | what it does | if the process dies right after |
//! |---|---|---|
//! | [`run::claim`] | wins a batch of jobs at their gates | rescue, or the claim is repeated |
//! | [`run::fetch_work`] | reads what granted jobs need | rescue |
//! | [`run::note_start`] | records what an attempt runs | rescue |
//! | [`run::append_log`] | appends log lines, fenced | rescue |
//! | [`run::note_progress`] | records progress, fenced | rescue |
//! | [`run::keep_artifact`] | records a file, fenced | rescue |
//! | [`run::renew`] | renews the lease, learns of cancels | the lease runs out, then rescue |
//! | [`run::drain`] | asks a worker to end | all or nothing |
//!
//! # Finish
//!
//! | step | what it does | if the process dies right after |
//! |---|---|---|
//! | [`finish::settle`] | applies outcomes to jobs and attempts | a repeat recognises itself |
//! | [`finish::cancel`] | ends jobs, or asks their workers to | all or nothing |
//! | [`finish::delete`] | removes a finished job by hand | all or nothing, its files go later |
//! | [`finish::rescue`] | requeues jobs of lost workers | all or nothing |
//! | [`finish::report_alive`] | stops counting a lost attempt as poison | all or nothing |
//! | [`finish::retry`] | revives finished jobs | all or nothing, dispatch finds them |
//!
//! # Limits
//!
//! | step | what it does | if the process dies right after |
//! |---|---|---|
//! | [`limits::wake`] | wakes parked jobs | all or nothing, dispatch finds them |
//! | [`limits::observe`] | applies what services say to their gates | all or nothing |
//! | [`limits::cool_down`] | closes the gate of an unreachable proxy | all or nothing |
//! | [`limits::queue_limit`] | sets a queue's concurrency limit | all or nothing |
//! | [`limits::explain`] | says what blocks a ready job | nothing happened |
//!
//! # Maintain
//!
//! | step | what it does | if the process dies right after |
//! |---|---|---|
//! | [`maintain::fold_counters`] | folds counters, makes partitions | all or nothing |
//! | [`maintain::refresh_statistics`] | re-runs ANALYZE on a grown queue | all or nothing |
//! | [`maintain::prune`] | removes old jobs, files and history | files may go before rows |
//! | [`maintain::reseal`] | seals a batch of secrets with another key | all or nothing |
//!
//! # Rules
//!
//! Locks are taken in one order: schedules, then jobs by id, then gates by key, then lanes. Only
//! waking locks parked jobs after their gate, and it skips those that are locked. Times are the
//! database's, taken after the locks are held. No step sends NOTIFY, and no transaction waits for
//! Redis.

mod after;
pub mod choices;
pub mod enqueue;
mod error;
pub mod finish;
pub mod hand_out;
pub mod limits;
pub mod maintain;
pub mod run;

pub use after::{After, Done};
pub use error::StepError;
