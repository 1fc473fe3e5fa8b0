//! `service_create`, `service_update`, `service_delete`, `service_token_refresh`.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    Catalogue,
    audited::{masked, of_service},
    bounds,
    checks::Checks,
    in_use,
};
use crate::{
    audit::{Change, Object},
    clock::{Time, written},
    ids::ServiceId,
    limit::{GateKey, Limits},
    name::check_identifier,
    patch::{LimitsPatch, Patch},
    refusal::RefusalCode,
    secret::Owner,
    service::Service,
    steps::{StepError, limits::queue_limit::below_what_runs},
    store::{
        Connection, StoreError,
        catalogue::{
            references,
            services::{self, ServiceDraft},
        },
        commit,
        limits::gates,
    },
};

/// The kind of object in the audit.
const KIND: &str = "service";
const NAME_TAKEN: &str = "another service has this name";

/// A new service.
#[derive(Debug, Clone, Default)]
pub struct ServiceCreate {
    /// Unique among services. A letter, then letters, digits, `_` or `-`, because templates use it.
    pub name: String,
    /// Absolute, `http` or `https`, without credentials.
    pub base_url: Option<String>,
    /// Hosts beside that of the base URL to which HTTP commands may send the token, each `host` or
    /// `host:port`. At most [`TOKEN_HOSTS_MAX`](super::TOKEN_HOSTS_MAX).
    pub token_hosts: Vec<String>,
    /// 1 to [`SECRET_BYTES_MAX`](super::SECRET_BYTES_MAX) bytes, without NUL.
    pub token: Option<SecretString>,
    /// An object of at most [`SETTINGS_BYTES_MAX`](super::SETTINGS_BYTES_MAX) bytes of JSON.
    pub settings: Option<Value>,
    /// No limits by default.
    pub limits: LimitsPatch,
}

/// An update of a service.
#[derive(Debug, Clone)]
pub struct ServiceUpdate {
    /// The service.
    pub id: ServiceId,
    /// The version that the caller read. A stale one is refused. `None` skips this check.
    pub version: Option<i32>,
    /// The changes.
    pub changes: ServiceChanges,
}

/// Changes of a service. [`ServiceCreate`] has the bounds.
#[derive(Debug, Clone, Default)]
pub struct ServiceChanges {
    /// Cannot be cleared.
    pub name: Patch<String>,
    /// Clearing removes it.
    pub base_url: Patch<String>,
    /// Replaces the whole list. Clearing empties it.
    pub token_hosts: Patch<Vec<String>>,
    /// Replaces all settings. Clearing stores an empty object.
    pub settings: Patch<Value>,
    /// How many jobs may use it at once, and how often they may start.
    pub limits: LimitsPatch,
}

/// A new token for a service.
#[derive(Debug, Clone)]
pub struct TokenRefresh {
    /// The service.
    pub id: ServiceId,
    /// 1 to [`SECRET_BYTES_MAX`](super::SECRET_BYTES_MAX) bytes, without NUL.
    pub token: SecretString,
    /// When it expires, in the future.
    pub expires_at: Option<Time>,
}

impl Catalogue {
    /// Creates a service.
    pub async fn service_create(&self, input: ServiceCreate) -> Result<Service, StepError> {
        let id: ServiceId = self.ids.make();
        let mut checks = Checks::default();
        let draft = ServiceDraft {
            name: input.name,
            base_url: input.base_url.and_then(|text| bounds::base_url(&mut checks, &text)),
            token_hosts: bounds::token_hosts(&mut checks, &input.token_hosts),
            settings: bounds::settings(&mut checks, input.settings.unwrap_or_else(|| json!({}))),
            limits: checks.limits(input.limits, &Limits::default()),
        };
        if let Some(token) = &input.token {
            bounds::secret(&mut checks, &["token"], token);
        }
        let mut transaction = self.store.begin().await?;
        check_name(&mut transaction, &mut checks, id, &draft.name).await?;
        checks.passed()?;
        let service = services::insert(&mut transaction, id, &draft).await.map_err(taken)?;
        if let Some(token) = &input.token {
            let sealed = self.seal(Owner::ServiceToken(id), "token", token, None);
            services::set_token(&mut transaction, id, &sealed).await?;
        }
        let mut change = Change::between(None, Some(&of_service(&draft)));
        if input.token.is_some() {
            change = change.and("token", masked());
        }
        let object = Object::new(KIND, &id, Some(&draft.name));
        self.note(&mut transaction, "serviceCreate", object, change).await?;
        commit(transaction).await?;
        Ok(service)
    }

