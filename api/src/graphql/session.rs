//! The mutations `sessionCreate` and `sessionDelete`, which trade a key for a cookie and give it
//! back.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use callboard::{
    refusal::{Refusal, RefusalCode},
    store::catalogue::sessions::KeyRef,
    transport::Hint,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{catalogue::acting, job::JobContext, payload::settle, user_error::UserError, viewer::Viewer};
use crate::{
    auth::{
        Access, Authenticator, Caller, Client, Credential, OwnEnd, Presented, StoredKeys, Transport, cookie,
    },
    error::{ApiError, Code},
};

/// The input of sessionCreate.
#[derive(Debug, InputObject)]
pub struct SessionCreateInput {
    /// An API key.
    pub key: SecretString,
}

/// Returned by sessionCreate and sessionDelete.
#[derive(Debug, SimpleObject)]
pub struct SessionPayload {
    /// Who is signed in now. Null when nobody is.
    pub viewer: Option<Viewer>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// The mutations of sessions.
#[derive(Debug, Default, Clone, Copy)]
pub struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Trades an API key for a cookie (HttpOnly, SameSite=Strict) that the browser sends with
    /// queries, mutations and sockets of pages of this address. A session ends with its key, when
    /// it is not used for a while, and after a fixed time (CALLBOARD_SESSION_IDLE and
    /// CALLBOARD_SESSION_LIFE). Requires no key, must be sent by POST with a JSON response, and may
    /// stand once in an operation. Refused for a page of another address, whose cookie would not
    /// count.
    async fn session_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The key to trade.")] input: SessionCreateInput,
    ) -> Result<SessionPayload> {
        let client = one_response(ctx)?;
        if let Some(why) = &client.cookie_refusal {
            return Ok(SessionPayload::refused("", &**why));
        }
        let presented = Presented::in_text(input.key.expose_secret());
        match ctx.data::<Arc<Authenticator>>()?.admit(&presented, &client).await {
            Ok(Access::SignedIn(caller, _)) => open(ctx, &caller, client).await,
            Ok(Access::Anonymous | Access::CookieIgnored(_)) => {
                Ok(SessionPayload::refused("key", "must be an API key"))
            }
            Err(error) if error.code == Code::Unauthenticated => Ok(SessionPayload::refused(
                "key",
                match presented {
                    Presented::Unreadable => "must be an API key".to_owned(),
                    Presented::Key(_)
                    | Presented::Sessions(_)
                    | Presented::Nothing
                    | Presented::CrossSite => error.message,
                },
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the session of this request and removes its cookie. Its sockets and event streams end
    /// within a second. Where the browser has sent several sessions, all end, so that nobody is
    /// signed in afterwards. Changes nothing for a key or without a session.
    async fn session_delete(&self, ctx: &Context<'_>) -> Result<SessionPayload> {
        let caller = Caller::of(ctx);
        let own = caller.and_then(Caller::session);
        remove_cookies(ctx);
        if own.is_some() {
            OwnEnd::note(ctx);
            let all = ctx.data::<Arc<Authenticator>>()?.sessions(ctx.data::<Presented>()?).await?;
            let mut user_errors = Vec::new();
            for id in own.into_iter().chain(all.into_iter().filter(|id| Some(*id) != own)) {
                let (_, refused) = settle(ctx, acting(ctx)?.keys().session_delete(id).await)?;
                user_errors.extend(refused);
            }
            announce_end(ctx)?;
            return Ok(SessionPayload { viewer: None, user_errors });
        }
        Ok(SessionPayload { viewer: caller.map(Viewer::from), user_errors: Vec::new() })
    }
}

impl SessionPayload {
    fn refused(path: &str, message: impl Into<String>) -> Self {
        let refusal = Refusal::new(RefusalCode::Invalid, path, message);
        Self { viewer: None, user_errors: vec![refusal.into()] }
    }
}

/// The client, whose response can carry a cookie.
fn one_response(ctx: &Context<'_>) -> Result<Client, ApiError> {
    match Client::of(ctx) {
        Some(client) if client.transport == Transport::Http => Ok(client.clone()),
        Some(_) | None => Err(ApiError::new(
            Code::BadRequest,
            "`sessionCreate` sets a cookie, so send it by POST and accept application/json.",
        )),
    }
}

async fn open(ctx: &Context<'_>, caller: &Caller, client: Client) -> Result<SessionPayload> {
    let stored = ctx.data::<StoredKeys>()?;
    let configured = || stored.configured.map(|key| key.hash).ok_or("no key is configured");
    let key = match caller.credential.key() {
        Some(id) => KeyRef::Stored(id),
        None => KeyRef::Configured(configured()?),
    };
    let before = match Caller::of(ctx).map(|caller| caller.credential) {
        Some(Credential::Session(id, _)) => Some(id),
        Some(Credential::Key(_) | Credential::ConfiguredKey) | None => None,
    };
    if before.is_some() {
        OwnEnd::note(ctx);
    }
    let keys = stored.keys.acting_for(Arc::new(caller.actor(&client)));
    let (done, user_errors) = settle(ctx, keys.session_create(key, stored.life, before).await)?;
    let Some(session) = done else { return Ok(SessionPayload { viewer: None, user_errors }) };
    if before.is_some() {
        announce_end(ctx)?;
    }
    ctx.append_http_header("set-cookie", cookie::set(&session.text, client.is_https));
    let ends = [Some(session.expires_at), caller.expires_at];
    let caller = Caller {
        credential: Credential::Session(session.id, caller.credential.key()),
        expires_at: ends.into_iter().flatten().min(),
        ..caller.clone()
    };
    Ok(SessionPayload { viewer: Some(Viewer::from(&caller)), user_errors })
}

fn remove_cookies(ctx: &Context<'_>) {
    for header in cookie::clear() {
        ctx.append_http_header("set-cookie", header);
    }
}

/// Makes every process look up keys and sessions anew, after one was ended.
pub(super) fn announce_end(ctx: &Context<'_>) -> Result<()> {
    ctx.data::<Arc<Authenticator>>()?.forget();
    let redis = JobContext::of(ctx)?.redis.clone();
    tokio::spawn(async move { redis.publish(&[Hint::AccessEnded]).await });
    Ok(())
}
