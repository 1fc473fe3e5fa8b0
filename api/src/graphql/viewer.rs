//! The query field `viewer`, the only query that works without a key.

use async_graphql::{Context, Object, SimpleObject};

use super::scalars::DateTime;
use crate::auth::{Caller, Role};

/// The API key of the current request.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Viewer {
    /// Name of the API key.
    pub name: String,
    /// The key's role, which decides what it may do.
    pub role: Role,
    /// When the key expires. Null for never.
    pub expires_at: Option<DateTime>,
}

impl From<&Caller> for Viewer {
    fn from(caller: &Caller) -> Self {
        Self { name: caller.name.clone(), role: caller.role, expires_at: caller.expires_at.map(DateTime) }
    }
}

/// The query field `viewer`.
#[derive(Debug, Default, Clone, Copy)]
pub struct ViewerQuery;

#[Object]
impl ViewerQuery {
    /// Returns the API key of the current request. Null without a key.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        Caller::of(ctx).map(Viewer::from)
    }
}
