//! What a caller can make the API compute, as a process of its own that must survive it.
//!
//! `generated::ten_thousand_templates` takes minutes and is ignored. By hand, with a release build:
//!
//! ```sh
//! cargo build --release -p callboard-api
//! CALLBOARD_API_PROGRAM=target/release/callboard-api \
//!     cargo test -p callboard-api --test compute -- --ignored --nocapture
//! ```
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test binary in several files: a panic is how a test fails"
)]

mod dear;
mod findings;
mod fuzz;
mod generated;
mod grammar;
mod server;
