//! Maintenance: deleting old rows, and refreshing the statistics of the planner.

pub mod retention;
pub mod statistics;
