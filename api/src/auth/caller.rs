//! The authenticated caller of an operation, and its role.

use std::sync::Arc;

use async_graphql::{Context, Enum};
use callboard::{
    clock::Time,
    ids::{ApiKeyId, SessionId},
    store::catalogue::api_keys::{self, KeyOwner},
};

use crate::error::{ApiError, Code};

/// The role of an API key. ADMIN includes the rights of OPERATOR, and OPERATOR those of VIEWER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enum)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and enqueues, cancels and retries jobs.
    Operator,
    /// Everything, including secrets and keys.
    Admin,
}

impl From<api_keys::Role> for Role {
    fn from(role: api_keys::Role) -> Self {
        match role {
            api_keys::Role::Viewer => Self::Viewer,
            api_keys::Role::Operator => Self::Operator,
            api_keys::Role::Admin => Self::Admin,
        }
    }
}

impl Role {
    const fn article(self) -> &'static str {
        match self {
            Self::Viewer => "a VIEWER",
            Self::Operator => "an OPERATOR",
            Self::Admin => "an ADMIN",
        }
    }
}

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

impl From<KeyOwner> for Caller {
    fn from(owner: KeyOwner) -> Self {
        let KeyOwner { id, name, role, expires_at } = owner;
        Self { name, role: role.into(), credential: Credential::Key(id), expires_at }
    }
}

/// Whether the request carried a valid key. In the data of every operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A valid key was given.
    SignedIn(Arc<Caller>),
    /// No key was given. (Wrong keys are refused earlier.)
    Anonymous,
}

impl Access {
    /// Returns the caller, if there is one.
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::SignedIn(caller) => Some(caller),
            Self::Anonymous => None,
        }
    }
}

impl Caller {
    /// Returns the caller of an operation, if there is one.
    pub fn of<'a>(ctx: &Context<'a>) -> Option<&'a Self> {
        ctx.data_opt::<Access>().and_then(Access::caller)
    }

    /// Returns the caller, who must have at least this role. Every resolver that changes something,
    /// or shows more than a VIEWER may see, calls this first. Other queries need not, because only
    /// `viewer` runs without a key.
    pub fn require<'a>(ctx: &Context<'a>, least: Role) -> Result<&'a Self, ApiError> {
        let caller = Self::of(ctx).ok_or_else(unauthenticated)?;
        if caller.role < least {
            let (has, needs) = (caller.role.article(), least.article());
            let message = format!("This requires {needs} key, but yours is {has} key.");
            return Err(ApiError::new(Code::Forbidden, message));
        }
        Ok(caller)
    }
}

/// The error for an operation that requires a key when none was given.
pub(crate) fn unauthenticated() -> ApiError {
    ApiError::new(
        Code::Unauthenticated,
        "This requires an API key. Send the header `Authorization: Bearer cb_...`, or {\"authorization\": \
         \"Bearer cb_...\"} in connection_init.",
    )
}
