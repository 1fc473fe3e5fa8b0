//! Batched reads of the catalogue for one operation.
//!
//! [`add`] puts the [`Loaders`] into an operation. Nothing is cached between batches, so that a
//! mutation never sees what an earlier mutation in the same request replaced, and a subscription
//! never sees old rows.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use async_graphql::{
    Context, Error, Request,
    dataloader::{DataLoader, Loader},
};
use callboard::{
    audit::Actor,
    clock::Time,
    ids::{ApiKeyId, CommandId, CommandVersionId, ProfileId, ProxyId, ScheduleId, ServiceId},
    limit::{GateKey, gate::Gate},
    profile::Profile,
    proxy::Proxy,
    service::Service,
    steps::enqueue::context::SubmitContext,
    store::{
        Store, StoreError,
        catalogue::{
            api_keys::{self, ApiKey},
            command_versions::{self, CommandVersion},
            commands::{self, Command},
            name_pages::{NameCursor, NamePage},
            profile_relations::{self, profiles_of_proxies, profiles_of_services},
            profile_secrets::{self, SecretState},
            profiles, proxies,
            schedules::{self, Schedule},
            services,
        },
        limits::{
            gates,
            usage::{self, Share, Usage, User},
        },
    },
};
use uuid::Uuid;

use super::{job::Composed, reads::ReadConnection};
use crate::allowance::Allowance;

/// Loads batches of catalogue rows.
#[derive(Debug)]
pub struct CatalogueLoader {
    reads: Store,
    allowance: Arc<Allowance>,
}

/// The catalogue's loaders of one operation.
pub type Loaders = DataLoader<CatalogueLoader>;

/// Gives an operation of this actor its loaders, which read with the connections of `reads`.
pub fn add(
    request: Request,
    reads: &Store,
    submit: &Arc<SubmitContext>,
    allowance: &Arc<Allowance>,
    actor: &Arc<Actor>,
) -> Request {
    let loader = CatalogueLoader { reads: reads.clone(), allowance: Arc::clone(allowance) };
    let composed = Composed::new(Arc::clone(submit), reads.clone(), Arc::clone(allowance), Arc::clone(actor));
    request.data(DataLoader::new(loader, tokio::spawn)).data(composed)
}

impl CatalogueLoader {
    /// A connection, with the operation's permit for a statement.
    pub(super) async fn connection(&self) -> Result<ReadConnection, StoreError> {
        ReadConnection::of(&self.reads, &self.allowance).await
    }
}

/// Loads one value. `None` when no row has this key.
pub async fn one<K>(
    ctx: &Context<'_>,
    key: K,
) -> async_graphql::Result<Option<<CatalogueLoader as Loader<K>>::Value>>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    CatalogueLoader: Loader<K, Error = Arc<StoreError>>,
{
    ctx.data::<Loaders>()?.load_one(key).await.map_err(shared)
}

/// Loads several values in the order of their keys. Keys without a row are left out.
pub async fn many<K>(
    ctx: &Context<'_>,
    keys: Vec<K>,
) -> async_graphql::Result<Vec<<CatalogueLoader as Loader<K>>::Value>>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    CatalogueLoader: Loader<K, Error = Arc<StoreError>>,
{
    let mut found = ctx.data::<Loaders>()?.load_many(keys.iter().cloned()).await.map_err(shared)?;
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}

/// Converts an error of a whole batch, keeping its source for `error::classify`.
fn shared(error: Arc<StoreError>) -> Error {
    Error { message: error.to_string(), source: Some(error), extensions: None }
}

/// Key for loading a profile by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProfileName(pub String);
/// Key for loading a service by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceName(pub String);
/// Key for loading a proxy by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyName(pub String);
/// Key for loading a command by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandName(pub String);
/// Key for loading a schedule by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScheduleName(pub String);
/// Key for the secrets of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretsOf(pub ProfileId);
/// Key for the services that a profile lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServicesOf(pub ProfileId);
/// Key for the proxies that a profile lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProxiesOf(pub ProfileId);
/// Key for the token of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenOf(pub ServiceId);
/// Key for the commands and profiles that used a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharesOf {
    /// The service.
    pub of: ServiceId,
    /// Maximum number of entries.
    pub limit: u16,
}
/// Key for a page of the profiles that list a service or a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProfilesOf<Id> {
    /// The service or proxy.
    pub of: Id,
    /// Maximum number of profiles on the page.
    pub limit: u16,
    /// Name and id of the profile that the page starts after.
    pub after: Option<(String, Uuid)>,
}

macro_rules! loads {
    ($($key:ty => $value:ty, |$connection:ident, $keys:ident| $load:expr;)+) => { $(
        impl Loader<$key> for CatalogueLoader {
            type Value = $value;
            type Error = Arc<StoreError>;

            async fn load(&self, $keys: &[$key]) -> Result<HashMap<$key, $value>, Arc<StoreError>> {
                let mut connection = self.connection().await?;
                let $connection = &mut connection;
                $load
            }
        }
    )+ };
}

