//! The mutations that create and revoke API keys.

use async_graphql::{Context, Object, Result, SimpleObject};
use secrecy::ExposeSecret as _;

use super::{ApiKey, ApiKeyCreateInput, ApiKeyRevokeInput};
use crate::{
    auth::{Caller, OwnEnd},
    graphql::{
        catalogue::acting, inputs::id_of, payload::settle, session::announce_end, user_error::UserError,
    },
};

/// Returned by apiKeyCreate.
#[derive(Debug, SimpleObject)]
pub struct ApiKeyCreatePayload {
    /// The key: `cb_`, 43 random letters and digits, and 6 of a checksum (CRC-32 in base 62). It is
    /// shown here and nowhere else, ever. Null when the input was refused.
    pub key: Option<String>,
    /// What is known of the key. Null when the input was refused.
    pub api_key: Option<ApiKey>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// Returned by apiKeyRevoke.
#[derive(Debug, SimpleObject)]
pub struct ApiKeyPayload {
    /// The key as it is now. Null when the input was refused.
    pub api_key: Option<ApiKey>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// The mutations of API keys.
#[derive(Debug, Default, Clone, Copy)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Creates an API key, which is shown in this payload and nowhere else, ever. At most 1000 keys
    /// may exist that are not revoked. Requires an ADMIN key.
    async fn api_key_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key to create.")] input: ApiKeyCreateInput,
    ) -> Result<ApiKeyCreatePayload> {
        let (done, user_errors) = settle(ctx, acting(ctx)?.keys().key_create(input.into()).await)?;
        let (api_key, key) = done.unzip();
        let key = key.map(|text| text.expose_secret().to_owned());
        Ok(ApiKeyCreatePayload { key, api_key: api_key.map(ApiKey::from), user_errors })
    }

    /// Revokes an API key. Within a second its requests are refused, also those that still run,
    /// and its sessions, sockets and event streams end. A key that is revoked already stays as it
    /// is. Requires an ADMIN key.
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key to revoke.")] input: ApiKeyRevokeInput,
    ) -> Result<ApiKeyPayload> {
        let id = id_of(&input.id);
        if Caller::of(ctx).is_some_and(|caller| caller.credential.key() == Some(id)) {
            OwnEnd::note(ctx);
        }
        let (done, user_errors) = settle(ctx, acting(ctx)?.keys().key_revoke(id).await)?;
        if done.is_some() {
            announce_end(ctx)?;
        }
        Ok(ApiKeyPayload { api_key: done.map(ApiKey::from), user_errors })
    }
}
