//! Secrets as the API shows them: that they are set, never what they are. And as it takes them.

use async_graphql::{InputObject, SimpleObject};
use callboard::{catalogue, store::catalogue::profile_secrets::SecretState};
use secrecy::SecretString;

use super::scalars::DateTime;

/// A named secret. Its value goes in and never comes out.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Secret {
    /// Its name, which templates spell: `profile.secrets.NAME`; `token` for the token of a service.
    pub name: String,
    /// Whether it has a value.
    pub is_set: bool,
    /// Last four characters, only where the value has at least sixteen.
    pub hint: Option<String>,
    /// When its value was set; null when it has none.
    pub updated_at: Option<DateTime>,
    /// When it ceases to be of use, as far as Callboard was told. Nothing happens then by itself.
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
    /// Its name: a letter, then letters, digits, `_` or `-`, at most 100, because templates spell it.
    pub name: String,
    /// Its value, 1 to 65536 bytes without NUL. Sealed at once; no answer, record or log holds it.
    pub value: SecretString,
    /// When it ceases to be of use, in the future; absent or null for never. For people: nothing happens then
    /// by itself.
    pub expires_at: Option<DateTime>,
}

impl From<SecretInput> for catalogue::SecretInput {
    fn from(input: SecretInput) -> Self {
        Self { name: input.name, value: input.value, expires_at: input.expires_at.map(|at| at.0) }
    }
}
