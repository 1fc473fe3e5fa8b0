//! Runs real programs under shims: what they get, how they end, and that none of their processes is
//! left.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::duration_suboptimal_units,
    clippy::unchecked_time_subtraction,
    clippy::unnecessary_wraps,
    dead_code,
    missing_docs,
    reason = "a test binary in several files: a panic is how a test fails"
)]

#[path = "process/chromium.rs"]
mod chromium;
#[path = "process/crash.rs"]
mod crash;
#[path = "process/kill.rs"]
mod kill;
#[path = "process/output.rs"]
mod output;
#[path = "process/profile.rs"]
mod profile;
#[path = "process/support.rs"]
mod support;
