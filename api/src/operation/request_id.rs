//! The id by which a client and the log name the same request: `req_` and a UUIDv7.
//!
//! Drawn for every HTTP request and for every operation of a socket; in the header `x-request-id` and in every
//! error. What a client sends as its own id is ignored.

use std::{fmt, sync::Arc};

use callboard::clock::IdSource;
use uuid::Uuid;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new one.
    pub fn draw(ids: IdSource) -> Self {
        Self(format!("req_{}", ids.make::<Uuid>().simple()).into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
