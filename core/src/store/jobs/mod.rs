//! Jobs: their records, live rows, attempts, events, logs and artifacts.

pub mod artifacts;
pub mod attempts;
pub mod dependencies;
pub mod events;
pub mod inputs;
pub mod insert;
pub mod live;
pub mod logs;
pub mod mutants;
pub mod pages;
pub mod progress;
pub mod records;
pub mod revive;
