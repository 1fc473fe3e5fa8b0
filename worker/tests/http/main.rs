//! The HTTP child, from a command's spec to what servers receive and what comes back. Without a
//! database.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test binary in several files: a panic is how a test fails"
)]

mod answers;
mod call;
mod curl;
mod failures;
mod forms;
mod proxies;
mod redirects;
mod site;
