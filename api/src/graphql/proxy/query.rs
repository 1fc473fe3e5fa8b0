//! The queries `proxy` and `proxies`.

use async_graphql::{Context, ID, Object, Result};
use callboard::{ids::ProxyId, store::catalogue::proxies};

use super::{Proxy, ProxyConnection};
use crate::graphql::{
    loaders::{self, ProxyName},
    name_lists::{self, Wanted},
    reads,
};

/// The query fields of proxies.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProxyQuery;

#[Object]
impl ProxyQuery {
    /// Returns the proxy with this id or name. Null when there is none.
    async fn proxy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id. Give exactly one of `id` and `name`.")] id: Option<ID>,
        #[graphql(desc = "The exact name. Give exactly one of `id` and `name`.")] name: Option<String>,
    ) -> Option<Result<Proxy>> {
        find(ctx, id, name).await.transpose()
    }

    /// Returns proxies, ordered by name.
    async fn proxies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Returns only items whose name contains this text, ignoring case. Absent, null or \
                    empty returns all."
        )]
        search: Option<String>,
    ) -> Result<ProxyConnection> {
        let request = name_lists::request(ProxyId::PREFIX, (first, after), (last, before), search)?;
        let mut connection = reads::connection(ctx).await?;
        Ok(ProxyConnection::of(proxies::page(&mut connection, &request).await?))
    }
}

async fn find(ctx: &Context<'_>, id: Option<ID>, name: Option<String>) -> Result<Option<Proxy>> {
    match Wanted::of(id, name)? {
        Wanted::Id(id) => match id.parse() {
            Ok(id) => Proxy::load(ctx, id).await,
            Err(_) => Ok(None),
        },
        Wanted::Name(name) => Ok(loaders::one(ctx, ProxyName(name)).await?.map(Proxy::from)),
    }
}
