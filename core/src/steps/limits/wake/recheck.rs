//! Looking again after a commit. Those who leave and those who come do not lock a gate for each other's sake, so each may miss what the
//! other is about to write; both look once more after their own commits, and whoever committed last sees the other.
//!
//! Should one of the two die in between, or Postgres fail, the duty makes it good ([`sweep_stranded`](super::sweep_stranded)).

use std::collections::{BTreeSet, HashMap};

use super::{Occasion, WAKE_MAX, Woken, wake_locked};
use crate::{
    limit::GateKey,
    steps::After,
    store::{Connection, Store, StoreError, commit, limits::gates},
};

/// Most looks in a row: another is needed only if somebody is parked in the very moment in which the one before calls.
const RECHECKS_MAX: usize = 3;

/// What is to be looked at again after the commit.
#[derive(Debug, Default)]
#[must_use = "who was parked or has left meanwhile is found after the commit"]
pub(crate) struct Recheck {
    /// Places that were left at gates where nobody waited: a claim may have parked a job meanwhile, because it still counted those who
    /// have left.
    pub(crate) freed: HashMap<GateKey, u32>,
    /// Gates that a claim found full, and their places: somebody may have left meanwhile.
    pub(crate) full: HashMap<GateKey, u32>,
    /// Gates whose last waiter was called: a claim may have parked a job behind that one.
    pub(crate) emptied: Vec<GateKey>,
    /// Gates that a claim has parked jobs on without their lock, because others waited there: the last of those may have been called.
    pub(crate) joined: BTreeSet<GateKey>,
}

impl Recheck {
    fn is_empty(&self) -> bool {
        self.freed.is_empty() && self.full.is_empty() && self.emptied.is_empty() && self.joined.is_empty()
    }

    /// Calls whoever was missed.
    pub(crate) async fn run(mut self, store: &Store) -> After {
        let mut after = After::default();
        for _ in 0..RECHECKS_MAX {
            if self.is_empty() {
                break;
            }
            match self.run_once(store).await {
                Ok(woken) => {
                    after.merge(woken.after());
                    self = Self { emptied: woken.emptied, ..Self::default() };
                }
                Err(error) => {
                    tracing::debug!(%error, "parked jobs were not called; the duty calls them");
                    break;
                }
            }
        }
        after
    }

    async fn run_once(&mut self, store: &Store) -> Result<Woken, StoreError> {
        let mut connection = store.connection().await?;
        let mut wanted = self.with_room(&mut connection).await?;
        let unsure: Vec<&GateKey> = self.emptied.iter().chain(&self.joined).collect();
        let stranded =
            if unsure.is_empty() { Vec::new() } else { gates::stranded(&mut connection, &unsure).await? };
        drop(connection);
        wanted.extend(stranded.iter().map(|key| (key.clone(), WAKE_MAX)));
        if wanted.is_empty() {
            return Ok(Woken::default());
        }
        let mut transaction = store.begin().await?;
        let keys: Vec<GateKey> = wanted.keys().cloned().collect();
        let mut locked = gates::lock(&mut transaction, &keys).await?;
        for key in &stranded {
            // There are jobs parked on it, whatever it believes.
            if let Some(gate) = locked.gates.get_mut(key) {
                gate.has_waiters = true;
            }
        }
        let most = |key: &GateKey| wanted.get(key).copied().unwrap_or_default();
        let woken = wake_locked(&mut transaction, locked, most, Occasion::Freed).await?;
        commit(transaction).await?;
        Ok(woken)
    }

    /// Gates where there are both room and somebody who waits.
    async fn with_room(&mut self, connection: &mut Connection) -> Result<HashMap<GateKey, u32>, StoreError> {
        let mut wanted = HashMap::new();
        if !self.freed.is_empty() {
            let awaited =
                gates::awaited_for_places(connection, &self.freed.keys().collect::<Vec<_>>()).await?;
            wanted.extend(awaited.into_iter().filter_map(|key| self.freed.remove_entry(&key)));
        }
        if !self.full.is_empty() {
            let counts = gates::counts(connection, &self.full.keys().collect::<Vec<_>>()).await?;
            let room = self.full.iter().map(|(key, cap)| {
                (key.clone(), cap.saturating_sub(counts.get(key).copied().unwrap_or_default()))
            });
            wanted.extend(room.filter(|(_, room)| *room > 0));
        }
        Ok(wanted)
    }
}
