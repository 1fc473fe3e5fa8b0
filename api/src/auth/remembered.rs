//! The last look-ups of keys and sessions, and which of them have been accepted.
//!
//! Those of accepted ones are kept apart, so that no flood of wrong keys displaces one that works.

use callboard::cache::{self, Cache};
use tokio::time::{Duration, Instant};

use super::{
    Proof,
    look_up::{Found, LookUp},
};

/// Maximum number of look-ups of each kind, and of proofs that were accepted.
const REMEMBERED_MAX: usize = 10_000;

/// A look-up and what the one before it has found.
pub(super) struct Remembered {
    pub(super) at: Instant,
    pub(super) look_up: LookUp,
    pub(super) before: Option<(Instant, Found)>,
}

impl Remembered {
    /// The result, if it is there and not too old.
    pub(super) fn fresh(&self, remembered_for: Duration) -> Option<Found> {
        let found = self.look_up.result().and_then(Result::ok);
        found.filter(|_| self.at.elapsed() < remembered_for)
    }

    /// The last result, and when its look-up began.
    pub(super) fn last(&self) -> Option<(Instant, Found)> {
        match self.look_up.result() {
            Some(Ok(found)) => Some((self.at, found)),
            Some(Err(_)) | None => self.before.clone(),
        }
    }
}

/// The look-ups of this process.
pub(super) struct LookUps {
    /// Proofs that have been accepted. Failures at their address do not slow them.
    accepted: Cache<Proof, ()>,
    of_accepted: Cache<Proof, Remembered>,
    of_others: Cache<Proof, Remembered>,
}

impl LookUps {
    pub(super) fn new() -> Self {
        Self {
            accepted: cache::bounded(REMEMBERED_MAX),
            of_accepted: cache::bounded(REMEMBERED_MAX),
            of_others: cache::bounded(REMEMBERED_MAX),
        }
    }

    /// Where the look-up of this proof is kept.
    pub(super) fn of(&mut self, proof: &Proof) -> &mut Cache<Proof, Remembered> {
        if self.has_accepted(proof) { &mut self.of_accepted } else { &mut self.of_others }
    }

    pub(super) fn has_accepted(&self, proof: &Proof) -> bool {
        self.accepted.contains(proof)
    }

    pub(super) fn accept(&mut self, proof: Proof) {
        if self.accepted.put(proof, ()).is_none()
            && let Some(remembered) = self.of_others.pop(&proof)
        {
            self.of_accepted.put(proof, remembered);
        }
    }

    pub(super) fn refuse(&mut self, proof: &Proof) {
        if self.accepted.pop(proof).is_some()
            && let Some(remembered) = self.of_accepted.pop(proof)
        {
            self.of_others.put(*proof, remembered);
        }
    }

    /// Forgets all results, but not what was accepted.
    pub(super) fn forget(&mut self) {
        self.of_accepted.clear();
        self.of_others.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc};

    use callboard::store::StoreError;
    use futures::future::BoxFuture;

    use super::*;
    use crate::auth::{Authenticate, KeyHash, Verdict};

    struct Silent;

    impl Authenticate for Silent {
        fn authenticate(&self, _: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
            Box::pin(std::future::pending())
        }

        fn valid(&self, _: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn no_flood_of_others_displaces_what_was_accepted() {
        let proof = |number: u32| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            Proof::Key(KeyHash { hash, is_made: true })
        };
        let look_up = LookUp::start(Arc::new(Silent), proof(0));
        let mut look_ups = LookUps::new();
        let keep = |look_ups: &mut LookUps, number| {
            let new = Remembered { at: Instant::now(), look_up: look_up.clone(), before: None };
            look_ups.of(&proof(number)).put(proof(number), new);
        };
        let is_kept = |look_ups: &mut LookUps| look_ups.of(&proof(0)).contains(&proof(0));
        keep(&mut look_ups, 0);
        look_ups.accept(proof(0));
        for number in 1..REMEMBERED_MAX as u32 * 2 {
            keep(&mut look_ups, number);
        }
        assert!(is_kept(&mut look_ups) && look_ups.has_accepted(&proof(0)));
        look_ups.refuse(&proof(0));
        assert!(is_kept(&mut look_ups) && !look_ups.has_accepted(&proof(0)));
        look_ups.accept(proof(0));
        look_ups.forget();
        assert!(!is_kept(&mut look_ups) && look_ups.has_accepted(&proof(0)));
    }
}
