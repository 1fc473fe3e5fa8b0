//! Maintain: counters, statistics, and what is too old.

pub mod fold_counters;
pub mod prune;
pub mod refresh_statistics;
