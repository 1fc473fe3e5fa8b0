//! The GraphQL type `Service` and its lists.

use async_graphql::{Context, ID, Object, Result};
use callboard::{
    clock::Time,
    ids::ServiceId,
    limit::{GateKey, gate::Gate, observed::Shut},
    service,
    store::{catalogue::name_pages::NamePage, limits::usage::User},
};

use crate::graphql::{
    consumption::{Consumer, Consumption},
    loaders::{self, SharesOf, TokenOf},
    name_lists,
    profile::ProfileConnection,
    rate_limit::{self, Cap, LimitUsage, RateLimit},
    scalars::{DateTime, Json, Url},
    secret::Secret,
};

/// The GraphQL object `Service`.
#[derive(Debug, Clone, PartialEq)]
pub struct Service(service::Service);

crate::connection!(
    /// A page of services, ordered by name.
    ServiceConnection,
    /// A service with its cursor.
    ServiceEdge,
    Service
);

impl From<service::Service> for Service {
    fn from(service: service::Service) -> Self {
        Self(service)
    }
}

impl Service {
    /// Loads a service by its id. Batched.
    pub async fn load(ctx: &Context<'_>, id: ServiceId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }

    /// Loads the service's gate and the time of the reading. Batched.
    async fn gate(&self, ctx: &Context<'_>) -> Result<(Gate, Time)> {
        rate_limit::gate(ctx, GateKey::Service(self.0.id)).await
    }

    /// Loads services in the order of their ids and leaves out ids without a service. Batched.
    pub async fn load_all(ctx: &Context<'_>, ids: Vec<ServiceId>) -> Result<Vec<Self>> {
        Ok(loaders::many(ctx, ids).await?.into_iter().map(Self).collect())
    }
}

impl ServiceConnection {
    /// Creates the connection from a page of the store.
    pub fn of(page: NamePage<service::Service>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(ServiceId::PREFIX, page, |row: &service::Service| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// An external service that jobs call, with its token, settings, limits and usage.
#[Object]
impl Service {
    /// The global id, `service_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The name, unique among services. Templates use it: `services.NAME.token`.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Base URL of the service, `services.NAME.base_url` in templates. Null when none is set.
    async fn base_url(&self) -> Option<Url> {
        self.0.base_url.as_deref().map(|url| Url(url.to_owned()))
    }

    /// Hosts to which HTTP commands may send the token, beside the host and port of baseUrl.
    async fn token_hosts(&self) -> Vec<String> {
        self.0.token_hosts.iter().map(service::TokenHost::to_string).collect()
    }

    /// The token, without its value. `isSet` is false when there is none.
    async fn token(&self, ctx: &Context<'_>) -> Result<Secret> {
        let state = loaders::one(ctx, TokenOf(self.0.id)).await?;
        Ok(state.map_or_else(|| Secret::unset("token"), Secret::from))
    }

    /// Settings that commands may use (`services.NAME.settings.*`). They are shown in plain text,
    /// so keep secrets out of them.
    async fn settings(&self) -> Json {
        Json(self.0.settings.clone())
    }

    /// Limits on how often jobs that use the service may start, across all workers.
    async fn rate_limits(&self) -> Vec<RateLimit> {
        rate_limit::rates(&self.0.limits)
    }

    /// Maximum number of jobs that use the service and run at once. Null for no limit.
    async fn max_concurrency(&self) -> Option<i32> {
        rate_limit::max_concurrency(&self.0.limits)
    }

    /// Limits on how many attempts that use the service may start in a day or a month.
    async fn caps(&self) -> Vec<Cap> {
        rate_limit::caps(&self.0.limits.caps)
    }

    /// The current state of each limit: first the declared rate limits and caps, then the limits
    /// that the service reports in its responses. An observed limit shows the last response, less
    /// the jobs that have started since.
    async fn usage(&self, ctx: &Context<'_>) -> Result<Vec<LimitUsage>> {
        let (gate, at) = self.gate(ctx).await?;
        Ok(gate.usage(&self.0.limits, at).into_iter().map(LimitUsage::from).collect())
    }

    /// Usage by the attempts that used the service, today and this month.
    async fn consumption(&self, ctx: &Context<'_>) -> Result<Consumption> {
        Consumption::of(ctx, User::Service(self.0.id)).await
    }

    /// The commands and profiles that used the service this month, most attempts first.
    async fn consumers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
    ) -> Result<Vec<Consumer>> {
        let limit = name_lists::request(ServiceId::PREFIX, (first, None), (None, None), None)?.limit;
        Consumer::of(ctx, SharesOf { of: self.0.id, limit }).await
    }

    /// The end of the pause that the service asked for. Its jobs wait until then. Null when it
    /// accepts requests, or when the end is unknown (see suspendedReason).
    async fn suspended_until(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let (gate, at) = self.gate(ctx).await?;
        Ok(gate.shut_until(at).map(DateTime))
    }

    /// Why the service's jobs wait. Null when it accepts requests. If suspendedUntil is null (for
    /// example because the account is out of credit), they wait until serviceResume.
    async fn suspended_reason(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        let (gate, at) = self.gate(ctx).await?;
        Ok(gate.why_shut(at).map(|shut| match shut {
            Shut::Until(_) => "The service asked for no more requests until then.".to_owned(),
            Shut::Suspended { reason } => reason.clone(),
        }))
    }

    /// The profiles that list the service, ordered by name.
    async fn profiles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
    ) -> Result<ProfileConnection> {
        ProfileConnection::listing(ctx, self.0.id, first, after).await
    }

    /// Increases by one with every change, including a new token. Pass it with an update, which is
    /// then refused if the service has changed.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the service was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the service was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
