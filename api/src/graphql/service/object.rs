//! The type `Service`, and lists of services.

use async_graphql::{Context, ID, Object, Result};
use callboard::{
    clock::Time,
    ids::ServiceId,
    limit::{GateKey, gate::Gate, learn::Shut},
    service,
    store::{catalogue::name_pages::NamePage, limits::usage::User},
};

use crate::graphql::{
    consumption::{Consumer, Consumption},
    limits::page_cost,
    loaders::{self, SharesOf, TokenOf},
    name_lists,
    profile::ProfileConnection,
    rate_limit::{self, Cap, LimitUsage, RateLimit},
    scalars::{DateTime, Json, Url},
    secret::Secret,
};

/// See the object below.
#[derive(Debug, Clone, PartialEq)]
pub struct Service(service::Service);

crate::connection!(
    /// A page of services, in order of name.
    ServiceConnection,
    /// A service in a list.
    ServiceEdge,
    Service
);

impl From<service::Service> for Service {
    fn from(service: service::Service) -> Self {
        Self(service)
    }
}

impl Service {
    /// A service by its id; batched.
    pub async fn load(ctx: &Context<'_>, id: ServiceId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }

    /// Its gate, and as of when; batched.
    async fn gate(&self, ctx: &Context<'_>) -> Result<(Gate, Time)> {
        rate_limit::gate(ctx, GateKey::Service(self.0.id)).await
    }

    /// Services in the order of their ids, without those that do not exist; batched.
    pub async fn load_all(ctx: &Context<'_>, ids: Vec<ServiceId>) -> Result<Vec<Self>> {
        Ok(loaders::many(ctx, ids).await?.into_iter().map(Self).collect())
    }
}

impl ServiceConnection {
    /// From a page of the store.
    pub fn of(page: NamePage<service::Service>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(page, |row: &service::Service| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// An outside service that jobs call: its token and its settings.
#[Object]
impl Service {
    /// Global id, `service_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Unique among services; templates spell it: `services.NAME.token`.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it lives; templates see it as `services.NAME.base_url`. Null when that was not told.
    async fn base_url(&self) -> Option<Url> {
        self.0.base_url.clone().map(Url)
    }

    /// Its token, without its value; `isSet` is false when it has none.
    async fn token(&self, ctx: &Context<'_>) -> Result<Secret> {
        let state = loaders::one(ctx, TokenOf(self.0.id)).await?;
        Ok(state.map_or_else(|| Secret::unset("token"), Secret::from))
    }

    /// An object that commands may use (`services.NAME.settings.*`). No place for secrets: it is shown as it
    /// is.
    async fn settings(&self) -> Json {
        Json(self.0.settings.clone())
    }

    /// How often jobs that use it may start, whoever runs them.
    async fn rate_limits(&self) -> Vec<RateLimit> {
        rate_limit::rates(&self.0.limits)
    }

    /// How many jobs that use it may run at once; null for as many as there are.
    async fn max_concurrency(&self) -> Option<i32> {
        rate_limit::max_concurrency(&self.0.limits)
    }

    /// How many attempts that use it may start in a day or a month.
    async fn caps(&self) -> Vec<Cap> {
        rate_limit::caps(&self.0.limits.caps)
    }

    /// What is known now of each limit: rates and caps that are declared, then those that the service tells of in its own answers. The
    /// latter are what the last answer said, less the jobs that have started since.
    async fn usage(&self, ctx: &Context<'_>) -> Result<Vec<LimitUsage>> {
        let (gate, at) = self.gate(ctx).await?;
        Ok(gate.usage(&self.0.limits, at).into_iter().map(LimitUsage::from).collect())
    }

    /// How much the attempts with it have used, today and this month.
    async fn consumption(&self, ctx: &Context<'_>) -> Result<Consumption> {
        Consumption::of(ctx, User::Service(self.0.id)).await
    }

    /// Who used it this month, those first that used it most.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn consumers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
    ) -> Result<Vec<Consumer>> {
        let limit = name_lists::request((first, None), (None, None), None)?.limit;
        Consumer::of(ctx, SharesOf { of: self.0.id, limit }).await
    }

    /// Until when it wants no more requests, by its own account; its jobs wait so long. Null when it takes requests, and when
    /// nobody knows how long: see suspendedReason.
    async fn suspended_until(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let (gate, at) = self.gate(ctx).await?;
        Ok(gate.shut_until(at).map(DateTime))
    }

    /// Why its jobs wait; null when it takes requests. Without suspendedUntil (the account is out of money, say) they wait until
    /// serviceResume.
    async fn suspended_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let (gate, at) = self.gate(ctx).await?;
        Ok(gate.why_shut(at).map(|shut| match shut {
            Shut::Until(_) => "It asked for no more requests until then.".to_owned(),
            Shut::Suspended { reason } => reason.clone(),
        }))
    }

    /// The profiles that list it, in order of name.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn profiles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
    ) -> Result<ProfileConnection> {
        ProfileConnection::listing(ctx, self.0.id, first, after).await
    }

    /// Rises by one with every change, a new token included. Hand it back with an update to be told when
    /// somebody else was faster.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
