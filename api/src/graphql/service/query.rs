//! The queries `service` and `services`.

use async_graphql::{Context, ID, Object, Result};
use callboard::{ids::ServiceId, store::catalogue::services};

use super::{Service, ServiceConnection};
use crate::graphql::{
    loaders::{self, ServiceName},
    name_lists::{self, Wanted},
    reads,
};

/// The query fields of services.
#[derive(Debug, Default, Clone, Copy)]
pub struct ServiceQuery;

#[Object]
impl ServiceQuery {
    /// Returns the service with this id or name. Null when there is none.
    async fn service(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id. Give exactly one of `id` and `name`.")] id: Option<ID>,
        #[graphql(desc = "The exact name. Give exactly one of `id` and `name`.")] name: Option<String>,
    ) -> Option<Result<Service>> {
        find(ctx, id, name).await.transpose()
    }

    /// Returns services, ordered by name.
    async fn services(
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
    ) -> Result<ServiceConnection> {
        let request = name_lists::request(ServiceId::PREFIX, (first, after), (last, before), search)?;
        let mut connection = reads::connection(ctx).await?;
        Ok(ServiceConnection::of(services::page(&mut connection, &request).await?))
    }
}

async fn find(ctx: &Context<'_>, id: Option<ID>, name: Option<String>) -> Result<Option<Service>> {
    match Wanted::of(id, name)? {
        Wanted::Id(id) => match id.parse() {
            Ok(id) => Service::load(ctx, id).await,
            Err(_) => Ok(None),
        },
        Wanted::Name(name) => Ok(loaders::one(ctx, ServiceName(name)).await?.map(Service::from)),
    }
}
