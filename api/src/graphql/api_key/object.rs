//! The GraphQL type `ApiKey` and its list.

use async_graphql::{Context, ID, Object, Result};
use callboard::{
    ids::ApiKeyId,
    store::catalogue::{api_keys, name_pages::NamePage},
};

use super::Role;
use crate::graphql::{loaders, name_lists, scalars::DateTime};

/// The GraphQL object `ApiKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey(api_keys::ApiKey);

crate::connection!(
    /// A page of API keys, ordered by name.
    ApiKeyConnection,
    /// An API key with its cursor.
    ApiKeyEdge,
    ApiKey
);

impl From<api_keys::ApiKey> for ApiKey {
    fn from(key: api_keys::ApiKey) -> Self {
        Self(key)
    }
}

impl ApiKey {
    /// Loads a key by its id. Batched.
    pub async fn load(ctx: &Context<'_>, id: ApiKeyId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }
}

impl ApiKeyConnection {
    /// Creates the connection from a page of the store.
    pub fn of(page: NamePage<api_keys::ApiKey>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(ApiKeyId::PREFIX, page, |row: &api_keys::ApiKey| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// An API key. The key itself is shown once, by apiKeyCreate. Requires an ADMIN key.
#[Object]
impl ApiKey {
    /// The global id, `key_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// A description for people.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The role, which decides what the key may do.
    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// When the key was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the key or a session of it was last used, to the minute. Null when never.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.0.last_used_at.map(DateTime)
    }

    /// When the key expires or has expired. Null for never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }

    /// When the key was revoked. Null when it was not.
    async fn revoked_at(&self) -> Option<DateTime> {
        self.0.revoked_at.map(DateTime)
    }
}
