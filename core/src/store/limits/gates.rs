//! Locks, reads and saves gates.
//!
//! The rows of gates are locked after the rows of jobs, in order of key. `limit::gate` decides.

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde_json::Value;

pub use super::waiters::{
    awaited, awaited_for_slots, keys_with_parked, next_due_in, parked, stranded, timed,
};
use crate::{
    clock::Time,
    limit::{GateKey, Limits, gate::Gate},
    store::{Connection, StoreError, columns::query_rows, from_json, optional_json, to_json},
};

/// Gates as of when they were locked or read.
#[derive(Debug, Default)]
pub struct LockedGates {
    /// Their states. A new gate has an empty state.
    pub gates: HashMap<GateKey, Gate>,
    /// The limits by which their waiters are woken: those of the last claim that parked a job
    /// there.
    pub demands: HashMap<GateKey, Arc<Limits>>,
    /// The database's time once all were locked. `None` if there are no gates.
    pub at: Option<Time>,
}

/// Locks gates in order of key, and inserts missing ones.
#[tracing::instrument(name = "db.gates.lock", level = "debug", skip_all)]
pub async fn lock(connection: &mut Connection, keys: &[GateKey]) -> Result<LockedGates, StoreError> {
    if keys.is_empty() {
        return Ok(LockedGates::default());
    }
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let mut rows = lock_rows(connection, &keys).await?;
    if rows.len() < keys.len() {
        sqlx::query!(
            "INSERT INTO gates (key) SELECT key FROM unnest($1::text[]) AS wanted (key) ORDER BY key ON CONFLICT DO NOTHING",
            &keys
        )
        .execute(&mut *connection)
        .await?;
        rows = lock_rows(connection, &keys).await?;
    }
    add_up(connection, rows).await
}

/// Locks at most `most` gates whose waiters are due to be woken. Skips locked gates.
#[tracing::instrument(name = "db.gates.lock_due", level = "debug", skip_all)]
pub async fn lock_due(connection: &mut Connection, most: i64) -> Result<LockedGates, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        WITH due AS MATERIALIZED (
            SELECT * FROM gates WHERE wake_at <= clock_timestamp() ORDER BY wake_at LIMIT $1
            FOR NO KEY UPDATE SKIP LOCKED
        )
        SELECT key, state, has_waiters, demand, held AS "held!", clock_timestamp() AS "now!" FROM due
        "#,
        most
    )
    .fetch_all(&mut *connection)
    .await?;
    add_up(connection, rows).await
}

struct Row {
    key: String,
    state: Value,
    has_waiters: bool,
    demand: Option<Value>,
    held: i32,
    now: Time,
}

async fn lock_rows(connection: &mut Connection, keys: &[String]) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        WITH locked AS MATERIALIZED (SELECT * FROM gates WHERE key = ANY($1) ORDER BY key FOR NO KEY UPDATE)
        SELECT key, state, has_waiters, demand, held AS "held!", clock_timestamp() AS "now!" FROM locked
        "#,
        keys
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Adds pending deltas to the counts. No job takes a slot meanwhile, because the gates are locked.
async fn add_up(connection: &mut Connection, mut rows: Vec<Row>) -> Result<LockedGates, StoreError> {
    if rows.is_empty() {
        return Ok(LockedGates::default());
    }
    let keys: Vec<String> = rows.iter().map(|row| row.key.clone()).collect();
    let counted = sqlx::query!(
        r#"
        WITH left_over AS (DELETE FROM gate_deltas WHERE key = ANY($1) RETURNING key, held),
            sums AS (SELECT key, sum(held)::integer AS held FROM left_over GROUP BY key)
        UPDATE gates SET held = gates.held + sums.held FROM sums WHERE gates.key = sums.key AND gates.key = ANY($1)
        RETURNING gates.key, gates.held
        "#,
        &keys
    )
    .fetch_all(connection)
    .await?;
    let counted: HashMap<String, i32> = counted.into_iter().map(|row| (row.key, row.held)).collect();
    for row in &mut rows {
        row.held = counted.get(&row.key).copied().unwrap_or(row.held);
    }
    read(rows)
}

fn read(rows: Vec<Row>) -> Result<LockedGates, StoreError> {
    let mut found = LockedGates { at: rows.iter().map(|row| row.now).max(), ..LockedGates::default() };
    for row in rows {
        let key = parse(&row.key)?;
        if let Some(limits) = row.demand {
            found.demands.insert(key.clone(), Arc::new(from_json("gates", "demand", limits)?));
        }
        let gate: Gate = from_json("gates", "state", row.state)?;
        let held = u32::try_from(row.held).map_err(|_| StoreError::corrupt("gates", "held", &row.held))?;
        found.gates.insert(key, Gate { held, has_waiters: row.has_waiters, ..gate });
    }
    Ok(found)
}

pub(super) fn parse(key: &str) -> Result<GateKey, StoreError> {
    key.parse().map_err(|_| StoreError::corrupt("gates", "key", &key))
}

