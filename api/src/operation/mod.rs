//! Runs one GraphQL operation for any transport: checks it, runs it under limits, and completes its
//! errors.
//!
//! `http` and `socket` pass an [`async_graphql::Request`] to the [`Engine`] and write its
//! responses. Variables are never logged or traced. The operation's name and type are.

mod answer;
mod credential_end;
mod document;
mod engine;
mod envelope;
mod finish;
mod json_text;
mod known;
mod messages;
mod permission;
mod request_id;
mod scan;
mod variables;

pub use answer::{Answer, Written};
pub use document::{Kind, ReadyOperation};
pub use engine::{Engine, WithLoaders};
pub(crate) use envelope::{Envelope, unreadable};
pub use finish::{is_request_error, refusal};
pub(crate) use json_text::end_of_string;
pub use request_id::RequestId;
