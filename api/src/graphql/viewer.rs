//! The query field `viewer`, the only query that works without a key.

use async_graphql::{ComplexObject, Context, Object, SimpleObject};

use super::{api_key::Role, scalars::DateTime};
use crate::auth::{Caller, Credential, rules};

/// Who is signed in: the API key, or the session that was opened with it.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
#[graphql(complex)]
pub struct Viewer {
    /// Name of the API key.
    pub name: String,
    /// The key's role, which decides what it may do.
    pub role: Role,
    /// When the key or the session expires, whichever is first. Null for never.
    pub expires_at: Option<DateTime>,
    /// Whether the request was authenticated by a session's cookie, which sessionDelete ends.
    pub is_session: bool,
}

#[ComplexObject]
impl Viewer {
    /// The names of the queries, mutations and subscriptions that the role may use, in order of
    /// name. Others return FORBIDDEN.
    async fn can(&self) -> Vec<&'static str> {
        rules::allowed(self.role.into())
    }
}

impl From<&Caller> for Viewer {
    fn from(caller: &Caller) -> Self {
        Self {
            name: caller.name.clone(),
            role: caller.role.into(),
            expires_at: caller.expires_at.map(DateTime),
            is_session: match caller.credential {
                Credential::Session(..) => true,
                Credential::Key(_) | Credential::ConfiguredKey => false,
            },
        }
    }
}

/// The query field `viewer`.
#[derive(Debug, Default, Clone, Copy)]
pub struct ViewerQuery;

#[Object]
impl ViewerQuery {
    /// Returns who is signed in with this request. Null without a key or a session.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        Caller::of(ctx).map(Viewer::from)
    }
}
