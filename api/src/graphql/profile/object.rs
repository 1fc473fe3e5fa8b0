//! The GraphQL type `Profile` and its lists.

use async_graphql::{Context, Enum, ID, Object, Result};
use callboard::{
    ids::{ProfileId, ProxyId, ServiceId},
    limit::{GateKey, Limits},
    profile,
    store::{catalogue::name_pages::NamePage, limits::usage::User},
};
use serde_json::json;
use uuid::Uuid;

use crate::graphql::{
    consumption::Consumption,
    job::{self, Job, JobConnection, JobFilter},
    loaders::{self, ProfilesOf, ProxiesOf, SecretsOf, ServicesOf},
    name_lists,
    proxy::Proxy,
    rate_limit::{self, Cap, LimitUsage},
    scalars::{DateTime, Json},
    secret::Secret,
    service::Service,
};

/// The GraphQL object `Profile`.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile(profile::Profile);

/// How the next proxy is chosen among a profile's proxies. Proxies that are down or cooling down
/// are skipped while another one is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "profile::ProxySelection")]
pub enum ProxySelection {
    /// The first available proxy in order of preference.
    FirstHealthy,
    /// Each available proxy in turn, from attempt to attempt.
    RoundRobin,
    /// The available proxy with the fewest running jobs.
    LeastBusy,
}

crate::connection!(
    /// A page of profiles, ordered by name.
    ProfileConnection,
    /// A profile with its cursor.
    ProfileEdge,
    Profile
);

impl From<profile::Profile> for Profile {
    fn from(profile: profile::Profile) -> Self {
        Self(profile)
    }
}

impl Profile {
    /// Loads a profile by its id. Batched.
    pub async fn load(ctx: &Context<'_>, id: ProfileId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }
}

impl ProfileConnection {
    /// Creates the connection from a page of the store.
    pub fn of(page: NamePage<profile::Profile>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(ProfileId::PREFIX, page, |row: &profile::Profile| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }

    /// Loads the profiles that list a service or proxy. Batched.
    pub async fn listing<Id>(
        ctx: &Context<'_>,
        of: Id,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Self>
    where
        Id: Copy + Send + Sync + std::hash::Hash + Eq + 'static,
        loaders::CatalogueLoader: async_graphql::dataloader::Loader<
                ProfilesOf<Id>,
                Value = NamePage<profile::Profile>,
                Error = std::sync::Arc<callboard::store::StoreError>,
            >,
    {
        let request = name_lists::request(ProfileId::PREFIX, (first, after), (None, None), None)?;
        let after: Option<(String, Uuid)> = request.after.map(|cursor| (cursor.name, cursor.id));
        let page = loaders::one(ctx, ProfilesOf { of, limit: request.limit, after }).await?;
        let empty = NamePage { items: Vec::new(), has_previous: false, has_next: false, total: 0 };
        Ok(Self::of(page.unwrap_or(empty)))
    }
}

/// A browser identity: one Chrome user-data directory with its tokens, services and proxies.
#[Object]
impl Profile {
    /// The global id, `profile_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The name, unique among profiles.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// The Chrome user-data directory, relative to the worker's profile root. Never absolute, never
    /// with `..`. Unique among profiles.
    async fn chrome_profile_path(&self) -> &str {
        &self.0.chrome_profile_path
    }

    /// A description for people.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The labels, sorted and without duplicates, at most 20.
    async fn labels(&self) -> &[String] {
        &self.0.labels
    }

    /// Plain variables that commands may use (`profile.environment.NAME`), as an object with string
    /// values.
    async fn environment(&self) -> Json {
        Json(json!(self.0.environment))
    }

    /// The secrets ordered by name, without their values, at most 100.
    async fn secrets(&self, ctx: &Context<'_>) -> Result<Vec<Secret>> {
        let states = loaders::one(ctx, SecretsOf(self.0.id)).await?.unwrap_or_default();
        Ok(states.into_iter().map(Secret::from).collect())
    }

    /// The services that its jobs get unless the job or its command names others. In order, at most
    /// 100.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        let ids: Vec<ServiceId> = loaders::one(ctx, ServicesOf(self.0.id)).await?.unwrap_or_default();
        Service::load_all(ctx, ids).await
    }

    /// The proxies that its jobs choose from unless the job or its command names one. In order of
    /// preference, at most 100.
    async fn proxies(&self, ctx: &Context<'_>) -> Result<Vec<Proxy>> {
        let ids: Vec<ProxyId> = loaders::one(ctx, ProxiesOf(self.0.id)).await?.unwrap_or_default();
        Proxy::load_all(ctx, ids).await
    }

    /// How a proxy is chosen among `proxies` when an attempt starts.
    async fn proxy_selection(&self) -> ProxySelection {
        self.0.proxy_selection.into()
    }

    /// Limits on how many attempts may start on it in a day or a month.
    async fn caps(&self) -> Vec<Cap> {
        rate_limit::caps(&self.0.caps)
    }

    /// The job that currently runs on the profile. Null when none does. A profile is never open in
    /// two browsers.
    async fn held_by(&self, ctx: &Context<'_>) -> Option<Result<Job>> {
        job::held_by(ctx, self.0.id).await.transpose()
    }

    /// The jobs that run on the profile, have run on it or will, newest first.
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns only jobs that match. Absent or null returns all.")] filter: Option<
            JobFilter,
        >,
    ) -> Result<JobConnection> {
        job::jobs_of_profile(ctx, self.0.id, first, after, filter).await
    }

    /// The current state of each cap.
    async fn usage(&self, ctx: &Context<'_>) -> Result<Vec<LimitUsage>> {
        let limits = Limits { caps: self.0.caps.clone(), ..Limits::default() };
        LimitUsage::of(ctx, GateKey::Profile(self.0.id), &limits).await
    }

    /// Usage by its attempts, today and this month.
    async fn consumption(&self, ctx: &Context<'_>) -> Result<Consumption> {
        Consumption::of(ctx, User::Profile(self.0.id)).await
    }

    /// Increases by one with every change. Pass it with an update, which is then refused if the
    /// profile has changed.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the profile was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the profile was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
