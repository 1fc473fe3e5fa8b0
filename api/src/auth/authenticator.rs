//! Authenticates credentials, and caches each result for ten seconds.
//!
//! Every transport calls it before an operation, so a revoked key works for at most
//! [`REMEMBERED_FOR`] more.

use std::{fmt, sync::Arc, time::Duration};

use callboard::{
    cache::{self, Cache},
    clock,
    store::StoreError,
};
use futures::future::BoxFuture;
use tokio::{sync::Mutex, time::Instant};

use super::{Access, Caller, KeyHash, Presented};
use crate::error::{ApiError, Code};

/// How long a result is cached.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);
/// Maximum number of cached results. Beyond it, all are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// A source of API keys.
pub trait Authenticate: Send + Sync + 'static {
    /// Returns the caller whose key has this hash. `None` if the key is unknown, expired or
    /// revoked.
    fn authenticate(&self, key: KeyHash) -> BoxFuture<'_, Result<Option<Caller>, StoreError>>;
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
    fn authenticate(&self, key: KeyHash) -> BoxFuture<'_, Result<Option<Caller>, StoreError>> {
        if key == self.key {
            return Box::pin(std::future::ready(Ok(Some(self.caller.clone()))));
        }
        self.otherwise.authenticate(key)
    }
}

impl<A> fmt::Debug for FixedKey<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedKey").field("caller", &self.caller.name).finish_non_exhaustive()
    }
}

/// A source without keys, for a [`FixedKey`] without a catalogue.
impl Authenticate for () {
    fn authenticate(&self, _: KeyHash) -> BoxFuture<'_, Result<Option<Caller>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

type Remembered = Cache<KeyHash, (Instant, Option<Arc<Caller>>)>;

/// Authenticates with a cache. There is one per process.
pub struct Authenticator {
    keys: Box<dyn Authenticate>,
    remembered: Mutex<Remembered>,
    remembered_for: Duration,
}

impl Authenticator {
    /// Creates a gate for this source of keys.
    pub fn new(keys: impl Authenticate) -> Self {
        Self {
            keys: Box::new(keys),
            remembered: Mutex::new(cache::bounded(REMEMBERED_MAX)),
            remembered_for: REMEMBERED_FOR,
        }
    }

    /// Authenticates credentials. A wrong key is an error even where none is required, because the
    /// client meant to sign in.
    pub async fn admit(&self, presented: Presented) -> Result<Access, ApiError> {
        let hash = match presented {
            Presented::Nothing => return Ok(Access::Anonymous),
            Presented::Unreadable => return Err(refused()),
            Presented::Key(hash) => hash,
        };
        let caller = self.look_up(hash).await?.ok_or_else(refused)?;
        if caller.expires_at.is_some_and(|end| end <= clock::now()) {
            return Err(refused());
        }
        Ok(Access::SignedIn(caller))
    }

    async fn look_up(&self, hash: KeyHash) -> Result<Option<Arc<Caller>>, ApiError> {
        if let Some((at, found)) = self.remembered.lock().await.get(&hash)
            && at.elapsed() < self.remembered_for
        {
            return Ok(found.clone());
        }
        let found = self.keys.authenticate(hash).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "an API key could not be looked up");
            ApiError::new(Code::Unavailable, "API keys cannot be checked right now. Try again.")
        })?;
        let found = found.map(Arc::new);
        self.remembered.lock().await.put(hash, (Instant::now(), found.clone()));
        Ok(found)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}

fn refused() -> ApiError {
    ApiError::new(Code::Unauthenticated, "This API key is unknown, expired or revoked.")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::auth::{Credential, Role};

    struct Counting(Arc<AtomicUsize>);

    impl Authenticate for Counting {
        fn authenticate(&self, key: KeyHash) -> BoxFuture<'_, Result<Option<Caller>, StoreError>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            let caller = Caller {
                name: "ci".into(),
                role: Role::Viewer,
                credential: Credential::ConfiguredKey,
                expires_at: None,
            };
            Box::pin(std::future::ready(Ok((key == KeyHash::of("cb_ci")).then_some(caller))))
        }
    }

    #[tokio::test]
    async fn a_result_is_remembered_for_a_while() {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut authenticator = Authenticator::new(Counting(Arc::clone(&asked)));
        let key = Presented::Key(KeyHash::of("cb_ci"));
        for _ in 0..3 {
            assert_eq!(authenticator.admit(key).await.unwrap().caller().unwrap().name, "ci");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        authenticator.remembered_for = Duration::ZERO;
        authenticator.admit(key).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused_and_no_key_is_anonymous() {
        let authenticator = Authenticator::new(Counting(Arc::default()));
        assert_eq!(authenticator.admit(Presented::Nothing).await, Ok(Access::Anonymous));
        for wrong in [Presented::Unreadable, Presented::Key(KeyHash::of("cb_other"))] {
            assert_eq!(authenticator.admit(wrong).await.unwrap_err().code, Code::Unauthenticated);
        }
    }

    #[tokio::test]
    async fn an_expired_key_is_refused_even_if_it_is_remembered() {
        let end = clock::now() - chrono::Duration::seconds(1);
        let caller = Caller {
            name: "old".into(),
            role: Role::Admin,
            credential: Credential::ConfiguredKey,
            expires_at: Some(end),
        };
        let authenticator =
            Authenticator::new(FixedKey { key: KeyHash::of("cb_old"), caller, otherwise: () });
        let refused = authenticator.admit(Presented::Key(KeyHash::of("cb_old"))).await.unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated);
    }
}
