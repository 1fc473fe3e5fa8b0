//! `proxy_create`, `proxy_import`, `proxy_update`, `proxy_delete`, `proxy_record_check`.
//!
//! A SOCKS5 proxy may have credentials, which PROGRAM and HTTP commands can use. PLAYWRIGHT cannot,
//! because no browser authenticates to a SOCKS proxy.

use secrecy::SecretString;
use serde_json::json;

use super::{
    Catalogue,
    audited::{masked, of_proxy},
    checks::Checks,
    credentials::{self, Credentials},
    in_use,
    share_link::ShareLink,
};
use crate::{
    audit::{Change, Object},
    ids::ProxyId,
    limit::{GateKey, Limits},
    name::{self, NAME_CHARS_MAX},
    patch::{LimitsPatch, Patch},
    proxy::{HealthStatus, Proxy, ProxyHealth, ProxyProtocol, check_address},
    refusal::{Refusal, RefusalCode},
    steps::{
        StepError,
        limits::{observe::reopen, queue_limit::below_what_runs},
    },
    store::{
        Connection, StoreError,
        catalogue::{
            proxies::{self, ProxyDraft, SealedCredentials},
            references,
        },
        commit,
        limits::gates,
    },
};

/// The kind of object in the audit.
const KIND: &str = "proxy";
const NAME_TAKEN: &str = "another proxy has this name";
/// Longest failure of a check that is kept, in characters.
const FAILURE_CHARS_MAX: usize = 500;
/// Longest exit address that is kept, in characters.
const EXIT_ADDRESS_CHARS_MAX: usize = 255;

/// A new proxy.
#[derive(Debug, Clone)]
pub struct ProxyCreate {
    /// Unique among proxies.
    pub name: String,
    /// The protocol, which cannot be changed later.
    pub protocol: ProxyProtocol,
    /// `host:port`.
    pub address: String,
    /// 1 to 255 bytes, without `:` for HTTP. A browser cannot use a SOCKS5 proxy that requires one.
    pub username: Option<SecretString>,
    /// 1 to 255 bytes, only with a user name.
    pub password: Option<SecretString>,
    /// No limits by default.
    pub limits: LimitsPatch,
}

/// A new proxy from a share link.
#[derive(Debug, Clone)]
pub struct ProxyImport {
    /// The name. If omitted, the link's text after `#`, or else its address.
    pub name: Option<String>,
    /// `http://`, `https://` or `socks5://`, then `user:password@host:port#name`.
    pub link: SecretString,
}

/// An update of a proxy.
#[derive(Debug, Clone)]
pub struct ProxyUpdate {
    /// The proxy.
    pub id: ProxyId,
    /// The version that the caller read. A stale one is refused. `None` skips this check.
    pub version: Option<i32>,
    /// The changes.
    pub changes: ProxyChanges,
}

/// Changes of a proxy. [`ProxyCreate`] has the bounds.
#[derive(Debug, Clone, Default)]
pub struct ProxyChanges {
    /// Cannot be cleared.
    pub name: Patch<String>,
    /// Cannot be cleared.
    pub address: Patch<String>,
    /// Clearing removes it, which is refused while there is a password.
    pub username: Patch<SecretString>,
    /// Clearing removes it.
    pub password: Patch<SecretString>,
    /// How many jobs that go through it may run at once, and how often they may start.
    pub limits: LimitsPatch,
}

/// The result of a proxy's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// A request went through.
    Up {
        /// How long it took, in milliseconds.
        latency_ms: u32,
        /// The address that the target saw, if it reported one.
        exit_address: Option<String>,
    },
    /// No request went through.
    Down {
        /// Why, for people, cut to 500 characters.
        failure: String,
    },
}

impl Catalogue {
    /// Creates a proxy whose health is unknown.
    pub async fn proxy_create(&self, input: ProxyCreate) -> Result<Proxy, StepError> {
        self.proxy_insert("proxyCreate", input, Checks::default()).await
    }

