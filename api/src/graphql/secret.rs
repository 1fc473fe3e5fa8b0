//! The GraphQL types of secrets: which are set, for reading, and their values, for writing only.

use async_graphql::{InputObject, SimpleObject};
use callboard::{catalogue, store::catalogue::profile_secrets::SecretState};
use secrecy::SecretString;

use super::scalars::DateTime;

/// A named secret. Its value can be set but never read.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Secret {
    /// The name that templates use: `profile.secrets.NAME`, or `token` for the token of a service.
    pub name: String,
    /// Whether a value is set.
    pub is_set: bool,
    /// The last four characters of the value. Null unless the value has at least sixteen.
    pub hint: Option<String>,
    /// When the value was set. Null when none is set.
    pub updated_at: Option<DateTime>,
    /// When the value expires, as given with it. For information only.
    pub expires_at: Option<DateTime>,
}

impl Secret {
    /// A secret without a value.
    pub fn unset(name: &str) -> Self {
        Self { name: name.to_owned(), is_set: false, hint: None, updated_at: None, expires_at: None }
    }
}

impl From<SecretState> for Secret {
    fn from(state: SecretState) -> Self {
        Self {
            name: state.name,
            is_set: true,
            hint: state.hint,
            updated_at: Some(DateTime(state.updated_at)),
            expires_at: state.expires_at.map(DateTime),
        }
    }
}

/// A secret to set.
#[derive(Debug, InputObject)]
pub struct SecretInput {
    /// The name that templates use: a letter, then letters, digits, `_` or `-`, at most 100
    /// characters.
    pub name: String,
    /// The value, 1 to 65536 bytes without NUL. Encrypted at rest. It never appears in a response,
    /// record or log.
    pub value: SecretString,
    /// When the value expires, in the future. Absent or null means never. For information only.
    pub expires_at: Option<DateTime>,
}

impl From<SecretInput> for catalogue::SecretInput {
    fn from(input: SecretInput) -> Self {
        Self { name: input.name, value: input.value, expires_at: input.expires_at.map(|at| at.0) }
    }
}
