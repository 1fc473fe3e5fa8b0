//! Wake: gives parked jobs another chance to be claimed once their gate may have room.
//!
//! Waking takes the first waiters of a gate, by priority, round and age, and makes them ready
//! again. A woken job does not wait behind the gate's other waiters, but its claim still decides:
//! it passes, or it is parked again.
//!
//! * `wake_freed`: attempts end and free slots. Runs in their transaction.
//! * `wake`: a claim forwards wakeups that its jobs did not use. Runs in its transaction.
//! * [`wake_due`]: a duty, for gates that get room at a known moment.
//! * [`sweep_stranded`]: a duty, for wakeups that were lost, such as those of woken jobs that were
//!   cancelled before their claim.
//!
//! Woken jobs are marked as handed over. If the process dies before it pushes their references,
//! dispatch does.

mod recheck;

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::Time,
    ids::JobId,
    job::{
        ReadyJob,
        transition::{Transition, apply},
    },
    limit::{
        GateKey,
        gate::{AHEAD, Block, Demand, Gate},
    },
    steps::{After, Done},
    store::{
        Connection, Store, StoreError, commit,
        jobs::live::{self, Change},
        limits::gates::{self, LockedGates, Saved, Wake},
    },
};

pub(crate) use recheck::Recheck;

/// A job is woken about this long before its moment, or earlier, so that its claim is in time. Jobs
/// due within [`AHEAD`] are woken with it, which makes claim batches fewer and larger.
const LEAD: Duration = Duration::from_millis(120);
/// Most jobs that one gate wakes at a time, and most gates of one round.
const WAKE_MAX: u32 = 500;
const GATES_MAX: u16 = 100;
/// Pause while another worker has locked all gates that are due.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Shortest time until a gate is due again.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Why waiters are woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Slots were freed or wakeups forwarded. Wakes at most `most` jobs, because other room belongs
    /// to woken jobs that are not claimed yet.
    Freed,
    /// A moment has come or limits have changed.
    Time,
}

#[derive(Debug, Default)]
pub(crate) struct Woken {
    pub(crate) ready: Vec<ReadyJob>,
    /// Gates whose last waiter was woken, as seen before the commit.
    pub(crate) emptied: Vec<GateKey>,
}

/// Returns the delay until waking for a block that ends at `until`. Only rate limits are woken for
/// early, because their claims may be granted ahead.
pub(crate) fn lead(block: &Block, until: Time, now: Time) -> Duration {
    let wait = (until - now).to_std().unwrap_or_default();
    match block {
        Block::Rate { .. } => wait.saturating_sub(LEAD).max(PAUSE_MIN),
        Block::Capped { .. }
        | Block::QuotaExhausted { .. }
        | Block::RetryAfter { .. }
        | Block::Suspended { .. }
        | Block::NoSlots { .. }
        | Block::BehindWaiters => wait,
    }
}

/// Wakes at most the given number of waiters of each gate. Locks the gates. The caller may hold
/// these locks already.
pub(crate) async fn wake(
    connection: &mut Connection,
    wanted: HashMap<GateKey, u32>,
    occasion: Occasion,
) -> Result<Woken, StoreError> {
    let keys: Vec<GateKey> = wanted.keys().cloned().collect();
    let locked = gates::lock(connection, &keys).await?;
    wake_locked(connection, locked, |key| wanted.get(key).copied().unwrap_or_default(), occasion).await
}

/// Wakes waiters for slots that the caller's transaction frees. Locks only gates with waiters for a
/// slot, so that settles and claims do not queue for one lock. [`Recheck`] covers what this misses.
pub(crate) async fn wake_freed(
    connection: &mut Connection,
    mut freed: HashMap<GateKey, u32>,
) -> Result<(Woken, Recheck), StoreError> {
    if freed.is_empty() {
        return Ok((Woken::default(), Recheck::default()));
    }
    let awaited = gates::awaited_for_slots(connection, &freed.keys().collect::<Vec<_>>()).await?;
    let wanted = awaited.into_iter().filter_map(|key| freed.remove_entry(&key)).collect();
    let woken = wake(connection, wanted, Occasion::Freed).await?;
    let recheck = Recheck { freed, emptied: woken.emptied.clone(), ..Recheck::default() };
    Ok((woken, recheck))
}

