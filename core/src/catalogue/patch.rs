//! What an update says of one field. Pure.

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

    /// Clear for none; for fields of a create, where absent and null mean the same.
    pub fn set_or_clear(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}
