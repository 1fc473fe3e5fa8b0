//! The steps of a job's life against a real PostgreSQL and Redis: fencing, repeated calls, and what
//! a crash between two steps leaves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod again;
mod announced;
mod audit;
mod caps;
mod claims;
mod deletes;
mod expiry;
mod fairness;
mod fences;
mod firing;
mod fixture;
mod hand_out;
mod limits;
mod plans;
mod proxies;
mod prunes;
mod queue_counts;
mod races;
mod rescues;
mod reseal;
mod run_now;
mod schedules;
mod schedules_by_hand;
mod submits;
mod texts;
mod usage;
