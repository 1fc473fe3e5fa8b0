//! The verbs by which admins change the catalogue: profiles, services, proxies, commands, schedules and keys to the API.
//!
//! Ring 2, beside `steps`: one verb, one function, one transaction. The API calls them. A verb checks
//! everything that it can check and answers *all* that is wrong, each with its path below the input; it
//! changes either everything that was asked or nothing. Never answers, logs or stores the plain text of a
//! secret: values are sealed before they reach the store, and the store's constraints have the last word on
//! names and references.

mod api_keys;
mod bounds;
mod checks;
mod commands;
mod credentials;
mod in_use;
mod limits;
mod patch;
mod policy;
mod profile_secrets;
mod profiles;
mod proxies;
mod references;
mod schedules;
mod sealing;
mod services;
mod share_link;

use std::sync::Arc;

pub use api_keys::{KEY_BYTES_MAX, KEY_BYTES_MIN, key_hash};
pub use bounds::{JSON_DEPTH_MAX, SECRET_BYTES_MAX, SETTINGS_BYTES_MAX, URL_BYTES_MAX, VARIABLE_BYTES_MAX};
pub use commands::{CommandChanges, CommandCreate, CommandUpdate, SpecInput};
pub(crate) use in_use::below_what_runs;
pub(crate) use limits::refusals as limit_refusals;
pub use limits::{LimitsPatch, NewCap, NewRateLimit};
pub use patch::Patch;
pub use policy::{BackoffPatch, PolicyPatch};
pub use profile_secrets::{SECRETS_MAX, SecretInput};
pub use profiles::{ProfileChanges, ProfileCreate, ProfileUpdate};
pub use proxies::{CheckResult, ProxyChanges, ProxyCreate, ProxyImport, ProxyUpdate};
pub use references::LIST_MAX;
pub use schedules::{ScheduleChanges, ScheduleCreate, ScheduleUpdate, TemplateInput};
pub use sealing::{profile_secret_owner, proxy_password_owner, proxy_username_owner, service_token_owner};
pub use services::{ServiceChanges, ServiceCreate, ServiceUpdate, TokenRefresh};

use crate::{
    clock::IdSource,
    command::AllowList,
    refusal::Refusal,
    secret::Keyring,
    store::{Store, StoreError},
};

/// Everything that the verbs need. Made once by the API.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Where the catalogue is kept.
    pub store: Store,
    /// Seals secrets.
    pub keyring: Arc<Keyring>,
    /// Programs that commands may name.
    pub allow_list: AllowList,
    /// Makes ids.
    pub ids: IdSource,
}

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The caller can mend it: everything that is wrong with the request, never empty.
    #[error("refused: {}", .0.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    /// Postgres failed, or a row is corrupt.
    #[error(transparent)]
    Store(#[from] StoreError),
}
