//! The query `apiKeys`.

use async_graphql::{Context, Object, Result};
use callboard::{ids::ApiKeyId, store::catalogue::api_keys};

use super::ApiKeyConnection;
use crate::graphql::{name_lists, reads};

/// The query fields of API keys.
#[derive(Debug, Default, Clone, Copy)]
pub struct ApiKeyQuery;

#[Object]
impl ApiKeyQuery {
    /// Returns the API keys, ordered by name, also those that are revoked or have expired. The key
    /// of the configuration (CALLBOARD_API_KEY) is not among them. Requires an ADMIN key.
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<ApiKeyConnection> {
        let request = name_lists::request(ApiKeyId::PREFIX, (first, after), (last, before), None)?;
        let mut connection = reads::connection(ctx).await?;
        Ok(ApiKeyConnection::of(api_keys::page(&mut connection, &request).await?))
    }
}