    /// Updates a service except for its token. A request that changes nothing leaves the version as
    /// it is.
    pub async fn service_update(&self, input: ServiceUpdate) -> Result<Service, StepError> {
        let ServiceUpdate { id, version, changes } = input;
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        let before = ServiceDraft::from(stored.clone());
        let draft = ServiceDraft {
            name: checks.required("name", changes.name, &before.name),
            base_url: match changes.base_url {
                Patch::Leave => before.base_url.clone(),
                Patch::Clear => None,
                Patch::Set(text) => bounds::base_url(&mut checks, &text),
            },
            token_hosts: match changes.token_hosts {
                Patch::Leave => before.token_hosts.clone(),
                Patch::Clear => Vec::new(),
                Patch::Set(hosts) => bounds::token_hosts(&mut checks, &hosts),
            },
            settings: match changes.settings {
                Patch::Leave => before.settings.clone(),
                Patch::Clear => json!({}),
                Patch::Set(value) => bounds::settings(&mut checks, value),
            },
            limits: checks.limits(changes.limits, &before.limits),
        };
        let (cap, key) = (draft.limits.max_concurrency, GateKey::Service(id));
        let was = before.limits.max_concurrency;
        checks.extend(below_what_runs(&mut transaction, &key, was, cap).await?);
        check_name(&mut transaction, &mut checks, id, &draft.name).await?;
        checks.passed()?;
        if draft == before {
            let object = Object::new(KIND, &id, Some(&stored.name));
            self.note_unchanged(transaction, "serviceUpdate", object).await?;
            return Ok(stored);
        }
        let service = services::update(&mut transaction, id, &draft).await.map_err(taken)?;
        gates::relimit(&mut transaction, &key, &draft.limits).await?;
        let change = Change::between(Some(&of_service(&before)), Some(&of_service(&draft)));
        let object = Object::new(KIND, &id, Some(&draft.name));
        self.note(&mut transaction, "serviceUpdate", object, change).await?;
        commit(transaction).await?;
        Ok(service)
    }

    /// Replaces the token and raises the version. Running attempts keep the old token, and the next
    /// attempt gets the new one.
    pub async fn service_token_refresh(&self, input: TokenRefresh) -> Result<Service, StepError> {
        let TokenRefresh { id, token, expires_at } = input;
        let mut checks = Checks::default();
        bounds::secret(&mut checks, &["token"], &token);
        bounds::expires_at(&mut checks, &["expiresAt"], expires_at);
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.passed()?;
        let sealed = self.seal(Owner::ServiceToken(id), "token", &token, expires_at);
        services::set_token(&mut transaction, id, &sealed).await?;
        let service = services::update(&mut transaction, id, &ServiceDraft::from(stored)).await?;
        let change =
            Change::default().and("token", masked()).and("expiresAt", json!(expires_at.map(written)));
        let object = Object::new(KIND, &id, Some(&service.name));
        self.note(&mut transaction, "serviceTokenRefresh", object, change).await?;
        commit(transaction).await?;
        Ok(service)
    }

    /// Deletes a service and its token. Refused while a profile, command, schedule or unfinished
    /// job references it.
    pub async fn service_delete(&self, id: ServiceId, version: Option<i32>) -> Result<(), StepError> {
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        in_use::check(&mut checks, "service", &references::of_service(&mut transaction, id).await?);
        checks.passed()?;
        let deleted = services::delete(&mut transaction, id).await;
        deleted.map_err(|error| in_use::refused_by_constraint(error, "service"))?;
        gates::remove(&mut transaction, &GateKey::Service(id)).await?;
        let object = Object::new(KIND, &id, Some(&stored.name));
        let change = Change::between(Some(&of_service(&stored.into())), None);
        self.note(&mut transaction, "serviceDelete", object, change).await?;
        commit(transaction).await?;
        Ok(())
    }
}

async fn locked(connection: &mut Connection, id: ServiceId) -> Result<Service, StepError> {
    services::lock(connection, id).await?.ok_or_else(|| StepError::no("service"))
}

/// Checks the name, and that no other service has it.
async fn check_name(
    connection: &mut Connection,
    checks: &mut Checks,
    id: ServiceId,
    name: &str,
) -> Result<(), StoreError> {
    let is_well_formed = checks.take(check_identifier("name", name)).is_some();
    if is_well_formed && services::name_is_taken(connection, id, name).await? {
        checks.taken("name", NAME_TAKEN);
    }
    Ok(())
}

/// Two concurrent requests may both find a name free. The constraint then refuses the second.
fn taken(error: StoreError) -> StepError {
    match error.constraint() {
        Some("services_name_key") => StepError::refused(RefusalCode::Taken, &["name"], NAME_TAKEN),
        Some(_) | None => error.into(),
    }
}
