//! Maintain: counters, statistics, and what is too old.

pub mod prune;
pub mod roll_up;
pub mod take_stock;
