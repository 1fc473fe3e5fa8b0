//! Enqueue turns job requests and due schedules into jobs in Postgres.
//!
//! `preview` composes a command and writes nothing. `submit` takes the job requests of several
//! callers at once. It loads everything that they name, checks and composes each job (`prepare`),
//! chooses what it runs on (`targets`), refuses it if a cap is reached (`caps`), recognises
//! repeats (`fingerprint`), and inserts the accepted jobs (`write`). `fire_schedules` prepares the
//! jobs of due schedules and writes them in the transaction that moves those schedules on. Nothing
//! is evaluated while a transaction is alive. `run_schedule` makes the request of a schedule that
//! is run by hand, and `again` that of a job like another one.

pub mod again;
mod caps;
pub mod context;
mod fingerprint;
pub mod fire_schedules;
mod prepare;
pub mod preview;
pub mod run_schedule;
pub mod submit;
pub mod targets;
mod write;
