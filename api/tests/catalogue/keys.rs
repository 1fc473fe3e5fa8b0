//! The keys of these tests and of the tests of jobs.

use std::collections::HashSet;

use callboard::store::StoreError;
use callboard_api::auth::{Authenticate, Caller, Credential, KeyHash, Proof, Role, StoredKeys, Verdict};
use futures::future::BoxFuture;

/// The keys that no database has.
const KEYS: [(&str, Role); 3] =
    [("cb_viewer", Role::Viewer), ("cb_operator", Role::Operator), ("cb_admin", Role::Admin)];

/// Accepts one key per role, and those of the database.
pub(crate) struct Keys(pub(crate) StoredKeys);

fn known(proof: Proof) -> Option<Caller> {
    let (name, role) = KEYS.into_iter().find(|(text, _)| proof == Proof::Key(KeyHash::of(text)))?;
    Some(Caller { name: name.into(), role, credential: Credential::ConfiguredKey, expires_at: None })
}

impl Authenticate for Keys {
    fn authenticate(&self, proof: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
        match known(proof) {
            Some(caller) => Box::pin(std::future::ready(Ok(Verdict::Valid(caller)))),
            None => self.0.authenticate(proof),
        }
    }

    fn valid(&self, held: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
        let (fixed, stored): (Vec<Proof>, Vec<Proof>) =
            held.into_iter().partition(|proof| known(*proof).is_some());
        Box::pin(async move {
            let mut valid = self.0.valid(stored).await?;
            valid.extend(fixed);
            Ok(valid)
        })
    }
}
