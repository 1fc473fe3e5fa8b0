//! What an update says of one field. Pure.
//!
//! As JSON: a field that is left out, null, or the value; fields need `#[serde(default, skip_serializing_if =
//! "Patch::is_leave")]`.

mod limits;
mod policy;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use limits::{LimitsPatch, NewCap, NewRateLimit, limit_refusals};
pub use policy::{BackoffPatch, PolicyPatch};

/// Leave it, clear it, or set it: an input field that is absent, null, or has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Absent: as it is stored.
    #[default]
    Leave,
    /// Null: back to nothing, or to the field's default.
    Clear,
    /// This value.
    Set(T),
}

impl<T> Patch<T> {
    /// The field after the patch: `cleared` when it is cleared.
    pub fn over(self, stored: T, cleared: T) -> T {
        match self {
            Self::Leave => stored,
            Self::Clear => cleared,
            Self::Set(value) => value,
        }
    }

    /// Whether it leaves the field as it is.
    pub const fn is_leave(&self) -> bool {
        matches!(self, Self::Leave)
    }

    /// Clear for none; for fields of a create, where absent and null mean the same.
    pub fn set_or_clear(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leave | Self::Clear => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::set_or_clear)
    }
}
