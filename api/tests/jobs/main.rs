//! Jobs through the real server, over HTTP and WebSockets. Each test has its own port, database and
//! Redis prefix, and calls the core's steps in place of a worker.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![expect(clippy::wildcard_enum_match_arm, reason = "any other message is wrong")]

mod again;
mod bad_database_url;
mod batching;
mod bulk;
mod changes;
mod client;
mod command_line;
mod contract;
mod credential_end;
mod delete;
mod dependencies;
mod enqueue;
mod events;
mod filters;
mod harness;
mod incomplete;
#[path = "../catalogue/keys.rs"]
mod keys;
mod large;
mod lists;
mod log;
mod lost_hints;
mod mutations;
mod objects;
mod operations;
#[path = "../catalogue/parts.rs"]
mod parts;
mod private;
mod queues;
mod reconnects;
mod roles;
mod run_now;
mod shadowed_cookies;
mod sign_in;
mod sign_in_audit;
mod sign_in_pages;
mod snapshots;
#[path = "../catalogue/statements.rs"]
mod statements;
mod visitor;
mod waiting;
mod waiting_caps;
mod waiting_limits;
