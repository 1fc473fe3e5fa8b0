//! The operations by which admins change the catalogue: profiles, services, proxies, commands,
//! schedules, API keys and sessions.
//!
//! Ring 2, beside `steps`: an operation is one function and one transaction. It checks everything
//! that it can and returns all refusals at once, each with its path below the input. It applies a
//! request as a whole or not at all. It never returns, logs or stores a secret in plain text,
//! because values are sealed before they reach the store. The store's constraints have the last
//! word on names and references.

mod api_keys;
mod audited;
mod bounds;
mod checks;
mod commands;
mod credentials;
mod in_use;
mod profile_secrets;
mod profiles;
mod proxies;
mod references;
mod schedules;
mod services;
mod sessions;
mod share_link;

use std::sync::Arc;

pub use api_keys::{KEYS_MAX, KeyCreate, Keys};
pub use bounds::{
    JSON_DEPTH_MAX, SECRET_BYTES_MAX, SETTINGS_BYTES_MAX, TOKEN_HOSTS_MAX, URL_BYTES_MAX, VARIABLE_BYTES_MAX,
};
pub use commands::{CommandChanges, CommandCreate, CommandUpdate};
pub use profile_secrets::{SECRETS_MAX, SecretInput};
pub use profiles::{ProfileChanges, ProfileCreate, ProfileUpdate};
pub use proxies::{CheckResult, ProxyChanges, ProxyCreate, ProxyImport, ProxyUpdate};
pub use references::LIST_MAX;
pub use schedules::{ScheduleChanges, ScheduleCreate, ScheduleUpdate, cron_preview};
pub use services::{ServiceChanges, ServiceCreate, ServiceUpdate, TokenRefresh};
pub use sessions::{OpenedSession, SESSIONS_MAX, SessionLife};

use crate::{
    audit::Actor,
    clock::{IdSource, Time},
    command::AllowList,
    evaluator::Evaluator,
    secret::{self, Keyring, Owner},
    store::{Store, catalogue::profile_secrets::SealedSecret},
};
use secrecy::SecretString;

/// What the operations need.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The database.
    pub store: Store,
    /// Seals secrets.
    pub keyring: Arc<Keyring>,
    /// The programs that commands may name.
    pub allow_list: AllowList,
    /// Checks what callers bring.
    pub evaluator: Evaluator,
    /// Makes ids.
    pub ids: IdSource,
    /// Who makes the changes, for the audit.
    pub actor: Arc<Actor>,
}

impl Catalogue {
    /// The operations of API keys and sessions, which need less.
    pub fn keys(&self) -> Keys {
        Keys { store: self.store.clone(), ids: self.ids, actor: Arc::clone(&self.actor) }
    }

    /// Seals a secret for its owner, and keeps its hint.
    pub(super) fn seal(
        &self,
        owner: Owner<'_>,
        name: &str,
        value: &SecretString,
        expires_at: Option<Time>,
    ) -> SealedSecret {
        let sealed = self.keyring.seal(owner, value);
        SealedSecret { name: name.to_owned(), sealed, hint: secret::hint(value), expires_at }
    }
}
