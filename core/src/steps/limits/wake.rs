//! Call: parked jobs whose gate has room may try again, in order of priority and age.
//!
//! Called by `settle` and `claim` when jobs leave a gate or do not use their turn, and as a duty of every worker when time gives
//! room. A called job is ready again, and does not queue up at that gate any more; whether it passes is up to its claim. What is
//! called and never claimed (cancelled, say) is made good by the next call: the duty looks at all gates with waiters now and then.

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
    steps::After,
    store::{
        Connection, Store, StoreError, commit,
        jobs::live::{self, Change},
        limits::gates::{self, LockedGates, Saved, Wake},
    },
};

pub(crate) use recheck::Recheck;

/// How long before its moment a job is called at the latest, so that its claim is there in time. Those whose moments come until
/// [`AHEAD`] are called with it: the longer that is, the fewer and larger are the batches that queue up at a gate.
const LEAD: Duration = Duration::from_millis(120);
/// Most jobs that one gate calls at a time, and most gates.
const WAKE_MAX: u32 = 500;
const GATES_MAX: u16 = 100;
/// Pause while another worker is calling at all gates whose moment has come.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// Shortest pause between two looks at one gate.
const PAUSE_MIN: Duration = Duration::from_millis(1);

/// Why jobs are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// So many have left: those who were called before and have not claimed yet are still to be reckoned with.
    Freed,
    /// A moment has come, or limits have changed.
    Time,
}

/// Who was called.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    pub(crate) ready: Vec<ReadyJob>,
    /// Gates on which nobody is parked any more, as far as was seen before the commit.
    pub(crate) emptied: Vec<GateKey>,
}

/// How long to wait with a call for that moment. What a service asked for is never anticipated.
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

/// Calls at most so many jobs at each of these gates, which are locked (again, if the caller has locked them already).
pub(crate) async fn wake(
    connection: &mut Connection,
    wanted: HashMap<GateKey, u32>,
    occasion: Occasion,
) -> Result<Woken, StoreError> {
    let keys: Vec<GateKey> = wanted.keys().cloned().collect();
    let locked = gates::lock(connection, &keys).await?;
    wake_locked(connection, locked, |key| wanted.get(key).copied().unwrap_or_default(), occasion).await
}

/// Before the commit of those who leave: calls at gates where jobs wait for a place. The others are not locked, or everybody who leaves
/// would queue up at a gate with those who come.
pub(crate) async fn wake_freed(
    connection: &mut Connection,
    mut freed: HashMap<GateKey, u32>,
) -> Result<(Woken, Recheck), StoreError> {
    if freed.is_empty() {
        return Ok((Woken::default(), Recheck::default()));
    }
    let awaited = gates::awaited_for_places(connection, &freed.keys().collect::<Vec<_>>()).await?;
    let wanted = awaited.into_iter().filter_map(|key| freed.remove_entry(&key)).collect();
    let woken = wake(connection, wanted, Occasion::Freed).await?;
    let recheck = Recheck { freed, emptied: woken.emptied.clone(), ..Recheck::default() };
    Ok((woken, recheck))
}

/// Calls those who wait at a gate that is shut now, [`WAKE_MAX`] at most: some may have another way, and the others come back.
pub(crate) async fn wake_all(connection: &mut Connection, key: &GateKey) -> Result<Woken, StoreError> {
    let parked = gates::parked(connection, &[(key, WAKE_MAX)]).await?;
    let jobs: Vec<JobId> = parked.into_iter().map(|(_, job)| job).collect();
    Ok(Woken { ready: make_ready(connection, &jobs).await?, ..Woken::default() })
}

/// One round of the duty: calls at every gate whose moment has come. Also answers how long until the next one; zero when
/// there may be more to do.
pub async fn wake_due(store: &Store) -> Result<(After, Option<Duration>), StoreError> {
    // Every worker looks at every moment, and mostly another one has called already.
    let next = gates::next_due_in(&mut *store.connection().await?).await?;
    if next.is_none_or(|wait| !wait.is_zero()) {
        return Ok((After::default(), next));
    }
    let mut transaction = store.begin().await?;
    let locked = gates::lock_due(&mut transaction, GATES_MAX.into()).await?;
    if locked.gates.is_empty() {
        return Ok((After::default(), Some(BUSY_PAUSE)));
    }
    let woken = wake_locked(&mut transaction, locked, |_| WAKE_MAX, Occasion::Time).await?;
    commit(transaction).await?;
    Ok((woken.finish(store).await, Some(Duration::ZERO)))
}

/// Looks at gates with waiters that wait for no moment, [`GATES_MAX`] from the one on that is given, and calls one at each that
/// has room, should a turn ever have been lost. Answers where to go on; null for from the beginning.
pub async fn sweep_stranded(
    store: &Store,
    after: Option<String>,
) -> Result<(After, Option<String>), StoreError> {
    let mut transaction = store.begin().await?;
    let found = gates::keys_with_parked(&mut transaction, after.as_deref(), GATES_MAX.into()).await?;
    let last = found.last().filter(|_| found.len() == usize::from(GATES_MAX)).cloned();
    let keys = found.iter().filter_map(|key| Some((key.parse().ok()?, 1)));
    let mut wanted: HashMap<GateKey, u32> = keys.collect();
    for timed in gates::timed(&mut transaction, &found).await? {
        wanted.remove(&timed);
    }
    if wanted.is_empty() {
        return Ok((After::default(), last));
    }
    let keys: Vec<GateKey> = wanted.keys().cloned().collect();
    let mut locked = gates::lock(&mut transaction, &keys).await?;
    let keys: Vec<GateKey> = locked.gates.keys().cloned().collect();
    let miscounted = gates::recount(&mut transaction, &keys).await?;
    if !miscounted.is_empty() {
        tracing::error!(gates = ?miscounted, "these gates had miscounted who is behind them; put right");
        locked = gates::lock(&mut transaction, &keys).await?;
    }
    // There are jobs parked on them, whatever the gates believe.
    locked.gates.values_mut().for_each(|gate| gate.has_waiters = true);
    let woken = wake_locked(&mut transaction, locked, |_| 1, Occasion::Freed).await?;
    commit(transaction).await?;
    Ok((woken.finish(store).await, last))
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

/// What one gate has room for.
struct Look {
    demand: Demand,
    room: u32,
    /// When to look again if there are more who wait than there is room for.
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
            // There is room for more than have left: for those who were called and have not claimed yet.
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
    /// What has to be told after the commit.
    pub(crate) fn after(&self) -> After {
        After { changed: self.changed(), ready: self.ready.clone(), ..After::default() }
    }

    /// After the commit, where nothing else is to be looked at again.
    async fn finish(self, store: &Store) -> After {
        let mut after = self.after();
        after.merge(Recheck { emptied: self.emptied, ..Recheck::default() }.run(store).await);
        after
    }

    /// The jobs with new events.
    pub(crate) fn changed(&self) -> Vec<JobId> {
        self.ready.iter().map(|ready| ready.job).collect()
    }
}
