//! Tables of jobs: records, live rows, attempts, events, logs and artifacts.

pub mod artifacts;
mod attempt_records;
pub mod attempts;
pub mod dependencies;
pub mod events;
pub mod inputs;
pub mod insert;
mod job_parts;
pub mod live;
mod log_lines;
mod log_search;
pub mod logs;
pub mod mutants;
pub mod pages;
pub mod progress;
pub mod records;
pub mod revive;
