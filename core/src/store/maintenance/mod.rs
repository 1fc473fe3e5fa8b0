//! Maintenance: deleting old rows, refreshing the statistics of the planner, and sealing again.

pub mod retention;
pub mod sealed;
pub mod statistics;
