//! The inputs of the mutations of API keys.

use async_graphql::{ID, InputObject};
use callboard::catalogue::KeyCreate;

use super::Role;
use crate::graphql::scalars::DateTime;

/// The input of apiKeyCreate.
#[derive(Debug, InputObject)]
pub struct ApiKeyCreateInput {
    /// A description for people, 1 to 100 characters (a name, see docs/api.md). No two keys that
    /// are not revoked may have the same, or names that differ only in case or blanks.
    pub name: String,
    /// The role, which decides what the key may do.
    pub role: Role,
    /// When the key expires, in the future. Absent or null means never.
    pub expires_at: Option<DateTime>,
}

impl From<ApiKeyCreateInput> for KeyCreate {
    fn from(input: ApiKeyCreateInput) -> Self {
        let ApiKeyCreateInput { name, role, expires_at } = input;
        Self { name, role: role.into(), expires_at: expires_at.map(|at| at.0) }
    }
}

/// The input of apiKeyRevoke.
#[derive(Debug, InputObject)]
pub struct ApiKeyRevokeInput {
    /// The id of the key.
    pub id: ID,
}
