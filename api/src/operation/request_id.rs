//! The id that identifies a request to the client and in the log: `req_` and a UUIDv7.
//!
//! Generated for every HTTP request and for every operation of a socket. Returned in the header
//! `x-request-id` and in every error. Ids sent by clients are ignored.

use std::{fmt, sync::Arc};

use callboard::clock::IdSource;
use uuid::Uuid;

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Generates a new id.
    pub fn draw(ids: IdSource) -> Self {
        Self(format!("req_{}", ids.make::<Uuid>().simple()).into())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
