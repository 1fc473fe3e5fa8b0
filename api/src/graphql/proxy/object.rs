//! The type `Proxy`, and lists of proxies.

use async_graphql::{ComplexObject, Context, Enum, ID, Object, Result, SimpleObject};
use callboard::{
    duration::IsoDuration, ids::ProxyId, limit::GateKey, proxy, store::catalogue::name_pages::NamePage,
};

use crate::graphql::{
    limits::page_cost,
    loaders, name_lists,
    profile::ProfileConnection,
    rate_limit::{self, LimitUsage, RateLimit},
    scalars::{DateTime, Duration},
};

/// See the object below.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy(proxy::Proxy);

/// What a proxy speaks. New protocols may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "proxy::ProxyProtocol")]
pub enum ProxyProtocol {
    /// An HTTP proxy, with CONNECT for TLS.
    Http,
    /// The same, reached over TLS.
    Https,
    /// SOCKS version 5; names are resolved at its end. Browsers cannot use one that has credentials.
    #[graphql(name = "SOCKS5")]
    Socks5,
}

/// What is known of a proxy's health.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
#[graphql(complex)]
pub struct ProxyHealth {
    #[graphql(skip)]
    proxy: ProxyId,
    /// Up, down or not known.
    pub status: HealthStatus,
    /// How long the last good check took.
    pub latency: Option<Duration>,
    /// The address that the outside saw, where the target of the check tells it.
    pub exit_address: Option<String>,
    /// When it was last checked; null when never, or not since its address or credentials changed.
    pub checked_at: Option<DateTime>,
    /// Why it is down, at most 500 characters; null when it is not.
    pub failure: Option<String>,
}

#[ComplexObject]
impl ProxyHealth {
    /// Until when nobody goes through it, because an attempt could not reach it: for 5 seconds, and twice as long each time that it is
    /// so again, up to 15 minutes. Null when it may be tried. A good check, or another address or other credentials, end it.
    async fn cooling_until(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let (gate, at) = rate_limit::gate(ctx, GateKey::Proxy(self.proxy)).await?;
        Ok(gate.shut_until(at).map(DateTime))
    }
}

/// Up, down or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "proxy::HealthStatus")]
pub enum HealthStatus {
    /// Not checked since it was made or since its address or credentials changed.
    Unknown,
    /// The last check went through.
    Healthy,
    /// The last check failed.
    Down,
}

crate::connection!(
    /// A page of proxies, in order of name.
    ProxyConnection,
    /// A proxy in a list.
    ProxyEdge,
    Proxy
);

impl From<proxy::Proxy> for Proxy {
    fn from(proxy: proxy::Proxy) -> Self {
        Self(proxy)
    }
}

impl Proxy {
    /// A proxy by its id; batched.
    pub async fn load(ctx: &Context<'_>, id: ProxyId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }

    /// Proxies in the order of their ids, without those that do not exist; batched.
    pub async fn load_all(ctx: &Context<'_>, ids: Vec<ProxyId>) -> Result<Vec<Self>> {
        Ok(loaders::many(ctx, ids).await?.into_iter().map(Self).collect())
    }
}

impl ProxyConnection {
    /// From a page of the store.
    pub fn of(page: NamePage<proxy::Proxy>) -> Self {
        let (items, bounds, total) = name_lists::parts(page, |row: &proxy::Proxy| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// A way out to the network.
#[Object]
impl Proxy {
    /// Global id, `proxy_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Unique among proxies.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it speaks. Never changes.
    async fn protocol(&self) -> ProxyProtocol {
        self.0.protocol.into()
    }

    /// `host:port`.
    async fn address(&self) -> &str {
        &self.0.address
    }

    /// Whether it has a user name or a password. They are never shown.
    async fn has_credentials(&self) -> bool {
        self.0.has_credentials
    }

    /// What the last proxyCheck found, and whether attempts could reach it.
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

    /// How often jobs that name it may start, whoever runs them.
    async fn rate_limits(&self) -> Vec<RateLimit> {
        rate_limit::rates(&self.0.limits)
    }

    /// How many jobs that name it may run at once; null for as many as there are.
    async fn max_concurrency(&self) -> Option<i32> {
        rate_limit::max_concurrency(&self.0.limits)
    }

    /// What is known now of each of its rates.
    async fn usage(&self, ctx: &Context<'_>) -> Result<Vec<LimitUsage>> {
        LimitUsage::of(ctx, GateKey::Proxy(self.0.id), &self.0.limits).await
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

    /// Rises by one with every change, but not with a check. Hand it back with an update to be told when
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
