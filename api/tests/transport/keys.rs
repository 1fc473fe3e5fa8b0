//! The keys of a test server. They can be revoked, and their look-ups counted and held up.

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use callboard::{ids::ApiKeyId, store::StoreError};
use callboard_api::auth::{Authenticate, Caller, Credential, KeyHash, Proof, Role, Verdict};
use futures::future::BoxFuture;

use crate::test_server::{ADMIN, VIEWER};

/// The keys [`ADMIN`] and [`VIEWER`]. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Keys(Arc<State>);

#[derive(Debug, Default)]
struct State {
    look_ups: AtomicUsize,
    revoked: OnceLock<KeyHash>,
    is_silent: AtomicBool,
}

impl Keys {
    /// How many keys and sessions were looked up for requests.
    pub fn look_ups(&self) -> usize {
        self.0.look_ups.load(Ordering::SeqCst)
    }

    /// Revokes one of them.
    pub fn revoke(&self, key: &str) {
        self.0.revoked.set(KeyHash::of(key)).unwrap();
    }

    /// No look-up for a request has a result from now on.
    pub fn be_silent(&self) {
        self.0.is_silent.store(true, Ordering::SeqCst);
    }

    fn find(&self, proof: Proof) -> Verdict {
        let of = |name: &str, role, credential| {
            Verdict::Valid(Caller { name: name.into(), role, credential, expires_at: None })
        };
        match proof {
            Proof::Key(hash) if self.0.revoked.get() == Some(&hash) => Verdict::Revoked("gone".into()),
            Proof::Key(hash) if hash == KeyHash::of(ADMIN) => {
                of("admin", Role::Admin, Credential::ConfiguredKey)
            }
            Proof::Key(hash) if hash == KeyHash::of(VIEWER) => {
                of("viewer", Role::Viewer, Credential::Key(ApiKeyId::from(uuid::Uuid::nil())))
            }
            Proof::Key(_) | Proof::Session(_) => Verdict::Unknown,
        }
    }
}

impl Authenticate for Keys {
    fn authenticate(&self, proof: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
        self.0.look_ups.fetch_add(1, Ordering::SeqCst);
        if self.0.is_silent.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(self.find(proof))))
    }

    fn valid(&self, held: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
        let is_valid = |proof: &Proof| matches!(self.find(*proof), Verdict::Valid(_));
        Box::pin(std::future::ready(Ok(held.into_iter().filter(is_valid).collect())))
    }
}
