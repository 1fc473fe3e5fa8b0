//! Queues: ready jobs in their order, counters, history and fairness.

pub mod backlog;
pub mod counters;
pub mod history;
pub mod lanes;
