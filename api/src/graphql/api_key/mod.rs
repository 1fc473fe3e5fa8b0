//! API keys: their list, and how they are created and revoked.

mod inputs;
mod mutation;
mod object;
mod query;
mod role;

pub use inputs::{ApiKeyCreateInput, ApiKeyRevokeInput};
pub use mutation::{ApiKeyCreatePayload, ApiKeyMutation, ApiKeyPayload};
pub use object::{ApiKey, ApiKeyConnection, ApiKeyEdge};
pub use query::ApiKeyQuery;
pub use role::Role;