/// The number of jobs that hold a slot at each gate, without locking the gates.
#[tracing::instrument(name = "db.gates.counts", level = "debug", skip_all)]
pub async fn counts(
    connection: &mut Connection,
    keys: &[&GateKey],
) -> Result<HashMap<GateKey, u32>, StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"SELECT key, held + coalesce((SELECT sum(held) FROM gate_deltas WHERE gate_deltas.key = gates.key), 0)::integer AS "held!"
           FROM gates WHERE key = ANY($1)"#,
        &keys
    )
    .fetch_all(connection)
    .await?;
    let count = |held| u32::try_from(held).map_err(|_| StoreError::corrupt("gates", "held", &held));
    rows.into_iter().map(|row| Ok((parse(&row.key)?, count(row.held)?))).collect()
}

/// Recounts the slots of locked gates from the rows of running jobs, and corrects wrong counts.
/// Returns the keys of corrected gates. There are none unless Callboard has a bug.
#[tracing::instrument(name = "db.gates.recount", level = "debug", skip_all)]
pub async fn recount(connection: &mut Connection, keys: &[GateKey]) -> Result<Vec<GateKey>, StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let keys = sqlx::query_scalar!(
        r#"
        WITH counted AS (
            SELECT key, coalesce(running.count, 0)::integer
                - coalesce((SELECT sum(held) FROM gate_deltas WHERE gate_deltas.key = wanted.key), 0)::integer AS held
            FROM unnest($1::text[]) AS wanted (key) LEFT JOIN (
                SELECT key, count(*) FROM live_jobs, unnest(holds) AS key WHERE worker_id IS NOT NULL GROUP BY key
            ) AS running USING (key)
        )
        UPDATE gates SET held = counted.held FROM counted
        WHERE gates.key = counted.key AND gates.key = ANY($1) AND gates.held <> counted.held
        RETURNING gates.key
        "#,
        &keys
    )
    .fetch_all(connection)
    .await?;
    keys.iter().map(|key| parse(key)).collect()
}

/// Reads gates without locking them. Gates without a row are left out.
#[tracing::instrument(name = "db.gates.look", level = "debug", skip_all)]
pub async fn look(connection: &mut Connection, keys: &[GateKey]) -> Result<LockedGates, StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT key, state, has_waiters, demand, clock_timestamp() AS "now!",
               held + coalesce((SELECT sum(held) FROM gate_deltas WHERE gate_deltas.key = gates.key), 0)::integer AS "held!"
           FROM gates WHERE key = ANY($1)"#,
        &keys
    )
    .fetch_all(&mut *connection)
    .await?;
    read(rows)
}

/// A gate to save.
#[derive(Debug)]
pub struct Saved<'a> {
    /// Its key.
    pub key: &'a GateKey,
    /// Its state.
    pub gate: &'a Gate,
    /// The limits by which its waiters are woken. `None` keeps the stored ones.
    pub demand: Option<&'a Limits>,
    /// When its waiters are due to be woken.
    pub wake: Wake,
}

/// When the waiters of a gate are due to be woken, as a delay from the time of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// After this delay. `None` if it does not depend on time.
    At(Option<Duration>),
    /// After this delay or at the stored time, whichever is earlier. `None` keeps the stored time.
    Soonest(Option<Duration>),
}

impl Wake {
    const fn delay(self) -> Option<Duration> {
        match self {
            Self::At(delay) | Self::Soonest(delay) => delay,
        }
    }
}

/// Saves locked gates.
#[tracing::instrument(name = "db.gates.save", level = "debug", skip_all)]
pub async fn save(connection: &mut Connection, gates: &[Saved<'_>]) -> Result<(), StoreError> {
    query_rows!(
        query for saved in gates,
        "UPDATE gates SET state = saved.state::jsonb, has_waiters = saved.has_waiters, held = saved.held,
            demand = coalesce(saved.demand::jsonb, gates.demand),
            -- least() ignores nulls.
            wake_at = least(CASE WHEN saved.keeps_plan THEN gates.wake_at END,
                clock_timestamp() + make_interval(secs => saved.wake_in))
        FROM",
        "saved" {
            "key": "text[]" = saved.key.to_string();
            "state": "text[]" = to_json("state", saved.gate)?;
            "has_waiters": "boolean[]" = saved.gate.has_waiters;
            "held": "integer[]" = saved.gate.held.cast_signed();
            "demand": "text[]" as Option<String> = optional_json("demand", saved.demand)?;
            "wake_in": "float8[]" as Option<f64> = saved.wake.delay().map(|delay| delay.as_secs_f64());
            "keeps_plan": "boolean[]" = matches!(saved.wake, Wake::Soonest(_));
        },
        "WHERE gates.key = saved.key AND gates.key = ANY($1)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes the gate of a deleted object.
#[tracing::instrument(name = "db.gates.remove", level = "debug", skip_all)]
pub async fn remove(connection: &mut Connection, key: &GateKey) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH left_over AS (DELETE FROM gate_deltas WHERE key = $1) DELETE FROM gates WHERE key = $1",
        key.to_string()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes the waiters due under changed limits. Claims under way still apply the old ones.
#[tracing::instrument(name = "db.gates.relimit", level = "debug", skip_all)]
pub async fn relimit(connection: &mut Connection, key: &GateKey, limits: &Limits) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE gates SET demand = $2::text::jsonb, wake_at = clock_timestamp() WHERE key = $1 AND has_waiters",
        key.to_string(),
        to_json("demand", limits)?
    )
    .execute(connection)
    .await?;
    Ok(())
}
