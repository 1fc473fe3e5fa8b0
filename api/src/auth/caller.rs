//! The authenticated caller of an operation.

use std::sync::Arc;

use async_graphql::Context;
use callboard::{
    audit::Actor,
    clock::Time,
    ids::{ApiKeyId, SessionId},
    store::catalogue::api_keys::Role,
};

use super::{Client, Proof, rules};
use crate::error::{ApiError, Code};

const NO_KEY: &str = "This requires an API key or a session. Send the header `Authorization: Bearer cb_...`, or \
     {\"authorization\": \"Bearer cb_...\"} in connection_init.";

/// What a caller has proved its identity with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The key of the configuration (`CALLBOARD_API_KEY`).
    ConfiguredKey,
    /// A key of the catalogue.
    Key(ApiKeyId),
    /// A session, and the key that it was opened with. `None` for the configured key.
    Session(SessionId, Option<ApiKeyId>),
}

impl Credential {
    /// The key of the catalogue, if it is one or a session of one.
    pub const fn key(self) -> Option<ApiKeyId> {
        match self {
            Self::ConfiguredKey => None,
            Self::Key(id) => Some(id),
            Self::Session(_, key) => key,
        }
    }
}

/// The holder of a valid API key, or of a session that was opened with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Name of the key, for people and the audit.
    pub name: String,
    /// The key's role.
    pub role: Role,
    /// The key, or the session.
    pub credential: Credential,
    /// When the key or the session expires, whichever is first.
    pub expires_at: Option<Time>,
}

/// Whether the request carried a valid key. In the data of every operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A valid key or session was given, which is looked up by this.
    SignedIn(Arc<Caller>, Proof),
    /// No key was given. (Wrong keys are refused earlier.)
    Anonymous,
    /// No key was given, and the cookie of a session that does not count, for this reason.
    CookieIgnored(Arc<str>),
}

impl Access {
    /// Who acts, for the audit.
    pub fn actor(&self, client: &Client) -> Actor {
        let nobody = || Actor {
            address: client.address,
            transport: Some(client.transport.as_str()),
            ..Actor::default()
        };
        self.caller().map_or_else(nobody, |caller| caller.actor(client))
    }

    /// Returns the caller, if there is one.
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::SignedIn(caller, _) => Some(caller),
            Self::Anonymous | Self::CookieIgnored(_) => None,
        }
    }

    /// The error for an operation that requires a key when none was given.
    pub(crate) fn unauthenticated(&self) -> ApiError {
        let message = match self {
            Self::CookieIgnored(why) => why,
            Self::SignedIn(..) | Self::Anonymous => NO_KEY,
        };
        ApiError::new(Code::Unauthenticated, message)
    }
}

impl Caller {
    /// The session, if it is one.
    pub const fn session(&self) -> Option<SessionId> {
        match self.credential {
            Credential::Session(id, _) => Some(id),
            Credential::ConfiguredKey | Credential::Key(_) => None,
        }
    }

    /// Who acts, for the audit.
    pub fn actor(&self, client: &Client) -> Actor {
        Actor {
            name: self.name.clone(),
            role: Some(self.role.as_str()),
            is_bound: self.role < Role::Admin,
            key: self.credential.key(),
            address: client.address,
            transport: Some(client.transport.as_str()),
        }
    }

    /// Returns the caller of an operation, if there is one.
    pub fn of<'a>(ctx: &Context<'a>) -> Option<&'a Self> {
        ctx.data_opt::<Access>().and_then(Access::caller)
    }

    /// Whether the caller of an operation may load an object of this type by its id.
    pub fn may_load(ctx: &Context<'_>, on: &str) -> bool {
        rules::may_load(on, Self::of(ctx).map(|caller| caller.role))
    }
}