/// Wakes at most [`WAKE_MAX`] waiters of a gate that was just closed. A job that can use another
/// proxy may pass. The others are parked again.
pub(crate) async fn wake_all(connection: &mut Connection, key: &GateKey) -> Result<Woken, StoreError> {
    let parked = gates::parked(connection, &[(key, WAKE_MAX)]).await?;
    let jobs: Vec<JobId> = parked.into_iter().map(|(_, job)| job).collect();
    Ok(Woken { ready: make_ready(connection, &jobs).await?, ..Woken::default() })
}

/// One round of the duty: wakes waiters of every gate that is due. Also returns the time until the
/// next gate is due: zero when there may be more to do, `None` when no gate is.
pub async fn wake_due(store: &Store) -> Result<Done<Option<Duration>>, StoreError> {
    // Every worker wakes up at this moment, and mostly another one has done the work already.
    let next = gates::next_due_in(&mut *store.connection().await?).await?;
    if next.is_none_or(|wait| !wait.is_zero()) {
        return Ok(Done::unchanged(next));
    }
    let mut transaction = store.begin().await?;
    let locked = gates::lock_due(&mut transaction, GATES_MAX.into()).await?;
    if locked.gates.is_empty() {
        return Ok(Done::unchanged(Some(BUSY_PAUSE)));
    }
    let woken = wake_locked(&mut transaction, locked, |_| WAKE_MAX, Occasion::Time).await?;
    commit(transaction).await?;
    Ok(Done::new(Some(Duration::ZERO), woken.finish(store).await))
}

/// Checks a batch of gates with waiters that are not due within a minute, beginning after the key
/// `after`. Wakes one waiter of each gate that has room, and corrects gates whose count of held
/// slots is wrong. Returns the key to go on after, or `None` to begin anew.
pub async fn sweep_stranded(
    store: &Store,
    after: Option<String>,
) -> Result<Done<Option<String>>, StoreError> {
    let mut transaction = store.begin().await?;
    let found = gates::keys_with_parked(&mut transaction, after.as_deref(), GATES_MAX.into()).await?;
    let last = found.last().filter(|_| found.len() == usize::from(GATES_MAX)).cloned();
    let keys = found.iter().filter_map(|key| Some((key.parse().ok()?, 1)));
    let mut wanted: HashMap<GateKey, u32> = keys.collect();
    for timed in gates::timed(&mut transaction, &found).await? {
        wanted.remove(&timed);
    }
    if wanted.is_empty() {
        return Ok(Done::unchanged(last));
    }
    let keys: Vec<GateKey> = wanted.keys().cloned().collect();
    let mut locked = gates::lock(&mut transaction, &keys).await?;
    let keys: Vec<GateKey> = locked.gates.keys().cloned().collect();
    let miscounted = gates::recount(&mut transaction, &keys).await?;
    if !miscounted.is_empty() {
        tracing::error!(gates = ?miscounted, "corrected gates whose count of held slots was wrong");
        locked = gates::lock(&mut transaction, &keys).await?;
    }
    // Jobs are parked there, whatever the gate's own row says.
    locked.gates.values_mut().for_each(|gate| gate.has_waiters = true);
    let woken = wake_locked(&mut transaction, locked, |_| 1, Occasion::Freed).await?;
    commit(transaction).await?;
    Ok(Done::new(last, woken.finish(store).await))
}

