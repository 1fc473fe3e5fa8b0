//! Opaque places in lists and streams, as clients hand them back.

use async_graphql::connection::{CursorType as _, OpaqueCursor};
use serde::{Serialize, de::DeserializeOwned};

/// A place in a list that survives the row it was taken from.
pub trait Cursor: Sized {
    /// As an opaque text for clients.
    fn encode(&self) -> String;
    /// Reads what [`encode`](Self::encode) wrote; none for anything else.
    fn decode(text: &str) -> Option<Self>;
}

/// A cursor made of the values that the list is ordered by, e.g. a time and an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyset<T>(pub T);

impl<T: Serialize + DeserializeOwned> Cursor for Keyset<T> {
    fn encode(&self) -> String {
        OpaqueCursor(serde_json::to_value(&self.0).unwrap_or_default()).encode_cursor()
    }

    fn decode(text: &str) -> Option<Self> {
        OpaqueCursor::decode_cursor(text).ok().map(|cursor| Self(cursor.0))
    }
}
