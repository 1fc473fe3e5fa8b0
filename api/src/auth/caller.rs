//! The caller of an operation, as resolvers see it.

use std::sync::Arc;

use async_graphql::{Context, Enum};
use callboard::{
    clock::Time,
    ids::ApiKeyId,
    store::catalogue::api_keys::{self, KeyOwner},
};

use crate::error::{ApiError, Code};

/// What a key may do. Each role may also do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enum)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads; enqueues, cancels, retries.
    Operator,
    /// All, secrets and keys included.
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

/// Whoever holds a valid key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Name of the key, for people and the audit.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The key in the catalogue; none for the key of the configuration.
    pub key: Option<ApiKeyId>,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
}

impl From<KeyOwner> for Caller {
    fn from(owner: KeyOwner) -> Self {
        let KeyOwner { id, name, role, expires_at } = owner;
        Self { name, role: role.into(), key: Some(id), expires_at }
    }
}

/// Whether somebody is signed in. In the data of every operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A valid key was shown.
    SignedIn(Arc<Caller>),
    /// No key was shown. (A wrong one never gets this far.)
    Anonymous,
}

impl Access {
    /// The caller, if somebody is signed in.
    pub fn caller(&self) -> Option<&Caller> {
        match self {
            Self::SignedIn(caller) => Some(caller),
            Self::Anonymous => None,
        }
    }
}

impl Caller {
    /// Who is signed in, if anybody.
    pub fn of<'a>(ctx: &Context<'a>) -> Option<&'a Self> {
        ctx.data_opt::<Access>().and_then(Access::caller)
    }

    /// The caller, who must have at least this role. Called first in every resolver that changes something or shows
    /// more than a VIEWER may see; reading needs no call, because nothing but `viewer` runs without a key.
    pub fn require<'a>(ctx: &Context<'a>, least: Role) -> Result<&'a Self, ApiError> {
        let caller = Self::of(ctx).ok_or_else(unauthenticated)?;
        if caller.role < least {
            let (has, needs) = (caller.role.article(), least.article());
            let message = format!("This needs {needs} key; yours is {has} key.");
            return Err(ApiError::new(Code::Forbidden, message));
        }
        Ok(caller)
    }
}

/// Nobody is signed in, and the operation needs somebody.
pub(crate) fn unauthenticated() -> ApiError {
    ApiError::new(
        Code::Unauthenticated,
        "This needs an API key: send the header `Authorization: Bearer cb_...`, or {\"authorization\": \"Bearer cb_...\"} \
         in connection_init.",
    )
}
