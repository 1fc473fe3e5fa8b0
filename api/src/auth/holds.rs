//! Sockets and streams outlive their check. What they were opened with is looked up again, all of
//! it in one statement, until it has ended.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use callboard::clock::{self, Time};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Authenticate, Proof, authenticator::REMEMBERED_FOR};

/// Least time between two look-ups, however many keys are revoked.
const REST: Duration = Duration::from_millis(50);

/// Everything that sockets and streams hold.
#[derive(Debug, Default)]
pub(super) struct Holds {
    state: Mutex<State>,
    /// Something may have ended.
    look: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<Proof, Held>,
    /// Whether a task looks.
    is_watched: bool,
}

#[derive(Debug)]
struct Held {
    count: usize,
    ended: CancellationToken,
    expires_at: Option<Time>,
}

/// Holds a key or a session until dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<Holds>,
    proof: Proof,
    ended: CancellationToken,
}

impl Hold {
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
        let held = state.held.entry(proof).or_insert_with(|| Held {
            count: 0,
            ended: CancellationToken::new(),
            expires_at,
        });
        held.count += 1;
        let ended = held.ended.clone();
        if !std::mem::replace(&mut state.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self), Arc::downgrade(keys)));
        }
        Hold { holds: Arc::clone(self), proof, ended }
    }

    /// Looks at once.
    pub(super) fn look(&self) {
        self.look.notify_one();
    }

    /// Ends what has expired, and all but `valid` of what was looked up.
    fn end(&self, looked_up: &HashSet<Proof>, valid: Option<&HashSet<Proof>>) {
        let now = clock::now();
        let is_over = |proof: &Proof, held: &Held| {
            let is_invalid = valid.is_some_and(|valid| looked_up.contains(proof) && !valid.contains(proof));
            is_invalid || held.expires_at.is_some_and(|at| at <= now)
        };
        self.state.lock().held.retain(|proof, held| {
            let is_over = is_over(proof, held);
            if is_over {
                held.ended.cancel();
            }
            !is_over
        });
    }
}

/// Looks up what is held until nothing is. While Postgres is unreachable, only what is known to
/// have expired ends.
async fn watch(holds: Weak<Holds>, keys: Weak<dyn Authenticate>) {
    let mut next = Instant::now() + REMEMBERED_FOR;
    loop {
        {
            let Some(holds) = holds.upgrade() else { return };
            let _in_time = tokio::time::timeout_at(next, holds.look.notified()).await;
        }
        next = Instant::now() + REMEMBERED_FOR;
        let (Some(holds), Some(keys)) = (holds.upgrade(), keys.upgrade()) else { return };
        let held: HashSet<Proof> = {
            let mut state = holds.state.lock();
            if state.held.is_empty() {
                state.is_watched = false;
                return;
            }
            state.held.keys().copied().collect()
        };
        let valid = keys.valid(held.iter().copied().collect()).await;
        if let Err(error) = &valid {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the keys of open sockets and streams could not be looked up"
            );
        }
        holds.end(&held, valid.as_ref().ok());
        tokio::time::sleep(REST).await;
    }
}
