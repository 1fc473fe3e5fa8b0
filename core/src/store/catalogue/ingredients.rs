//! Loads what a batch of jobs is composed from, in a few statements.
//!
//! Sealed values leave the store only here, and still sealed. Versions of commands never change,
//! and `command_versions` reads them.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    profiles::profile_row,
    proxies::{ProxyRow, SealedCredentials},
    services::ServiceRow,
};
use crate::{
    clock::Time,
    ids::{ProfileId, ProxyId, ServiceId},
    profile::Profile,
    proxy::Proxy,
    service::Service,
    store::{Connection, StoreError},
};

/// What a batch of jobs names. Ids may repeat.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Profiles. Their own services and proxies are loaded as well.
    pub profiles: Vec<ProfileId>,
    /// Services that jobs name in addition to those of their profiles.
    pub services: Vec<ServiceId>,
    /// Proxies that jobs name in addition to those of their profiles.
    pub proxies: Vec<ProxyId>,
}

/// What was found. Missing items do not exist.
#[derive(Debug, Clone, Default)]
pub struct StoredIngredients {
    /// The profiles.
    pub profiles: HashMap<ProfileId, StoredProfile>,
    /// The services, including those of the profiles.
    pub services: HashMap<ServiceId, StoredService>,
    /// The proxies, including those of the profiles.
    pub proxies: HashMap<ProxyId, StoredProxy>,
}

/// A profile with its secrets and lists.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProfile {
    /// The profile.
    pub profile: Profile,
    /// Its secrets in order of name.
    pub secrets: Vec<StoredSecret>,
    /// Its services in order. All of them were found.
    pub services: Vec<ServiceId>,
    /// Its proxies in order of preference. All of them were found.
    pub proxies: Vec<ProxyId>,
}

/// A sealed secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// Its name.
    pub name: String,
    /// Its value, sealed for its owner and name.
    pub sealed: Vec<u8>,
    /// When it expires, if an admin said so.
    pub expires_at: Option<Time>,
}

/// A service with its token.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredService {
    /// The service.
    pub service: Service,
    /// Its token, named `token`, if it is set.
    pub token: Option<StoredSecret>,
}

/// A proxy with its credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProxy {
    /// The proxy.
    pub proxy: Proxy,
    /// Its user name and password.
    pub credentials: SealedCredentials,
}

/// Loads what a batch of jobs names, in at most three statements. Each reads from one snapshot.
#[tracing::instrument(name = "db.ingredients.load", level = "debug", skip_all)]
pub async fn load(connection: &mut Connection, wanted: &Wanted) -> Result<StoredIngredients, StoreError> {
    let mut profiles = HashMap::new();
    if !wanted.profiles.is_empty() {
        profiles = load_profiles(connection, &wanted.profiles).await?;
    }
    let services = wanted.services.iter().chain(profiles.values().flat_map(|each| &each.services));
    let services = distinct(services.copied());
    let proxies = wanted.proxies.iter().chain(profiles.values().flat_map(|each| &each.proxies));
    let proxies = distinct(proxies.copied());
    let mut found = StoredIngredients { profiles, ..StoredIngredients::default() };
    if !services.is_empty() {
        found.services = load_services(connection, &services).await?;
    }
    if !proxies.is_empty() {
        found.proxies = load_proxies(connection, &proxies).await?;
    }
    // A service or proxy may be deleted between the statements. Its id is then no longer in the
    // lists of the database.
    for profile in found.profiles.values_mut() {
        profile.services.retain(|id| found.services.contains_key(id));
        profile.proxies.retain(|id| found.proxies.contains_key(id));
    }
    Ok(found)
}

fn distinct<Id: Into<Uuid>>(ids: impl Iterator<Item = Id>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.map(Into::into).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

async fn load_profiles(
    connection: &mut Connection,
    ids: &[ProfileId],
) -> Result<HashMap<ProfileId, StoredProfile>, StoreError> {
    let ids = distinct(ids.iter().copied());
    let rows = sqlx::query!(
        r#"SELECT id, profiles.name, chrome_profile_path, description, labels, environment, proxy_selection, caps,
               version, created_at, profiles.updated_at,
               ARRAY(SELECT service_id FROM profile_services WHERE profile_id = id ORDER BY position)
                   AS "services!",
               ARRAY(SELECT proxy_id FROM profile_proxies WHERE profile_id = id ORDER BY position)
                   AS "proxies!",
               secrets.names AS "names!", secrets.sealed AS "sealed!",
               secrets.expires AS "expires!: Vec<Option<Time>>"
           FROM profiles, LATERAL (
               SELECT coalesce(array_agg(name ORDER BY name), '{}') AS names,
                   coalesce(array_agg(sealed ORDER BY name), '{}') AS sealed,
                   coalesce(array_agg(expires_at ORDER BY name), '{}') AS expires
               FROM profile_secrets WHERE profile_id = id
           ) secrets
           WHERE id = ANY($1)"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    let mut profiles = HashMap::with_capacity(rows.len());
    for row in rows {
        let secrets = row.names.into_iter().zip(row.sealed).zip(row.expires);
        let secret = |((name, sealed), expires_at)| StoredSecret { name, sealed, expires_at };
        let stored = StoredProfile {
            profile: profile_row!(row).try_into()?,
            secrets: secrets.map(secret).collect(),
            services: row.services.into_iter().map(ServiceId::from).collect(),
            proxies: row.proxies.into_iter().map(ProxyId::from).collect(),
        };
        profiles.insert(ProfileId::from(row.id), stored);
    }
    Ok(profiles)
}

async fn load_services(
    connection: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<ServiceId, StoredService>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, name, base_url, token_hosts, settings, max_concurrency, rate_limits, caps, version, created_at, updated_at, token_sealed, token_expires_at
         FROM services WHERE id = ANY($1)",
        ids
    )
    .fetch_all(connection)
    .await?;
    let mut services = HashMap::with_capacity(rows.len());
    for row in rows {
        let service = ServiceRow {
            id: row.id,
            name: row.name,
            base_url: row.base_url,
            token_hosts: row.token_hosts,
            settings: row.settings,
            max_concurrency: row.max_concurrency,
            rate_limits: row.rate_limits,
            caps: row.caps,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        let expires_at = row.token_expires_at;
        let token = |sealed| StoredSecret { name: "token".to_owned(), sealed, expires_at };
        let stored = StoredService { service: service.try_into()?, token: row.token_sealed.map(token) };
        services.insert(ServiceId::from(row.id), stored);
    }
    Ok(services)
}

async fn load_proxies(
    connection: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<ProxyId, StoredProxy>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, name, protocol, address, username_sealed, password_sealed, health, latency_ms,
             exit_address, checked_at, check_failure, max_concurrency, rate_limits, version, created_at, updated_at
         FROM proxies WHERE id = ANY($1)",
        ids
    )
    .fetch_all(connection)
    .await?;
    let mut proxies = HashMap::with_capacity(rows.len());
    for row in rows {
        let proxy = ProxyRow {
            id: row.id,
            name: row.name,
            protocol: row.protocol,
            address: row.address,
            has_credentials: row.username_sealed.is_some() || row.password_sealed.is_some(),
            health: row.health,
            latency_ms: row.latency_ms,
            exit_address: row.exit_address,
            checked_at: row.checked_at,
            check_failure: row.check_failure,
            max_concurrency: row.max_concurrency,
            rate_limits: row.rate_limits,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        let credentials = SealedCredentials { username: row.username_sealed, password: row.password_sealed };
        proxies.insert(ProxyId::from(row.id), StoredProxy { proxy: proxy.try_into()?, credentials });
    }
    Ok(proxies)
}
