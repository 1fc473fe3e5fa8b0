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
mod profile_secrets;
mod profiles;
mod proxies;
mod references;
mod schedules;
mod services;
mod share_link;

use std::sync::Arc;

pub use api_keys::{KEY_BYTES_MAX, KEY_BYTES_MIN, key_hash};
pub use bounds::{JSON_DEPTH_MAX, SECRET_BYTES_MAX, SETTINGS_BYTES_MAX, URL_BYTES_MAX, VARIABLE_BYTES_MAX};
pub use commands::{CommandChanges, CommandCreate, CommandUpdate};
pub use profile_secrets::{SECRETS_MAX, SecretInput};
pub use profiles::{ProfileChanges, ProfileCreate, ProfileUpdate};
pub use proxies::{CheckResult, ProxyChanges, ProxyCreate, ProxyImport, ProxyUpdate};
pub use references::LIST_MAX;
pub use schedules::{ScheduleChanges, ScheduleCreate, ScheduleUpdate, TemplateInput};
pub use services::{ServiceChanges, ServiceCreate, ServiceUpdate, TokenRefresh};

use crate::{
    clock::{IdSource, Time},
    command::AllowList,
    secret::{self, Keyring},
    store::{Store, catalogue::profile_secrets::SealedSecret},
};
use secrecy::SecretString;

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

impl Catalogue {
    /// Seals a secret for its owner, with what may be shown of it.
    pub(super) fn seal(
        &self,
        owner: &str,
        name: &str,
        value: &SecretString,
        expires_at: Option<Time>,
    ) -> SealedSecret {
        let sealed = self.keyring.seal(owner, value);
        SealedSecret { name: name.to_owned(), sealed, hint: secret::hint(value), expires_at }
    }
}
