//! Enqueue: from a request or a schedule to jobs in Postgres.

mod caps;
pub mod context;
pub mod fire_schedules;
mod prepare;
pub mod preview;
pub mod submit;
pub mod targets;
