//! The whole system as its users have it: the API and workers as processes of their own, a Postgres, a Redis, real
//! programs and a real Chromium. What is seen is what GraphQL tells, and what the children themselves have written.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test binary in several files: a panic is how a test fails"
)]

mod browser;
mod crash;
mod drain;
mod hand_out;
mod ledger;
mod limits;
mod outage;
mod retention;
mod sharing;
mod site;
mod start;
mod system;