    /// Creates a proxy from a share link.
    pub async fn proxy_import(&self, input: ProxyImport) -> Result<Proxy, StepError> {
        let mut checks = Checks::default();
        let Some(link) = ShareLink::read(&mut checks, &input.link) else {
            if let Some(name) = input.name {
                checks.take(name::check_name("name", &name));
            }
            return Err(checks.refused());
        };
        let from_link =
            || link.name.unwrap_or_else(|| link.address.clone()).chars().take(NAME_CHARS_MAX).collect();
        let create = ProxyCreate {
            name: input.name.unwrap_or_else(from_link),
            protocol: link.protocol,
            address: link.address,
            username: link.username,
            password: link.password,
            limits: LimitsPatch::default(),
        };
        self.proxy_insert("proxyImport", create, checks).await.map_err(|error| match error {
            StepError::Refused(refusals) => StepError::Refused(refusals.into_iter().map(of_link).collect()),
            StepError::Store(_) | StepError::Evaluator(_) => error,
        })
    }

    async fn proxy_insert(
        &self,
        mutation: &str,
        input: ProxyCreate,
        mut checks: Checks,
    ) -> Result<Proxy, StepError> {
        let id: ProxyId = self.ids.make();
        checks.take(check_address("address", &input.address));
        let given = Credentials {
            username: Patch::set_or_clear(input.username),
            password: Patch::set_or_clear(input.password),
        };
        given.check(&mut checks, input.protocol, &SealedCredentials::default());
        let limits = checks.limits(input.limits, &Limits::default());
        let mut transaction = self.store.begin().await?;
        let is_taken = async |name: &str| proxies::name_is_taken(&mut transaction, id, name).await;
        let name = checks.name(input.name, None, NAME_TAKEN, is_taken).await?;
        checks.passed()?;
        let credentials = credentials::seal(&self.keyring, id, given, SealedCredentials::default());
        let draft = ProxyDraft { name, address: input.address, credentials, limits };
        let proxy = proxies::insert(&mut transaction, id, input.protocol, &draft).await.map_err(taken)?;
        let change =
            Change::between(None, Some(&of_proxy(&draft))).and("protocol", input.protocol.as_str().into());
        let object = Object::new(KIND, &id, Some(&draft.name));
        self.note(&mut transaction, mutation, object, change).await?;
        commit(transaction).await?;
        Ok(proxy)
    }

    /// Updates a proxy. After a change of its address or credentials its health is unknown until
    /// the next check, and it stops cooling down. A request that changes nothing leaves the version
    /// as it is.
    pub async fn proxy_update(&self, input: ProxyUpdate) -> Result<Proxy, StepError> {
        let ProxyUpdate { id, version, changes } = input;
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        let sealed = proxies::credentials(&mut transaction, id).await?;
        let name = checks.required("name", changes.name, &stored.name);
        let address = checks.required("address", changes.address, &stored.address);
        checks.take(check_address("address", &address));
        let given = Credentials { username: changes.username, password: changes.password };
        given.check(&mut checks, stored.protocol, &sealed);
        let limits = checks.limits(changes.limits, &stored.limits);
        let (before, after) = (stored.limits.max_concurrency, limits.max_concurrency);
        let key = GateKey::Proxy(id);
        checks.extend(below_what_runs(&mut transaction, &key, before, after).await?);
        let is_taken = async |name: &str| proxies::name_is_taken(&mut transaction, id, name).await;
        let name = checks.name(name, Some(&stored.name), NAME_TAKEN, is_taken).await?;
        checks.passed()?;
        let credentials = credentials::seal(&self.keyring, id, given, sealed.clone());
        let is_moved = (&address, &credentials) != (&stored.address, &sealed);
        if !is_moved && (&name, &limits) == (&stored.name, &stored.limits) {
            let object = Object::new(KIND, &id, Some(&stored.name));
            self.note_unchanged(transaction, "proxyUpdate", object).await?;
            return Ok(stored);
        }
        let draft = ProxyDraft { name, address, credentials, limits };
        let old = ProxyDraft {
            name: stored.name,
            address: stored.address,
            credentials: sealed.clone(),
            limits: stored.limits,
        };
        let mut change = Change::between(Some(&of_proxy(&old)), Some(&of_proxy(&draft)));
        if draft.credentials != sealed {
            change = change.and("credentials", masked());
        }
        let proxy = proxies::update(&mut transaction, id, &draft, is_moved).await.map_err(taken)?;
        if is_moved {
            reopen(&mut transaction, &key).await?;
        }
        gates::relimit(&mut transaction, &key, &draft.limits).await?;
        let object = Object::new(KIND, &id, Some(&draft.name));
        self.note(&mut transaction, "proxyUpdate", object, change).await?;
        commit(transaction).await?;
        Ok(proxy)
    }

