//! The mutations that create, import, update, delete and check proxies.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{
    ids::ProxyId,
    proxy,
    refusal::{Refusal, RefusalCode},
    steps::StepError,
    store::catalogue::ingredients::{self, Wanted},
};

use super::{
    Proxy, ProxyCheckInput, ProxyCreateInput, ProxyDeleteInput, ProxyImportInput, ProxyProbe,
    ProxyUpdateInput,
};
use crate::graphql::{
    catalogue::acting,
    inputs::id_of,
    payload::{DeletePayload, refuse, settle},
    user_error::UserError,
};

/// Returned by proxyCreate, proxyImport, proxyUpdate and proxyCheck.
#[derive(Debug, SimpleObject)]
pub struct ProxyPayload {
    /// The proxy as it is now. Null when the input was refused.
    pub proxy: Option<Proxy>,
    /// Why the input was refused. Empty on success. A check that finds the proxy down is not an
    /// error. See `health`.
    pub user_errors: Vec<UserError>,
}

impl ProxyPayload {
    fn of(ctx: &Context<'_>, done: Result<proxy::Proxy, StepError>) -> Result<Self> {
        let (proxy, user_errors) = settle(ctx, done)?;
        Ok(Self { proxy: proxy.map(Proxy::from), user_errors })
    }

    fn refused(ctx: &Context<'_>, refusal: Refusal) -> Self {
        Self { proxy: None, user_errors: refuse(ctx, [refusal]) }
    }
}

/// The mutations of proxies.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProxyMutation;

#[Object]
impl ProxyMutation {
    /// Creates a proxy. Its health is UNKNOWN until it is checked. Requires an ADMIN key.
    async fn proxy_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proxy to create.")] input: ProxyCreateInput,
    ) -> Result<ProxyPayload> {
        ProxyPayload::of(ctx, Box::pin(acting(ctx)?.proxy_create(input.into())).await)
    }

    /// Creates a proxy from a share link: http://, https:// or socks5://. Requires an ADMIN key.
    async fn proxy_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The share link.")] input: ProxyImportInput,
    ) -> Result<ProxyPayload> {
        ProxyPayload::of(ctx, Box::pin(acting(ctx)?.proxy_import(input.into())).await)
    }

    /// Updates a proxy. Running attempts keep the values that they started with. Requires an ADMIN
    /// key.
    async fn proxy_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proxy to update, and the changes.")] input: ProxyUpdateInput,
    ) -> Result<ProxyPayload> {
        ProxyPayload::of(ctx, Box::pin(acting(ctx)?.proxy_update(input.into())).await)
    }

    /// Deletes a proxy and its credentials. Refused with IN_USE while a profile, a command, a
    /// schedule or an unfinished job uses it. Requires an ADMIN key.
    async fn proxy_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proxy to delete.")] input: ProxyDeleteInput,
    ) -> Result<DeletePayload> {
        let done = acting(ctx)?.proxy_delete(id_of(&input.id), input.version).await;
        DeletePayload::of(ctx, input.id, done)
    }

    /// Sends a real request through the proxy to CALLBOARD_PROXY_CHECK_URL and records the outcome
    /// in `health`. Takes at most 10 seconds. Refused with NOT_ALLOWED_IN_STATE when no such URL is
    /// configured. Requires an ADMIN key.
    async fn proxy_check(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proxy to check.")] input: ProxyCheckInput,
    ) -> Result<ProxyPayload> {
        Box::pin(check(ctx, id_of(&input.id))).await
    }
}

async fn check(ctx: &Context<'_>, id: ProxyId) -> Result<ProxyPayload> {
    let (catalogue, probe) = (acting(ctx)?, ctx.data::<ProxyProbe>()?);
    let wanted = Wanted { proxies: vec![id], ..Wanted::default() };
    let found =
        ingredients::load(&mut *catalogue.store.connection().await?, &wanted).await?.proxies.remove(&id);
    let Some(stored) = found else {
        return Ok(ProxyPayload::refused(ctx, Refusal::not_found("id", "proxy")));
    };
    let Some(target) = probe.target() else {
        let message = "the proxy cannot be checked until CALLBOARD_PROXY_CHECK_URL is set for the API";
        return Ok(ProxyPayload::refused(ctx, Refusal::new(RefusalCode::NotAllowedInState, "", message)));
    };
    let result = probe.send(target, &stored, &catalogue.keyring).await?;
    match catalogue.proxy_record_check(id, stored.proxy.version, result).await {
        Err(StepError::Refused(refusals))
            if refusals.iter().all(|each| each.code == RefusalCode::StaleVersion) =>
        {
            let message = "the proxy was changed during the check and must be checked again";
            Ok(ProxyPayload::refused(ctx, Refusal::new(RefusalCode::StaleVersion, "id", message)))
        }
        done => ProxyPayload::of(ctx, done),
    }
}
