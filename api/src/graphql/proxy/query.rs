//! Reading proxies.

use async_graphql::{Context, ID, Object, Result};
use callboard::{catalogue::Catalogue, store::catalogue::proxies};

use super::{Proxy, ProxyConnection};
use crate::graphql::{
    limits::page_cost,
    loaders::{self, ProxyName},
    name_lists::{self, Wanted},
};

/// The query fields of proxies.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProxyQuery;

#[Object]
impl ProxyQuery {
    /// A proxy by its id or by its name; null when there is none.
    async fn proxy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id. Give either this or `name`.")] id: Option<ID>,
        #[graphql(desc = "Its exact name. Give either this or `id`.")] name: Option<String>,
    ) -> Option<Result<Proxy>> {
        find(ctx, id, name).await.transpose()
    }

    /// All proxies, in order of name.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn proxies(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, instead of the first: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Only those whose name contains this, in whichever case. Absent, null or empty: all."
        )]
        search: Option<String>,
    ) -> Result<ProxyConnection> {
        let request = name_lists::request((first, after), (last, before), search)?;
        let mut connection = ctx.data::<Catalogue>()?.store.read().await?;
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
