//! Where keys and sessions are looked up.

use std::{collections::HashSet, fmt};

use callboard::store::StoreError;
use futures::future::BoxFuture;

use super::{Caller, KeyHash, Proof};

/// What a key or a cookie is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It gives access.
    Valid(Caller),
    /// Nobody knows it.
    Unknown,
    /// The key of this name, or of a session, was revoked.
    Revoked(String),
    /// The key of this name, or a session of it, has expired.
    Expired(String),
}

/// A source of API keys and sessions.
pub trait Authenticate: Send + Sync + 'static {
    /// Looks up a key or a session.
    fn authenticate(&self, proof: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>>;

    /// Returns those of these keys and sessions that are valid now.
    fn valid(&self, held: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>>;
}

/// The configured key, in front of another source of keys.
pub struct FixedKey<A> {
    /// Hash of the configured key.
    pub key: KeyHash,
    /// The caller with the configured key.
    pub caller: Caller,
    /// The source of all other keys.
    pub otherwise: A,
}

impl<A: Authenticate> Authenticate for FixedKey<A> {
    fn authenticate(&self, proof: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
        if proof == Proof::Key(self.key) {
            return Box::pin(std::future::ready(Ok(Verdict::Valid(self.caller.clone()))));
        }
        self.otherwise.authenticate(proof)
    }

    fn valid(&self, mut held: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
        let own = Proof::Key(self.key);
        let before = held.len();
        held.retain(|proof| *proof != own);
        let is_held = held.len() < before;
        Box::pin(async move {
            let mut valid = self.otherwise.valid(held).await?;
            valid.extend(is_held.then_some(own));
            Ok(valid)
        })
    }
}

impl<A> fmt::Debug for FixedKey<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedKey").field("caller", &self.caller.name).finish_non_exhaustive()
    }
}
