//! Maintenance: what is deleted when it is old, and the planner's statistics.

pub mod retention;
pub mod statistics;
