//! Sockets and streams outlive their check. What they were opened with is looked up again, all of
//! it in one statement, until it has ended.
//!
//! The check may have been a cached one, so what is new is looked up at once. Then the end of a key
//! takes less than a second everywhere, also where Redis does not tell of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use callboard::{
    clock::{self, Time},
    store::StoreError,
};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Authenticate, Proof, authenticator::REMEMBERED_FOR, look_up::in_time};

/// Least time between two look-ups, however many keys are revoked.
const REST: Duration = Duration::from_millis(50);

/// How long something may stay open while Postgres does not reply: as long as the messages of a
/// stream are tried again, so that a failover ends no stream. Nobody can revoke a key meanwhile.
const OPEN_UNCONFIRMED_FOR: Duration = Duration::from_mins(1);

/// The keys and sessions of all open sockets and streams.
#[derive(Debug)]
pub(super) struct CredentialWatches {
    state: Mutex<State>,
    /// Something is new, or may have ended.
    look: Notify,
    unconfirmed_for: Duration,
}

impl Default for CredentialWatches {
    fn default() -> Self {
        Self { state: Mutex::default(), look: Notify::new(), unconfirmed_for: OPEN_UNCONFIRMED_FOR }
    }
}

#[derive(Debug, Default)]
struct State {
    watched: HashMap<Proof, WatchedCredential>,
    /// Whether a task looks.
    is_watched: bool,
    /// Whether everything is to be looked up, because something may have ended.
    is_all_due: bool,
}

/// A key or a session that sockets and streams are open with.
#[derive(Debug)]
struct WatchedCredential {
    count: usize,
    ended: CancellationToken,
    expires_at: Option<Time>,
    /// When a look-up that found it valid began. Before the first, when it was first watched.
    confirmed_at: Instant,
    /// Whether it was not looked up yet.
    is_new: bool,
}

/// Keeps a key or a session watched until dropped.
#[derive(Debug)]
pub struct CredentialWatch {
    watches: Arc<CredentialWatches>,
    proof: Proof,
    ended: CancellationToken,
}

impl CredentialWatch {
    /// What is watched.
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// Cancelled when the key is revoked or expires, or the session ends.
    pub const fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for CredentialWatch {
    fn drop(&mut self) {
        let mut state = self.watches.state.lock();
        // What has ended was removed, and may be watched anew for others.
        if !self.ended.is_cancelled()
            && let Some(watched) = state.watched.get_mut(&self.proof)
        {
            watched.count -= 1;
            if watched.count == 0 {
                state.watched.remove(&self.proof);
            }
        }
    }
}

impl CredentialWatches {
    pub(super) fn watch(
        self: &Arc<Self>,
        proof: Proof,
        expires_at: Option<Time>,
        keys: &Arc<dyn Authenticate>,
    ) -> CredentialWatch {
        let mut state = self.state.lock();
        let watched = state.watched.entry(proof).or_insert_with(|| WatchedCredential {
            count: 0,
            ended: CancellationToken::new(),
            expires_at,
            confirmed_at: Instant::now(),
            is_new: true,
        });
        watched.count += 1;
        let (ended, is_new) = (watched.ended.clone(), watched.is_new);
        if !std::mem::replace(&mut state.is_watched, true) {
            tokio::spawn(look_repeatedly(Arc::downgrade(self), Arc::downgrade(keys)));
        }
        if is_new {
            self.look.notify_one();
        }
        CredentialWatch { watches: Arc::clone(self), proof, ended }
    }

    /// Looks everything up at once.
    pub(super) fn look(&self) {
        self.state.lock().is_all_due = true;
        self.look.notify_one();
    }

    /// What is to be looked up: everything, or what is new. `None` if nothing is watched, and
    /// then nobody looks any more.
    fn due(&self, is_time: bool) -> Option<HashSet<Proof>> {
        let mut state = self.state.lock();
        if state.watched.is_empty() {
            state.is_watched = false;
            return None;
        }
        let is_all_due = std::mem::take(&mut state.is_all_due) || is_time;
        let due = state.watched.iter_mut().filter(|(_, watched)| is_all_due || watched.is_new);
        Some(
            due.map(|(proof, watched)| {
                watched.is_new = false;
                *proof
            })
            .collect(),
        )
    }

    /// Ends what of `looked_up` is not valid. The look-up began at `began`.
    fn confirm(&self, looked_up: &HashSet<Proof>, valid: &HashSet<Proof>, began: Instant) {
        self.end(|proof, watched| {
            if valid.contains(proof) {
                watched.confirmed_at = began;
            }
            looked_up.contains(proof) && !valid.contains(proof)
        });
    }

