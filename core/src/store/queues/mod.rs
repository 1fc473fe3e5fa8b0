//! Queues: ready jobs in their order, counters, history and fairness.

pub mod backlog;
pub mod counters;
mod due;
pub mod history;
pub mod lanes;
mod marks;
mod settings;
