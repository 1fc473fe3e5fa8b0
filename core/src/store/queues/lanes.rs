//! Lanes: who shares a queue fairly, and the rounds that their jobs are given.
//!
//! Called by the steps that make jobs ready: `submit`, `promote`, `unblock`, `retry`. Jobs of one priority run by round, then age; a lane
//! has one job per round, so that a lane with a million jobs and one with ten take turns (docs/adr/0013). The round that is being
//! run is moved on by `live::save` when jobs start.

use std::collections::BTreeMap;

use crate::{
    job::{HEAD_START, Lane, Standing, transition::Next},
    store::{Connection, StoreError, columns::query_rows, jobs::live::Change},
};

/// How rounds are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// In the caller's transaction: who takes from the same lanes waits for its commit.
    Within,
    /// By a statement that is a transaction by itself and does not wait for the disk: what is written later is not on the disk before
    /// it. Rounds of jobs that come to nothing are left out.
    Ahead,
}

/// A round for each of these jobs, given by their lanes: the next ones of each lane, in order.
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

/// The first round for each lane. One INSERT that updates what is there: unlike an UPDATE, it never waits for those who wait for the
/// locks that it has taken itself.
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

/// Gives their rounds to jobs that are about to be ready for the first time, and gives back the rounds of those that end before they
/// ever ran: their lane does not wait as if they had. Within the caller's transaction, and at most once in it: whoever takes from lanes
/// twice may meet one who takes from the same in another order.
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

/// Forgets lanes whose next round is one that everybody would be given, at most `most`; those that somebody takes from are passed over.
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
