//! Maintain keeps counters, partitions and statistics current, and removes what is too old.
//!
//! `fold_counters` folds appended counters and makes partitions ahead of time. `refresh_statistics`
//! re-runs ANALYZE when the queue has grown much. `prune` removes jobs, files and history past
//! their retention. All are duties, in short transactions. `reseal` is not one: it seals everything
//! again when somebody rotates the master key.

pub mod fold_counters;
pub mod prune;
pub mod refresh_statistics;
pub mod reseal;