    /// Ends what has expired, and what could not be confirmed for too long.
    fn end_overdue(&self) {
        let now = clock::now();
        self.end(|_, watched| {
            watched.expires_at.is_some_and(|at| at <= now)
                || watched.confirmed_at.elapsed() >= self.unconfirmed_for
        });
    }

    fn end(&self, is_over: impl Fn(&Proof, &mut WatchedCredential) -> bool) {
        self.state.lock().watched.retain(|proof, watched| {
            let is_over = is_over(proof, watched);
            if is_over {
                watched.ended.cancel();
            }
            !is_over
        });
    }
}

/// Looks up what is watched until nothing is.
async fn look_repeatedly(watches: Weak<CredentialWatches>, keys: Weak<dyn Authenticate>) {
    let mut next = Instant::now() + REMEMBERED_FOR;
    loop {
        {
            let Some(watches) = watches.upgrade() else { return };
            let _in_time = tokio::time::timeout_at(next, watches.look.notified()).await;
        }
        let (Some(watches), Some(keys)) = (watches.upgrade(), keys.upgrade()) else { return };
        let began = Instant::now();
        let Some(due) = watches.due(began >= next) else { return };
        if began >= next {
            next = began + REMEMBERED_FOR;
        }
        if !due.is_empty() {
            match look_up(&watches, &keys, &due).await {
                Ok(valid) => watches.confirm(&due, &valid, began),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the keys of open sockets and streams could not be looked up"
                ),
            }
        }
        watches.end_overdue();
        tokio::time::sleep(REST).await;
    }
}

/// Looks up what is due. What is overdue ends meanwhile, however long it takes.
async fn look_up(
    watches: &CredentialWatches,
    keys: &Arc<dyn Authenticate>,
    due: &HashSet<Proof>,
) -> Result<HashSet<Proof>, StoreError> {
    let mut found = Box::pin(in_time(keys.valid(due.iter().copied().collect())));
    loop {
        match tokio::time::timeout(REMEMBERED_FOR, &mut found).await {
            Ok(found) => return found,
            Err(_elapsed) => watches.end_overdue(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::{FutureExt as _, future::BoxFuture};

    use super::*;
    use crate::auth::{KeyHash, Verdict};

    /// Finds nothing valid, or does not reply.
    #[derive(Default)]
    struct Source {
        is_silent: bool,
        is_failing: AtomicBool,
    }

    impl Authenticate for Source {
        fn authenticate(&self, _: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
            std::future::ready(Ok(Verdict::Unknown)).boxed()
        }

        fn valid(&self, _: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
            let gone = || StoreError::Unavailable(std::io::Error::other("gone").into());
            if self.is_silent {
                return std::future::pending().boxed();
            }
            let is_failing = self.is_failing.load(Ordering::SeqCst);
            std::future::ready(if is_failing { Err(gone()) } else { Ok(HashSet::new()) }).boxed()
        }
    }

    fn proof(text: &str) -> Proof {
        Proof::Key(KeyHash::of(text))
    }

    async fn ends_within(watch: &CredentialWatch, limit: Duration) -> bool {
        tokio::time::timeout(limit, watch.ended().cancelled()).await.is_ok()
    }

    #[tokio::test]
    async fn what_is_new_is_looked_up_at_once() {
        let (watches, keys) =
            (Arc::<CredentialWatches>::default(), Arc::new(Source::default()) as Arc<dyn Authenticate>);
        for text in ["cb_one", "cb_two"] {
            let watch = watches.watch(proof(text), None, &keys);
            assert!(ends_within(&watch, REMEMBERED_FOR / 2).await, "{text}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_confirmed_ends_in_the_end() {
        let limit = Duration::from_millis(400);
        for is_silent in [true, false] {
            let watches =
                Arc::new(CredentialWatches { unconfirmed_for: limit, ..CredentialWatches::default() });
            let keys: Arc<dyn Authenticate> =
                Arc::new(Source { is_silent, is_failing: AtomicBool::new(true) });
            let began = Instant::now();
            let watch = watches.watch(proof("cb_one"), None, &keys);
            assert!(ends_within(&watch, Duration::from_secs(5)).await, "{is_silent}");
            assert!(began.elapsed() >= limit, "{is_silent}");
        }
    }

    #[tokio::test]
    async fn what_expires_ends_while_a_look_up_waits() {
        let watches = Arc::<CredentialWatches>::default();
        let keys = Arc::new(Source { is_silent: true, ..Source::default() }) as Arc<dyn Authenticate>;
        let soon = clock::now() + chrono::Duration::milliseconds(100);
        let watch = watches.watch(proof("cb_one"), Some(soon), &keys);
        assert!(ends_within(&watch, Duration::from_secs(5)).await);
    }
}
