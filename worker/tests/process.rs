//! The running of programs, with real processes: what they get, how they end, and that nothing of them is left.
#![allow(
    clippy::allow_attributes,
    dead_code,
    missing_docs,
    reason = "the sources of a binary, built into a test"
)]

#[path = "../src/process/mod.rs"]
pub mod process;
#[path = "../src/shim/mod.rs"]
pub mod shim;

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
