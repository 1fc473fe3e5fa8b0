//! Who is asking: the query field `viewer`, the one field that works without a key.

use async_graphql::{Context, Object, SimpleObject};

use super::scalars::DateTime;
use crate::auth::{Caller, Role};

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Viewer {
    /// Name of the API key.
    pub name: String,
    /// What the key may do.
    pub role: Role,
    /// When the key ends by itself; null when it does not.
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
    /// Who is signed in; null when nobody is. Needs no key.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        Caller::of(ctx).map(Viewer::from)
    }
}
