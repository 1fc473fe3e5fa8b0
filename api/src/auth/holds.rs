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

use super::{Authenticate, Proof, authenticator::REMEMBERED_FOR};

/// Least time between two look-ups, however many keys are revoked.
const REST: Duration = Duration::from_millis(50);

/// How long something may be held while Postgres does not reply: as long as the messages of a
/// stream are tried again, so that a failover ends no stream. Nobody can revoke a key meanwhile.
const UNCONFIRMED_FOR: Duration = Duration::from_mins(1);

/// Everything that sockets and streams hold.
#[derive(Debug)]
pub(super) struct Holds {
    state: Mutex<State>,
    /// Something is new, or may have ended.
    look: Notify,
    unconfirmed_for: Duration,
}

impl Default for Holds {
    fn default() -> Self {
        Self { state: Mutex::default(), look: Notify::new(), unconfirmed_for: UNCONFIRMED_FOR }
    }
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<Proof, HeldCredential>,
    /// Whether a task looks.
    is_watched: bool,
    /// Whether everything is to be looked up, because something may have ended.
    is_all_due: bool,
}

/// A key or a session that sockets and streams hold.
#[derive(Debug)]
struct HeldCredential {
    count: usize,
    ended: CancellationToken,
    expires_at: Option<Time>,
    /// When a look-up that found it valid began. Before the first, when it was first held.
    confirmed_at: Instant,
    /// Whether it was not looked up yet.
    is_new: bool,
}

/// Holds a key or a session until dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<Holds>,
    proof: Proof,
    ended: CancellationToken,
}

impl Hold {
    /// What is held.
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// Cancelled when the key is revoked or expires, or the session ends.
    pub const fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.holds.state.lock();
        // What has ended was removed, and may be held anew by others.
        if !self.ended.is_cancelled()
            && let Some(held) = state.held.get_mut(&self.proof)
        {
            held.count -= 1;
            if held.count == 0 {
                state.held.remove(&self.proof);
            }
        }
    }
}

impl Holds {
    pub(super) fn hold(
        self: &Arc<Self>,
        proof: Proof,
        expires_at: Option<Time>,
        keys: &Arc<dyn Authenticate>,
    ) -> Hold {
        let mut state = self.state.lock();
        let held = state.held.entry(proof).or_insert_with(|| HeldCredential {
            count: 0,
            ended: CancellationToken::new(),
            expires_at,
            confirmed_at: Instant::now(),
            is_new: true,
        });
        held.count += 1;
        let (ended, is_new) = (held.ended.clone(), held.is_new);
        if !std::mem::replace(&mut state.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self), Arc::downgrade(keys)));
        }
        if is_new {
            self.look.notify_one();
        }
        Hold { holds: Arc::clone(self), proof, ended }
    }

    /// Looks everything up at once.
    pub(super) fn look(&self) {
        self.state.lock().is_all_due = true;
        self.look.notify_one();
    }

    /// What is to be looked up: everything, or what is new. `None` if nothing is held, and then
    /// nobody watches any more.
    fn due(&self, is_time: bool) -> Option<HashSet<Proof>> {
        let mut state = self.state.lock();
        if state.held.is_empty() {
            state.is_watched = false;
            return None;
        }
        let is_all_due = std::mem::take(&mut state.is_all_due) || is_time;
        let due = state.held.iter_mut().filter(|(_, held)| is_all_due || held.is_new);
        Some(
            due.map(|(proof, held)| {
                held.is_new = false;
                *proof
            })
            .collect(),
        )
    }

    /// Ends what of `looked_up` is not valid. The look-up began at `began`.
    fn confirm(&self, looked_up: &HashSet<Proof>, valid: &HashSet<Proof>, began: Instant) {
        self.end(|proof, held| {
            if valid.contains(proof) {
                held.confirmed_at = began;
            }
            looked_up.contains(proof) && !valid.contains(proof)
        });
    }

    /// Ends what has expired, and what could not be confirmed for too long.
    fn end_overdue(&self) {
        let now = clock::now();
        self.end(|_, held| {
            held.expires_at.is_some_and(|at| at <= now) || held.confirmed_at.elapsed() >= self.unconfirmed_for
        });
    }

    fn end(&self, is_over: impl Fn(&Proof, &mut HeldCredential) -> bool) {
        self.state.lock().held.retain(|proof, held| {
            let is_over = is_over(proof, held);
            if is_over {
                held.ended.cancel();
            }
            !is_over
        });
    }
}

