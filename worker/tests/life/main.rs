//! The whole system: the API and workers as processes, Postgres, Redis, real programs and a real
//! Chromium.
//!
//! Tests check what GraphQL returns and what the children have written.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test binary in several files: a panic is how a test fails"
)]

mod browser;
mod canary;
mod canary_places;
mod canary_refused;
mod cancel;
mod crash;
mod drain;
mod failover;
mod hand_out;
mod hostile;
mod ledger;
mod limits;
mod master_key;
mod needles;
mod outage;
mod primary;
mod private_limits;
mod programs;
mod results;
mod retention;
mod sharing;
mod site;
mod start;
mod system;
