//! The GraphQL enum `Role`.

use async_graphql::Enum;
use callboard::store::catalogue::api_keys;

/// The role of an API key. ADMIN includes the rights of OPERATOR, and OPERATOR those of VIEWER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "api_keys::Role")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and enqueues, cancels and retries jobs.
    Operator,
    /// Everything, including secrets and keys.
    Admin,
}
