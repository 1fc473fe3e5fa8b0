//! The GraphQL type `Proxy` and its lists.

use async_graphql::{ComplexObject, Context, Enum, ID, Object, Result, SimpleObject};
use callboard::{
    duration::IsoDuration, ids::ProxyId, limit::GateKey, proxy, store::catalogue::name_pages::NamePage,
};

use crate::graphql::{
    loaders, name_lists,
    profile::ProfileConnection,
    rate_limit::{self, LimitUsage, RateLimit},
    scalars::{DateTime, Duration},
};

/// The GraphQL object `Proxy`.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy(proxy::Proxy);

/// The protocol of a proxy. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "proxy::ProxyProtocol")]
pub enum ProxyProtocol {
    /// An HTTP proxy. HTTPS requests use CONNECT.
    Http,
    /// An HTTP proxy reached over TLS. HTTPS requests use CONNECT.
    Https,
    /// SOCKS version 5, with names resolved by the proxy. Browsers cannot use one that has
    /// credentials.
    #[graphql(name = "SOCKS5")]
    Socks5,
}

/// The health of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
#[graphql(complex)]
pub struct ProxyHealth {
    #[graphql(skip)]
    proxy: ProxyId,
    /// The result of the last check.
    pub status: HealthStatus,
    /// How long the last successful check took. Null when there was none.
    pub latency: Option<Duration>,
    /// The client address that the check's target saw, if the target reports it.
    pub exit_address: Option<String>,
    /// When the proxy was last checked. Null when never, or not since its address or credentials
    /// changed.
    pub checked_at: Option<DateTime>,
    /// Why the proxy is down, at most 500 characters. Null when it is not.
    pub failure: Option<String>,
}

#[ComplexObject]
impl ProxyHealth {
    /// Until when the proxy is cooling down because an attempt could not reach it. The first
    /// cool-down lasts 5 seconds, each further one twice as long, up to 15 minutes. A successful
    /// check or a change of address or credentials ends it. Null when the proxy may be used.
    async fn cooling_until(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let (gate, at) = rate_limit::gate(ctx, GateKey::Proxy(self.proxy)).await?;
        Ok(gate.shut_until(at).map(DateTime))
    }
}

/// The result of a proxy's last check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "proxy::HealthStatus")]
pub enum HealthStatus {
    /// Not checked since it was created or since its address or credentials changed.
    Unknown,
    /// The last check succeeded.
    Healthy,
    /// The last check failed.
    Down,
}

crate::connection!(
    /// A page of proxies, ordered by name.
    ProxyConnection,
    /// A proxy with its cursor.
    ProxyEdge,
    Proxy
);

impl From<proxy::Proxy> for Proxy {
    fn from(proxy: proxy::Proxy) -> Self {
        Self(proxy)
    }
}

impl Proxy {
    /// Loads a proxy by its id. Batched.
    pub async fn load(ctx: &Context<'_>, id: ProxyId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }

    /// Loads proxies in the order of their ids and leaves out ids without a proxy. Batched.
    pub async fn load_all(ctx: &Context<'_>, ids: Vec<ProxyId>) -> Result<Vec<Self>> {
        Ok(loaders::many(ctx, ids).await?.into_iter().map(Self).collect())
    }
}

impl ProxyConnection {
    /// Creates the connection from a page of the store.
    pub fn of(page: NamePage<proxy::Proxy>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(ProxyId::PREFIX, page, |row: &proxy::Proxy| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// A proxy that jobs reach the network through.
#[Object]
impl Proxy {
    /// The global id, `proxy_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The name, unique among proxies.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The protocol, which never changes.
    async fn protocol(&self) -> ProxyProtocol {
        self.0.protocol.into()
    }

    /// `host:port`.
    async fn address(&self) -> &str {
        &self.0.address
    }

    /// Whether the proxy has a user name or a password. They are never shown.
    async fn has_credentials(&self) -> bool {
        self.0.has_credentials
    }

    /// The result of the last proxyCheck, and whether attempts could reach the proxy.
    async fn health(&self) -> ProxyHealth {
        let proxy::ProxyHealth { status, latency_ms, exit_address, checked_at, failure } =
            self.0.health.clone();
        let latency = latency_ms.and_then(|millis| u64::try_from(millis).ok()).map(IsoDuration::from_millis);
        ProxyHealth {
            proxy: self.0.id,
            status: status.into(),
            latency: latency.map(Duration),
            exit_address,
            checked_at: checked_at.map(DateTime),
            failure,
        }
    }

    /// Limits on how often jobs that use the proxy may start, across all workers.
    async fn rate_limits(&self) -> Vec<RateLimit> {
        rate_limit::rates(&self.0.limits)
    }

    /// Maximum number of jobs that use the proxy and run at once. Null for no limit.
    async fn max_concurrency(&self) -> Option<i32> {
        rate_limit::max_concurrency(&self.0.limits)
    }

    /// The current state of each rate limit.
    async fn usage(&self, ctx: &Context<'_>) -> Result<Vec<LimitUsage>> {
        LimitUsage::of(ctx, GateKey::Proxy(self.0.id), &self.0.limits).await
    }

    /// The profiles that list the proxy, ordered by name.
    async fn profiles(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
    ) -> Result<ProfileConnection> {
        ProfileConnection::listing(ctx, self.0.id, first, after).await
    }

    /// Increases by one with every change. A check is not a change. Pass it with an update, which
    /// is then refused if the proxy has changed.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the proxy was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the proxy was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