loads! {
    ApiKeyId => ApiKey, |connection, ids| Ok(by(api_keys::load(connection, ids).await?, |row| row.id));
    ProfileId => Profile, |connection, ids| Ok(by(profiles::load(connection, ids).await?, |row| row.id));
    ServiceId => Service, |connection, ids| Ok(by(services::load(connection, ids).await?, |row| row.id));
    ProxyId => Proxy, |connection, ids| Ok(by(proxies::load(connection, ids).await?, |row| row.id));
    CommandId => Command, |connection, ids| Ok(by(commands::load(connection, ids).await?, |row| row.id));
    CommandVersionId => Arc<CommandVersion>, |connection, ids| {
        let versions = command_versions::load(connection, ids).await?;
        Ok(by(versions.into_iter().map(Arc::new).collect(), |version| version.id))
    };
    ProfileName => Profile, |connection, names| {
        let names: Vec<String> = names.iter().map(|name| name.0.clone()).collect();
        Ok(by(profiles::load_by_name(connection, &names).await?, |row| ProfileName(row.name.clone())))
    };
    ServiceName => Service, |connection, names| {
        let names: Vec<String> = names.iter().map(|name| name.0.clone()).collect();
        Ok(by(services::load_by_name(connection, &names).await?, |row| ServiceName(row.name.clone())))
    };
    ProxyName => Proxy, |connection, names| {
        let names: Vec<String> = names.iter().map(|name| name.0.clone()).collect();
        Ok(by(proxies::load_by_name(connection, &names).await?, |row| ProxyName(row.name.clone())))
    };
    CommandName => Command, |connection, names| {
        let names: Vec<String> = names.iter().map(|name| name.0.clone()).collect();
        Ok(by(commands::load_by_name(connection, &names).await?, |row| CommandName(row.name.clone())))
    };
    ScheduleId => Schedule, |connection, ids| Ok(by(schedules::load(connection, ids).await?, |row| row.id));
    ScheduleName => Schedule, |connection, names| {
        let names: Vec<String> = names.iter().map(|name| name.0.clone()).collect();
        Ok(by(schedules::load_by_name(connection, &names).await?, |row| ScheduleName(row.plan.name.clone())))
    };
    SecretsOf => Vec<SecretState>, |connection, keys| {
        let ids: Vec<ProfileId> = keys.iter().map(|key| key.0).collect();
        Ok(keyed(profile_secrets::states(connection, &ids).await?, SecretsOf))
    };
    ServicesOf => Vec<ServiceId>, |connection, keys| {
        let ids: Vec<ProfileId> = keys.iter().map(|key| key.0).collect();
        Ok(keyed(profile_relations::services(connection, &ids).await?, ServicesOf))
    };
    ProxiesOf => Vec<ProxyId>, |connection, keys| {
        let ids: Vec<ProfileId> = keys.iter().map(|key| key.0).collect();
        Ok(keyed(profile_relations::proxies(connection, &ids).await?, ProxiesOf))
    };
    TokenOf => SecretState, |connection, keys| {
        let ids: Vec<ServiceId> = keys.iter().map(|key| key.0).collect();
        Ok(keyed(services::tokens(connection, &ids).await?, TokenOf))
    };
    GateKey => (Gate, Time), |connection, keys| {
        let found = gates::look(connection, keys).await?;
        let Some(at) = found.at else { return Ok(HashMap::new()) };
        Ok(found.gates.into_iter().map(|(key, gate)| (key, (gate, at))).collect())
    };
    User => Usage, |connection, users| Ok(usage::load(connection, users).await?);
    SharesOf => Vec<Share>, |connection, keys| {
        let most = keys.iter().map(|key| key.limit).max().unwrap_or_default();
        let ids: Vec<ServiceId> = keys.iter().map(|key| key.of).collect();
        let mut of_service: HashMap<ServiceId, Vec<Share>> = HashMap::new();
        for (service, share) in usage::shares(connection, &ids, most.into()).await? {
            of_service.entry(service).or_default().push(share);
        }
        let shares = |key: &SharesOf| {
            of_service.get(&key.of).map(|shares| shares.iter().take(key.limit.into()).copied().collect())
        };
        Ok(keys.iter().filter_map(|key| Some((*key, shares(key)?))).collect())
    };
    ProfilesOf<ServiceId> => NamePage<Profile>, |connection, keys| {
        let mut pages = HashMap::new();
        for ((limit, after), ids) in alike(keys) {
            let cursor = cursor(after.as_ref());
            let found = profiles_of_services(connection, &ids, cursor.as_ref(), limit).await?;
            pages.extend(keyed(found, |of| ProfilesOf { of, limit, after: after.clone() }));
        }
        Ok(pages)
    };
    ProfilesOf<ProxyId> => NamePage<Profile>, |connection, keys| {
        let mut pages = HashMap::new();
        for ((limit, after), ids) in alike(keys) {
            let cursor = cursor(after.as_ref());
            let found = profiles_of_proxies(connection, &ids, cursor.as_ref(), limit).await?;
            pages.extend(keyed(found, |of| ProfilesOf { of, limit, after: after.clone() }));
        }
        Ok(pages)
    };
}

fn by<K: Hash + Eq, Row>(rows: Vec<Row>, key: impl Fn(&Row) -> K) -> HashMap<K, Row> {
    rows.into_iter().map(|row| (key(&row), row)).collect()
}

fn keyed<Id, K: Hash + Eq, V>(found: HashMap<Id, V>, key: impl Fn(Id) -> K) -> HashMap<K, V> {
    found.into_iter().map(|(id, value)| (key(id), value)).collect()
}

/// Limit of a page, and the name and id of the profile that it starts after.
type PageBounds = (u16, Option<(String, Uuid)>);

/// Groups keys with the same page bounds, because one statement reads each group. Usually there is
/// one group.
fn alike<Id: Copy>(keys: &[ProfilesOf<Id>]) -> HashMap<PageBounds, Vec<Id>> {
    let mut alike: HashMap<_, Vec<Id>> = HashMap::new();
    for key in keys {
        alike.entry((key.limit, key.after.clone())).or_default().push(key.of);
    }
    alike
}

fn cursor(after: Option<&(String, Uuid)>) -> Option<NameCursor> {
    after.map(|(name, id)| NameCursor { name: name.clone(), id: *id })
}
