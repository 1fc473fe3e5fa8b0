//! One GraphQL operation, whatever it came by: checked, run under limits, answered with codes and a request id.
//!
//! `http` and `socket` hand an [`async_graphql::Request`] to the [`Engine`] and write what comes out. Variables are
//! never logged or traced; the operation's name and type are.

mod document;
mod engine;
mod envelope;
mod finish;
mod known;
mod request_id;
mod scan;
mod variables;

pub use document::{Kind, Prepared};
pub use engine::{Dress, Engine};
pub(crate) use envelope::Envelope;
pub use finish::{is_request_error, refusal};
pub use request_id::RequestId;
