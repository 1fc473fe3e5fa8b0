//! Lanes, which assign rounds to jobs so that they share a queue fairly.
//!
//! Jobs of one priority run by round and then by age. A lane has one job per round, so that a lane
//! with ten jobs does not wait for a lane with a million (docs/adr/0013). `live::save` moves the
//! running round when jobs start.

use std::collections::BTreeMap;

use crate::{
    job::{HEAD_START, Lane, Standing, transition::Next},
    store::{Connection, StoreError, columns::query_rows, jobs::live::Change},
};

/// The transaction in which rounds are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// In the caller's transaction. Other transactions that take from the same lanes wait for its
    /// commit.
    Within,
    /// In a transaction of its own, with `synchronous_commit = off`. This is safe, because WAL is
    /// flushed in order, so the later, synchronous INSERT of the jobs also makes this durable.
    /// Rounds of jobs that are not inserted stay unused.
    Ahead,
}

/// Takes a round for each job: the next rounds of its lane, in order.
#[tracing::instrument(name = "db.lanes.take_rounds", level = "debug", skip_all)]
pub async fn take_rounds(
    connection: &mut Connection,
    jobs: &[Lane],
    taking: Taking,
) -> Result<Vec<i64>, StoreError> {
    let mut counts: BTreeMap<&Lane, i64> = BTreeMap::new();
    for lane in jobs {
        *counts.entry(lane).or_default() += 1;
    }
    if counts.is_empty() {
        return Ok(Vec::new());
    }
    let mut next = take(connection, &counts, taking).await?;
    let rounds = jobs.iter().map(|lane| {
        let round = next.entry(lane.clone()).or_default();
        *round += 1;
        *round - 1
    });
    Ok(rounds.collect())
}

/// Takes rounds and returns the first for each lane. A negative count gives rounds back. It is one
/// INSERT, because an UPDATE may wait for a transaction that waits for its locks.
async fn take(
    connection: &mut Connection,
    counts: &BTreeMap<&Lane, i64>,
    taking: Taking,
) -> Result<BTreeMap<Lane, i64>, StoreError> {
    let rows = query_rows!(
        query for (lane, count) in counts,
        "WITH haste AS MATERIALIZED (
            SELECT CASE WHEN $2 THEN set_config('synchronous_commit', 'off', true) END AS setting
        ), wanted AS MATERIALIZED (
            SELECT wanted.*, greatest(1, rounds.round - $3) AS first, rounds.round IS NULL AS is_new
            FROM haste CROSS JOIN",
        "wanted" {
            "queue": "text[]" as &str = &lane.queue;
            "priority": "smallint[]" = lane.priority;
            "key": "text[]" as &str = &lane.key;
            "count": "bigint[]" = *count;
        },
        r#"LEFT JOIN rounds USING (queue, priority)
        ), begun AS (
            INSERT INTO rounds (queue, priority, round) SELECT DISTINCT queue, priority, 0 FROM wanted WHERE is_new
            ON CONFLICT DO NOTHING
        )
        INSERT INTO lanes AS lane (queue, priority, key, next_round, taken)
        SELECT queue, priority, key, first + count, count FROM wanted ORDER BY queue, priority, key
        ON CONFLICT (queue, priority, key) DO UPDATE SET taken = excluded.taken,
            next_round = greatest(lane.next_round, excluded.next_round - excluded.taken) + excluded.taken
        RETURNING queue, priority, key, next_round - taken AS "first!""#,
        taking == Taking::Ahead,
        HEAD_START,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (Lane { queue: row.queue, priority: row.priority, key: row.key }, row.first))
        .collect())
}

/// Gives rounds to jobs that become ready for the first time. Returns rounds of jobs that end
/// unstarted, so that their lanes do not fall behind.
///
/// Call it at most once per transaction. Two transactions that each take from lanes twice may use
/// different orders and deadlock.
#[tracing::instrument(name = "db.lanes.account", level = "debug", skip_all)]
pub async fn account(connection: &mut Connection, changes: &mut [Change]) -> Result<(), StoreError> {
    let mut counts: BTreeMap<Lane, i64> = BTreeMap::new();
    for change in changes.iter() {
        let account = i64::from(is_first(change)) - i64::from(is_unused(change));
        if account != 0 {
            *counts.entry(change.before.lane()).or_default() += account;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let mut next =
        take(connection, &counts.iter().map(|(lane, count)| (lane, *count)).collect(), Taking::Within)
            .await?;
    for change in changes.iter_mut().filter(|change| is_first(change)) {
        let round = next.entry(change.before.lane()).or_default();
        change.before.round = *round;
        *round += 1;
    }
    Ok(())
}

fn is_first(change: &Change) -> bool {
    change.before.round == 0 && matches!(change.applied.next, Next::Live(Standing::Queued { .. }))
}

fn is_unused(Change { before, applied, .. }: &Change) -> bool {
    let ends = matches!((&before.standing, &applied.next), (Standing::Queued { .. }, Next::Ended { .. }));
    ends && before.attempt == 0 && before.round > 0
}

/// Deletes at most `most` lanes whose next round is the one that a new lane would get. Skips locked
/// lanes.
#[tracing::instrument(name = "db.lanes.forget_idle", level = "debug", skip_all)]
pub async fn forget_idle(connection: &mut Connection, most: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM lanes WHERE ctid = ANY (ARRAY(
             SELECT lanes.ctid FROM lanes JOIN rounds USING (queue, priority)
             WHERE lanes.next_round <= greatest(1, rounds.round - $1) LIMIT $2 FOR UPDATE OF lanes SKIP LOCKED
         ))",
        HEAD_START,
        most
    )
    .execute(connection)
    .await?;
    Ok(())
}
