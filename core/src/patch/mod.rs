//! What an update says about a field: leave, clear or set it. Pure.
//!
//! In JSON a field is absent, null, or has a value. Fields need `#[serde(default,
//! skip_serializing_if = "Patch::is_leave")]`.

mod choices;
mod limits;
mod policy;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use choices::ChoicesPatch;
pub use limits::{LimitsPatch, NewCap, NewRateLimit, limit_refusals};
pub use policy::{BackoffPatch, PolicyPatch};

/// An input field that is absent, null, or has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Absent: keep the stored value.
    #[default]
    Leave,
    /// Null: remove the value, or reset it to the field's default.
    Clear,
    /// Store this value.
    Set(T),
}

impl<T> Patch<T> {
    /// Returns the field after the patch. Clearing it gives `cleared`.
    pub fn over(self, stored: T, cleared: T) -> T {
        match self {
            Self::Leave => stored,
            Self::Clear => cleared,
            Self::Set(value) => value,
        }
    }

    /// Returns a field that may have no value after the patch. Clearing it removes the value.
    pub fn over_optional(self, stored: Option<T>) -> Option<T> {
        self.map(Some).over(stored, None)
    }

    fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Leave => Patch::Leave,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(change(value)),
        }
    }

    /// Whether the field keeps its stored value.
    pub const fn is_leave(&self) -> bool {
        matches!(self, Self::Leave)
    }

    /// `Clear` for `None`. For fields of a create, where absent and null mean the same.
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
