//! Tables of queues: the backlog of ready jobs, marks, counters, history and fairness.

pub mod backlog;
pub mod counters;
mod due;
pub mod history;
pub mod lanes;
mod marks;
mod settings;
