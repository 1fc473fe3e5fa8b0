//! Opaque positions in lists, which clients pass back.

use async_graphql::connection::{CursorType as _, OpaqueCursor};
use serde::{Serialize, de::DeserializeOwned};

/// A position in a list that stays valid after its row is deleted.
pub trait Cursor: Sized {
    /// Encodes the position as an opaque text.
    fn encode(&self) -> String;
    /// Decodes a text made by [`encode`](Self::encode). Returns `None` for any other text.
    fn decode(text: &str) -> Option<Self>;
}

/// A cursor made of the values that the list is ordered by, such as a time and an id.
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