async fn wake_locked(
    connection: &mut Connection,
    mut locked: LockedGates,
    most: impl Fn(&GateKey) -> u32,
    occasion: Occasion,
) -> Result<Woken, StoreError> {
    let Some(now) = locked.at else { return Ok(Woken::default()) };
    locked.gates.retain(|key, gate| gate.has_waiters && most(key) > 0);
    let looks: Vec<Look> = locked
        .gates
        .iter()
        .map(|(key, gate)| {
            let limits = locked.demands.get(key).cloned().unwrap_or_default();
            let demand = Demand { key: key.clone(), name: "".into(), limits };
            Look::at(gate, demand, now, most(key), occasion)
        })
        .collect();
    let wanted: Vec<(&GateKey, u32)> =
        looks.iter().filter(|look| look.room > 0).map(|look| (&look.demand.key, look.room)).collect();
    let parked = if wanted.is_empty() { Vec::new() } else { gates::parked(connection, &wanted).await? };
    let mut found: HashMap<&GateKey, u32> = HashMap::new();
    for (key, _) in &parked {
        *found.entry(key).or_default() += 1;
    }
    let mut emptied = Vec::new();
    for look in &looks {
        let is_last = found.get(&look.demand.key).copied().unwrap_or_default() < look.room;
        if let Some(gate) = locked.gates.get_mut(&look.demand.key).filter(|_| is_last) {
            gate.has_waiters = false;
            emptied.push(look.demand.key.clone());
        }
    }
    let saved = looks.iter().filter_map(|look| {
        let (key, gate) = locked.gates.get_key_value(&look.demand.key)?;
        let wake = if gate.has_waiters { look.wake } else { Wake::At(None) };
        Some(Saved { key, gate, demand: None, wake })
    });
    gates::save(connection, &saved.collect::<Vec<_>>()).await?;
    let jobs: Vec<JobId> = parked.iter().map(|(_, job)| *job).collect();
    Ok(Woken { ready: make_ready(connection, &jobs).await?, emptied })
}

/// How many waiters one gate may wake, and when it is due again.
struct Look {
    demand: Demand,
    room: u32,
    /// When the gate is due again if it has more waiters than room.
    wake: Wake,
}

impl Look {
    fn at(gate: &Gate, demand: Demand, now: Time, most: u32, occasion: Occasion) -> Self {
        let (room, next) = gate.room(&demand, now, most);
        let is_rated = !demand.limits.rate_limits.is_empty();
        let wake = match next {
            Ok(at) if at > now + AHEAD || is_rated || occasion == Occasion::Time => {
                let wait = (at - now).to_std().unwrap_or_default();
                Wake::At(Some(wait.saturating_sub(LEAD).max(PAUSE_MIN)))
            }
            // Room beyond the freed slots belongs to jobs that were woken before and have not been
            // claimed yet.
            Ok(_) => Wake::Soonest(None),
            Err(block) => Wake::At(block.until().map(|until| lead(&block, until, now))),
        };
        Self { demand, room, wake }
    }
}

async fn make_ready(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<ReadyJob>, StoreError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let (rows, Some(now)) = live::lock(connection, jobs).await? else { return Ok(Vec::new()) };
    let (mut changes, mut ready) = (Vec::new(), Vec::new());
    for before in rows {
        let facts = before.facts();
        if let Ok(applied) = apply(&facts, Transition::Woken, now) {
            ready.push(before.reference());
            changes.push(Change { before, applied, started: None, is_dispatched: true });
        }
    }
    live::save(connection, &changes, now).await?;
    Ok(ready)
}

impl Woken {
    /// What to announce after the commit.
    pub(crate) fn after(&self) -> After {
        After { changed: self.changed(), ready: self.ready.clone(), ..After::default() }
    }

    /// After the commit, for callers with nothing else to recheck.
    async fn finish(self, store: &Store) -> After {
        let mut after = self.after();
        after.merge(Recheck { emptied: self.emptied, ..Recheck::default() }.run(store).await);
        after
    }

    pub(crate) fn changed(&self) -> Vec<JobId> {
        self.ready.iter().map(|ready| ready.job).collect()
    }
}