/// Looks up what is held until nothing is.
async fn watch(holds: Weak<Holds>, keys: Weak<dyn Authenticate>) {
    let mut next = Instant::now() + REMEMBERED_FOR;
    loop {
        {
            let Some(holds) = holds.upgrade() else { return };
            let _in_time = tokio::time::timeout_at(next, holds.look.notified()).await;
        }
        let (Some(holds), Some(keys)) = (holds.upgrade(), keys.upgrade()) else { return };
        let began = Instant::now();
        let Some(due) = holds.due(began >= next) else { return };
        if began >= next {
            next = began + REMEMBERED_FOR;
        }
        if !due.is_empty() {
            match look_up(&holds, &keys, &due).await {
                Ok(valid) => holds.confirm(&due, &valid, began),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the keys of open sockets and streams could not be looked up"
                ),
            }
        }
        holds.end_overdue();
        tokio::time::sleep(REST).await;
    }
}

/// Looks up what is due. What is overdue ends meanwhile, however long it takes.
async fn look_up(
    holds: &Holds,
    keys: &Arc<dyn Authenticate>,
    due: &HashSet<Proof>,
) -> Result<HashSet<Proof>, StoreError> {
    let mut found = keys.valid(due.iter().copied().collect());
    loop {
        match tokio::time::timeout(REMEMBERED_FOR, &mut found).await {
            Ok(found) => return found,
            Err(_elapsed) => holds.end_overdue(),
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
            let gone = || StoreError::Unavailable(std::io::Error::other("gone").into());
            if self.is_silent {
                return std::future::pending().boxed();
            }
            let is_failing = self.is_failing.load(Ordering::SeqCst);
            std::future::ready(if is_failing { Err(gone()) } else { Ok(Verdict::Unknown) }).boxed()
        }
    }

    fn proof(text: &str) -> Proof {
        Proof::Key(KeyHash::of(text))
    }

    async fn ends_within(hold: &Hold, limit: Duration) -> bool {
        tokio::time::timeout(limit, hold.ended().cancelled()).await.is_ok()
    }

    #[tokio::test]
    async fn what_is_new_is_looked_up_at_once() {
        let (holds, keys) = (Arc::<Holds>::default(), Arc::new(Source::default()) as Arc<dyn Authenticate>);
        for text in ["cb_one", "cb_two"] {
            let hold = holds.hold(proof(text), None, &keys);
            assert!(ends_within(&hold, REMEMBERED_FOR / 2).await, "{text}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_confirmed_ends_in_the_end() {
        let limit = Duration::from_millis(400);
        for is_silent in [true, false] {
            let holds = Arc::new(Holds { unconfirmed_for: limit, ..Holds::default() });
            let keys: Arc<dyn Authenticate> =
                Arc::new(Source { is_silent, is_failing: AtomicBool::new(true) });
            let began = Instant::now();
            let hold = holds.hold(proof("cb_one"), None, &keys);
            assert!(ends_within(&hold, Duration::from_secs(5)).await, "{is_silent}");
            assert!(began.elapsed() >= limit, "{is_silent}");
        }
    }

    #[tokio::test]
    async fn what_expires_ends_while_a_look_up_waits() {
        let holds = Arc::<Holds>::default();
        let keys = Arc::new(Source { is_silent: true, ..Source::default() }) as Arc<dyn Authenticate>;
        let soon = clock::now() + chrono::Duration::milliseconds(100);
        let hold = holds.hold(proof("cb_one"), Some(soon), &keys);
        assert!(ends_within(&hold, Duration::from_secs(5)).await);
    }
}
