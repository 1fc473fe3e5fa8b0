//! Changing and checking proxies.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{
    catalogue::Catalogue,
    ids::ProxyId,
    proxy,
    refusal::{Refusal, RefusalCode},
    steps::CatalogueError,
    store::catalogue::ingredients::{self, Wanted},
};

use super::{
    Proxy, ProxyCheckInput, ProxyCreateInput, ProxyDeleteInput, ProxyImportInput, ProxyProbe,
    ProxyUpdateInput,
};
use crate::{
    auth::{Caller, Role},
    graphql::{
        inputs::id_of,
        payload::{DeletePayload, settle},
        user_error::UserError,
    },
};

/// The answer to a change or a check of a proxy.
#[derive(Debug, SimpleObject)]
pub struct ProxyPayload {
    /// As it is now; null when the request was refused.
    pub proxy: Option<Proxy>,
    /// Why it was refused; empty when it was done. A check that fails is no error: see `health`.
    pub user_errors: Vec<UserError>,
}

impl ProxyPayload {
    fn of(done: Result<proxy::Proxy, CatalogueError>) -> Result<Self> {
        let (proxy, user_errors) = settle(done)?;
        Ok(Self { proxy: proxy.map(Proxy::from), user_errors })
    }

    fn refused(refusal: Refusal) -> Self {
        Self { proxy: None, user_errors: vec![refusal.into()] }
    }
}

/// The mutations of proxies.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProxyMutation;

#[Object]
impl ProxyMutation {
    /// Makes a proxy; its health is UNKNOWN until it is checked. Needs an ADMIN key.
    async fn proxy_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new proxy.")] input: ProxyCreateInput,
    ) -> Result<ProxyPayload> {
        Caller::require(ctx, Role::Admin)?;
        ProxyPayload::of(ctx.data::<Catalogue>()?.proxy_create(input.into()).await)
    }

    /// Makes a proxy from a share link: http://, https:// or socks5://. Needs an ADMIN key.
    async fn proxy_import(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link.")] input: ProxyImportInput,
    ) -> Result<ProxyPayload> {
        Caller::require(ctx, Role::Admin)?;
        ProxyPayload::of(ctx.data::<Catalogue>()?.proxy_import(input.into()).await)
    }

    /// Changes a proxy; running attempts keep what they were started with. Needs an ADMIN key.
    async fn proxy_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which proxy, and what to change.")] input: ProxyUpdateInput,
    ) -> Result<ProxyPayload> {
        Caller::require(ctx, Role::Admin)?;
        ProxyPayload::of(ctx.data::<Catalogue>()?.proxy_update(input.into()).await)
    }

    /// Deletes a proxy with its credentials; IN_USE while a profile, a command or a job that has not ended
    /// needs it. Needs an ADMIN key.
    async fn proxy_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which proxy.")] input: ProxyDeleteInput,
    ) -> Result<DeletePayload> {
        Caller::require(ctx, Role::Admin)?;
        let done = ctx.data::<Catalogue>()?.proxy_delete(id_of(&input.id), input.version).await;
        Ok(DeletePayload::of(input.id, done)?)
    }

    /// Sends a real request through the proxy, to the address that CALLBOARD_PROXY_CHECK_URL names, and
    /// records in its `health` what came back. Takes at most 10 seconds. NOT_ALLOWED_IN_STATE where no such
    /// address is configured. Needs an ADMIN key.
    async fn proxy_check(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which proxy.")] input: ProxyCheckInput,
    ) -> Result<ProxyPayload> {
        Caller::require(ctx, Role::Admin)?;
        check(ctx, id_of(&input.id)).await
    }
}

async fn check(ctx: &Context<'_>, id: ProxyId) -> Result<ProxyPayload> {
    let (catalogue, probe) = (ctx.data::<Catalogue>()?, ctx.data::<ProxyProbe>()?);
    let wanted = Wanted { proxies: vec![id], ..Wanted::default() };
    let found = ingredients::load(&mut *catalogue.store.read().await?, &wanted).await?.proxies.remove(&id);
    let Some(stored) = found else {
        return Ok(ProxyPayload::refused(Refusal::not_found("id", "proxy")));
    };
    let Some(target) = probe.target() else {
        let message =
            "where to send the request is not configured: set CALLBOARD_PROXY_CHECK_URL for the API";
        return Ok(ProxyPayload::refused(Refusal::new(RefusalCode::NotAllowedInState, "", message)));
    };
    let result = probe.send(target, &stored, &catalogue.keyring).await?;
    match catalogue.proxy_record_check(id, stored.proxy.version, result).await {
        Err(CatalogueError::Refused(refusals))
            if refusals.iter().all(|each| each.code == RefusalCode::StaleVersion) =>
        {
            let message = "the proxy was changed while it was being checked: check it again";
            Ok(ProxyPayload::refused(Refusal::new(RefusalCode::StaleVersion, "id", message)))
        }
        done => ProxyPayload::of(done),
    }
}
