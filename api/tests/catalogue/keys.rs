//! The keys of these tests and of the tests of jobs.

use callboard::store::StoreError;
use callboard_api::auth::{Authenticate, Caller, Credential, KeyHash, Role};
use futures::future::BoxFuture;

/// Accepts one key per role.
pub(crate) struct Keys;

impl Authenticate for Keys {
    fn authenticate(&self, key: KeyHash) -> BoxFuture<'_, Result<Option<Caller>, StoreError>> {
        let roles = [("cb_viewer", Role::Viewer), ("cb_operator", Role::Operator), ("cb_admin", Role::Admin)];
        let found = roles.into_iter().find(|(text, _)| KeyHash::of(text) == key);
        let caller = found.map(|(name, role)| Caller {
            name: name.into(),
            role,
            credential: Credential::ConfiguredKey,
            expires_at: None,
        });
        Box::pin(std::future::ready(Ok(caller)))
    }
}
