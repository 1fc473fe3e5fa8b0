//! Recheck: looks at gates once more after a commit, and wakes jobs that were parked in vain.
//!
//! Two transactions at one gate may miss each other, because a settle does not lock gates without
//! waiters, and a claim parks jobs behind waiters without the gate's lock. For example, a claim
//! parks a job for lack of a slot while the attempt in that slot ends and sees no waiter. Each
//! rechecks after its commit, so the later one sees the other's change and wakes the job.
//!
//! If a process dies before its recheck, or Postgres fails,
//! [`sweep_stranded`](super::sweep_stranded) wakes the job later.

use std::collections::{BTreeSet, HashMap};

use super::{Occasion, WAKE_MAX, Woken, wake_locked};
use crate::{
    limit::GateKey,
    steps::After,
    store::{Connection, Store, StoreError, commit, limits::gates},
};

/// Most rechecks in a row. Another is needed only if a job is parked while the previous one wakes
/// the last waiter.
const RECHECKS_MAX: usize = 3;

/// The gates to recheck after the commit.
#[derive(Debug, Default)]
#[must_use = "run it after the commit, or parked jobs may be missed"]
pub(crate) struct Recheck {
    /// Slots freed at gates that had no waiters. A claim that still counted them as taken may have
    /// parked a job meanwhile.
    pub(crate) freed: HashMap<GateKey, u32>,
    /// Gates where a claim found no free slot, with their number of slots. A slot may have been
    /// freed meanwhile.
    pub(crate) full: HashMap<GateKey, u32>,
    /// Gates whose last waiter was woken. A claim may have parked a job behind that waiter
    /// meanwhile.
    pub(crate) emptied: Vec<GateKey>,
    /// Gates where a claim parked jobs behind other waiters, without the gate's lock. The last of
    /// those waiters may have been woken meanwhile, which leaves the new ones stranded.
    pub(crate) joined: BTreeSet<GateKey>,
}

impl Recheck {
    fn is_empty(&self) -> bool {
        self.freed.is_empty() && self.full.is_empty() && self.emptied.is_empty() && self.joined.is_empty()
    }

    /// Wakes the jobs that were missed.
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
                    tracing::debug!(%error, "could not wake parked jobs, the sweep will wake them");
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
            // Jobs are parked there, whatever the gate's own row says.
            if let Some(gate) = locked.gates.get_mut(key) {
                gate.has_waiters = true;
            }
        }
        let most = |key: &GateKey| wanted.get(key).copied().unwrap_or_default();
        let woken = wake_locked(&mut transaction, locked, most, Occasion::Freed).await?;
        commit(transaction).await?;
        Ok(woken)
    }

    /// Gates that have both room and waiters, with the number of jobs to wake.
    async fn with_room(&mut self, connection: &mut Connection) -> Result<HashMap<GateKey, u32>, StoreError> {
        let mut wanted = HashMap::new();
        if !self.freed.is_empty() {
            let awaited =
                gates::awaited_for_slots(connection, &self.freed.keys().collect::<Vec<_>>()).await?;
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