    /// Stores the result of a check. A healthy one ends the proxy's cool-down. Refused if the proxy
    /// has changed since `version`, because the result is about the old address or credentials.
    pub async fn proxy_record_check(
        &self,
        id: ProxyId,
        version: i32,
        result: CheckResult,
    ) -> Result<Proxy, StepError> {
        let health = match result {
            CheckResult::Up { latency_ms, exit_address } => ProxyHealth {
                status: HealthStatus::Healthy,
                latency_ms: Some(i32::try_from(latency_ms).unwrap_or(i32::MAX)),
                exit_address: exit_address.map(|text| cut(&text, EXIT_ADDRESS_CHARS_MAX)),
                checked_at: None,
                failure: None,
            },
            CheckResult::Down { failure } => ProxyHealth {
                status: HealthStatus::Down,
                failure: Some(cut(&failure, FAILURE_CHARS_MAX)),
                ..ProxyHealth::default()
            },
        };
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        let Some(proxy) = proxies::set_health(&mut transaction, id, version, &health).await? else {
            let mut checks = Checks::default();
            checks.version(stored.version, Some(version));
            return Err(checks.refused());
        };
        match health.status {
            HealthStatus::Healthy => {
                reopen(&mut transaction, &GateKey::Proxy(id)).await?;
            }
            HealthStatus::Down | HealthStatus::Unknown => {}
        }
        let change = Change::default().and("health", health.status.as_str().into());
        self.note(&mut transaction, "proxyCheck", Object::new(KIND, &id, Some(&stored.name)), change).await?;
        commit(transaction).await?;
        Ok(proxy)
    }

    /// Deletes a proxy and its credentials. Refused while a profile, command, schedule or
    /// unfinished job references it.
    pub async fn proxy_delete(&self, id: ProxyId, version: Option<i32>) -> Result<(), StepError> {
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        in_use::check(&mut checks, "proxy", &references::of_proxy(&mut transaction, id).await?);
        checks.passed()?;
        let deleted = proxies::delete(&mut transaction, id).await;
        deleted.map_err(|error| in_use::refused_by_constraint(error, "proxy"))?;
        gates::remove(&mut transaction, &GateKey::Proxy(id)).await?;
        let object = Object::new(KIND, &id, Some(&stored.name));
        let change = Change::default();
        let change =
            Change { before: Some(json!({ "name": stored.name, "address": stored.address })), ..change };
        self.note(&mut transaction, "proxyDelete", object, change).await?;
        commit(transaction).await?;
        Ok(())
    }
}

/// The first characters of an external text, without NUL, which Postgres does not store.
fn cut(text: &str, chars_max: usize) -> String {
    text.chars().filter(|each| *each != '\0').take(chars_max).collect()
}

/// A refusal of a part of a link, which is the one field that was given.
fn of_link(refusal: Refusal) -> Refusal {
    match refusal.path.first().map(String::as_str) {
        Some(part @ ("address" | "username" | "password")) => Refusal {
            message: format!("its {part} {}", refusal.message),
            path: vec!["link".into()],
            ..refusal
        },
        Some(_) | None => refusal,
    }
}

async fn locked(connection: &mut Connection, id: ProxyId) -> Result<Proxy, StepError> {
    proxies::lock(connection, id).await?.ok_or_else(|| StepError::no("proxy"))
}

/// Two concurrent requests may both find a name free. The constraint then refuses the second.
fn taken(error: StoreError) -> StepError {
    match error.constraint() {
        Some("proxies_name_key") => StepError::refused(RefusalCode::Taken, &["name"], NAME_TAKEN),
        Some(_) | None => error.into(),
    }
}
