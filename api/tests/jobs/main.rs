//! Jobs through the real server: HTTP and WebSockets on a port, on a database and a place in Redis of each test's own.
//! The worker's part is played by calling the core's steps.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else comes is wrong")]

mod batching;
mod bulk;
mod changes;
mod client;
mod dependencies;
mod enqueue;
mod events;
mod harness;
mod lists;
mod log;
mod lost_hints;
mod mutations;
mod objects;
mod operations;
mod queues;
mod reconnects;
mod snapshots;
#[path = "../catalogue/statements.rs"]
mod statements;
mod waiting;
mod waiting_caps;
mod waiting_limits;
