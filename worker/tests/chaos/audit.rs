//! The audit compares the database with what the children wrote. Every finding is a sentence.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use callboard::{clock::Time, ids::JobId};
use chrono::TimeDelta;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow};

use crate::{
    faults::Shaken,
    history,
    ledger::{self, Runs},
    load::{Load, NARROW},
    system::System,
};

/// The workers' lease, and how long a worker must have been stopped during it to be declared lost.
const LEASE: TimeDelta = TimeDelta::seconds(8);
const STOPPED_MIN: TimeDelta = TimeDelta::seconds(4);
/// The next sweep, at most ten seconds later, removes what an attempt left.
const CLEAN_WITHIN: Duration = Duration::from_secs(20);

/// Rules of the tables: what a returned row means, and the statement, which returns texts.
const RULES: [(&str, &str); 14] = [
    ("a job that has not ended", "SELECT job_id::text || ' ' || state FROM live_jobs"),
    ("a job in no table or in two", "SELECT id::text FROM jobs WHERE
        (SELECT count(*) FROM live_jobs WHERE job_id = id) + (SELECT count(*) FROM ended_jobs WHERE job_id = id) <> 1"),
    ("a gate that still holds slots", "SELECT key FROM gates
        WHERE held + coalesce((SELECT sum(held) FROM gate_deltas WHERE gate_deltas.key = gates.key), 0) <> 0"),
    ("a dependency without an outcome", "SELECT job_id::text FROM job_dependencies WHERE outcome IS NULL OR is_due"),
    ("a gap in a job's versions", "SELECT ended.job_id::text FROM ended_jobs AS ended WHERE ended.version <>
        (SELECT count(*) FROM job_events WHERE job_events.job_id = ended.job_id)
        OR ended.version <> (SELECT max(version) FROM job_events WHERE job_events.job_id = ended.job_id)"),
    ("an event whose prior state is not the state before", "SELECT job_id::text || ' ' || version FROM (
        SELECT job_id, version, prior_state, lag(state) OVER (PARTITION BY job_id ORDER BY version) AS before FROM job_events
        ) AS event WHERE version > 1 AND prior_state IS DISTINCT FROM before"),
    ("a gap in a job's attempts", "SELECT ended.job_id::text FROM ended_jobs AS ended WHERE ended.attempt <>
        (SELECT count(*) FROM attempts WHERE attempts.job_id = ended.job_id)"),
    ("an attempt without an outcome", "SELECT job_id::text || ' ' || number FROM attempts WHERE outcome IS NULL"),
    ("a success that is not the last attempt's", "SELECT job_id::text || ' ' || number FROM attempts JOIN ended_jobs USING (job_id)
        WHERE (outcome = 'succeeded') <> (ended_jobs.state = 'succeeded' AND number = ended_jobs.attempt)"),
    ("two attempts of one job at once", "SELECT one.job_id::text FROM attempts AS one JOIN attempts AS other
        ON other.job_id = one.job_id AND other.number > one.number AND other.started_at < one.finished_at"),
    ("two attempts on one profile at once", "SELECT one.job_id::text || ' ' || other.job_id FROM attempts AS one
        JOIN jobs AS job ON job.id = one.job_id JOIN jobs AS job2 ON job2.profile_id = job.profile_id
        JOIN attempts AS other ON other.job_id = job2.id AND other.id <> one.id
        WHERE other.started_at >= one.started_at AND other.started_at < one.finished_at"),
    ("a gap in a log", "SELECT job_id::text FROM (
        SELECT job_id, first_sequence, coalesce(lag(first_sequence + line_count) OVER (PARTITION BY job_id ORDER BY first_sequence), 1) AS due
        FROM log_chunks) AS chunk WHERE first_sequence <> due"),
    ("a log that is not as long as the job says", "SELECT job_id::text FROM ended_jobs WHERE log_lines <>
        (SELECT coalesce(sum(line_count), 0) FROM log_chunks WHERE log_chunks.job_id = ended_jobs.job_id)"),
    ("a counter that drifted", "SELECT queue || ' ' || sum(blocked) || ' ' || sum(scheduled) || ' ' || sum(queued) || ' ' || sum(running)
        FROM (SELECT queue, blocked, scheduled, queued, running FROM queue_totals
            UNION ALL SELECT queue, blocked, scheduled, queued, running FROM queue_deltas) AS part GROUP BY queue
        HAVING sum(blocked) <> 0 OR sum(scheduled) <> 0 OR sum(queued) <> 0 OR sum(running) <> 0"),
];

/// Workers and attempts that were lost, for any reason.
pub(crate) struct Losses {
    pub(crate) workers: i64,
    pub(crate) attempts: i64,
    /// Attempts that their own deadline killed.
    pub(crate) fenced: i64,
}

pub(crate) async fn losses(postgres: &str) -> Losses {
    let mut connection = PgConnection::connect(postgres).await.unwrap();
    let rows = sqlx::query(
        "SELECT (SELECT count(*) FROM workers WHERE status = 'lost'),
            (SELECT count(*) FROM attempts WHERE outcome = 'lost'),
            (SELECT count(*) FROM job_events WHERE kind = 'released' AND message LIKE 'The worker''s lease%')",
    );
    let row = rows.fetch_one(&mut connection).await.unwrap();
    Losses { workers: row.get(0), attempts: row.get(1), fenced: row.get(2) }
}

/// Returns everything that is wrong. `stuck` is the number of jobs that have not ended, and
/// `shaken` has the workers that may lose attempts.
pub(crate) async fn audit(
    system: &System,
    postgres: &str,
    load: &Load,
    shaken: &Shaken,
    stuck: u64,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut connection = PgConnection::connect(postgres).await.unwrap();
    if stuck > 0 {
        found.push(format!("{stuck} jobs have not ended"));
        found.extend(describe_stuck(&mut connection).await);
    }
    for (what, rule) in RULES {
        let rows = sqlx::query(rule).fetch_all(&mut connection).await.unwrap();
        found.extend(rows.iter().map(|row| format!("{what}: {}", row.get::<String, _>(0))));
    }
    found.extend(check_limits(&mut connection).await);
    let runs = ledger::read(&load.ledger);
    found.extend(check_jobs(&mut connection, load).await);
    found.extend(check_runs(&mut connection, &runs).await);
    found.extend(history::check(&mut connection, &runs).await);
    found.extend(check_lines(&mut connection).await);
    found.extend(check_losses(&mut connection, shaken).await);
    let profiles = walk(&system.home().join("profiles"));
    let locks = profiles.iter().filter(|path| path.contains("/Singleton"));
    found.extend(locks.map(|path| format!("a browser's lock was left: {path}")));
    if let Err(left) = tokio::time::timeout(CLEAN_WITHIN, system.until_clean(CLEAN_WITHIN * 2)).await {
        found.push(format!("processes or files were left ({left}): {:?}", system.processes()));
    }
    found
}

/// Every file below a directory.
fn walk(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let below = entries.flat_map(|entry| {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let deeper = if is_directory { walk(&entry.path()) } else { Vec::new() };
        std::iter::once(entry.path().display().to_string()).chain(deeper)
    });
    below.collect()
}

/// A job's id, as the ledger has it.
fn name(row: &PgRow) -> String {
    JobId::from(row.get::<sqlx::types::Uuid, _>(0)).to_string()
}

/// Every accepted job exists, and no other.
async fn check_jobs(connection: &mut PgConnection, load: &Load) -> Vec<String> {
    let rows = sqlx::query("SELECT id FROM jobs").fetch_all(connection).await.unwrap();
    let there: BTreeSet<String> = rows.iter().map(name).collect();
    let accepted: BTreeSet<String> = load.jobs().into_iter().collect();
    let lost = accepted.difference(&there).map(|job| format!("a job was accepted and lost: {job}"));
    let more = there.difference(&accepted).map(|job| format!("a job that was never accepted: {job}"));
    lost.chain(more).collect()
}

/// The limits of the only service that jobs use were kept.
async fn check_limits(connection: &mut PgConnection) -> Vec<String> {
    let (at_once, rate, burst) = NARROW;
    let starts = "SELECT one.job_id, count(*) FROM attempts AS one
        JOIN jobs AS job ON job.id = one.job_id AND job.service_ids <> '{}'
        JOIN jobs AS job2 ON job2.service_ids <> '{}' JOIN attempts AS other ON other.job_id = job2.id AND";
    let rules = [
        (at_once, "other.started_at <= one.started_at AND other.finished_at > one.started_at"),
        (
            rate + burst,
            "other.started_at >= one.started_at AND other.started_at < one.started_at + interval '1 second'",
        ),
    ];
    let mut found = Vec::new();
    for (most, rule) in rules {
        let query = format!("{starts} {rule} GROUP BY one.id, one.job_id HAVING count(*) > {most}");
        let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(&mut *connection).await.unwrap();
        found.extend(rows.iter().map(|row| {
            format!("more than {most} attempts of a limited service: {}, {}", name(row), row.get::<i64, _>(1))
        }));
    }
    found
}

/// The children's ledger: no attempt ran twice or beside another of its job or profile, and every
/// success has an end.
async fn check_runs(connection: &mut PgConnection, runs: &Runs) -> Vec<String> {
    let mut found = Vec::new();
    let rows = sqlx::query(
        "SELECT job_id, number, outcome, jobs.profile_id FROM attempts JOIN jobs ON jobs.id = job_id",
    );
    let rows = rows.fetch_all(connection).await.unwrap();
    let mut profiles = BTreeMap::new();
    for row in &rows {
        let key = (name(row), row.get::<i32, _>(1));
        if let Some(profile) = row.get::<Option<sqlx::types::Uuid>, _>(3) {
            profiles.insert(key.0.clone(), profile);
        }
        let has_ended = runs.get(&key).is_some_and(|run| run.ends == 1);
        if row.get::<Option<String>, _>(2).as_deref() == Some("succeeded") && !has_ended {
            found.push(format!("a success whose child never ended: {} attempt {}", key.0, key.1));
        }
    }
    let mut by_job: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    let mut by_profile: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    for ((job, attempt), run) in runs {
        if run.starts > 1 || run.ends > 1 {
            found.push(format!("an attempt that ran twice: {job} attempt {attempt}"));
        }
        by_job.entry(job).or_default().push((run.first, run.last));
        if let Some(profile) = profiles.get(job) {
            by_profile.entry(*profile).or_default().push((run.first, run.last));
        }
    }
    for (job, times) in by_job {
        found.extend(overlap(times).map(|at| format!("two children of {job} at once, at {at}")));
    }
    for (profile, times) in by_profile {
        found.extend(overlap(times).map(|at| format!("two children on profile {profile} at once, at {at}")));
    }
    found
}

/// The first time at which two of these overlap.
fn overlap(mut times: Vec<(f64, f64)>) -> Option<f64> {
    times.sort_by(|one, other| one.0.total_cmp(&other.0));
    times.windows(2).find(|pair| pair[1].0 < pair[0].1).map(|pair| pair[1].0)
}

/// Every line names the attempt that wrote it. None is stored under another attempt, and none
/// twice.
async fn check_lines(connection: &mut PgConnection) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT job_id, attempt, line FROM log_chunks, unnest(string_to_array(lines, E'\\n')) AS line
         WHERE line LIKE 'line %'",
    );
    let rows = rows.fetch_all(connection).await.unwrap();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        let (attempt, line): (i32, String) = (row.get(1), row.get(2));
        if line.rsplit(' ').next() != Some(attempt.to_string().as_str()) {
            found.push(format!("a stale line under attempt {attempt} of {}: {line}", name(row)));
        }
        if !seen.insert((name(row), line.clone())) {
            found.push(format!("a line twice in {}: {line}", name(row)));
        }
    }
    found
}

/// Only these workers may be lost: killed ones, ones that were stopped for most of a lease, and
/// draining ones that could not end their lease. Only they, and workers whose shims were killed,
/// may lose attempts. Everything else is a false rescue.
async fn check_losses(connection: &mut PgConnection, shaken: &Shaken) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT process_id, ended_at, id::text, (SELECT count(*) FROM attempts WHERE worker_id = workers.id AND outcome = 'lost')
         FROM workers WHERE status = 'lost'",
    );
    let mut found = Vec::new();
    for row in rows.fetch_all(&mut *connection).await.unwrap() {
        let (process, at): (i32, Time) = (row.get(0), row.get(1));
        let process = process.unsigned_abs();
        let was_stopped = shaken.stopped.iter().any(|(stopped, from, to)| {
            let overlap = to.unwrap_or(at).min(at) - (*from).max(at - LEASE);
            *stopped == process && overlap > STOPPED_MIN
        });
        let was_killed = shaken.killed.iter().any(|(killed, when)| *killed == process && *when < at);
        let has_left = shaken.drained.contains(&process) && row.get::<i64, _>(3) == 0;
        if !was_stopped && !was_killed && !has_left {
            found.push(format!("a false rescue: worker {process} ({}) at {at}", row.get::<String, _>(2)));
        }
    }
    let rows = sqlx::query(
        "SELECT process_id, job_id::text, number FROM attempts JOIN workers ON workers.id = worker_id
         WHERE outcome = 'lost' AND status <> 'lost'",
    );
    for row in rows.fetch_all(connection).await.unwrap() {
        let process = row.get::<i32, _>(0).unsigned_abs();
        if !shaken.shims_killed.contains(&process) {
            let (job, number): (String, i32) = (row.get(1), row.get(2));
            found.push(format!("a false loss: attempt {number} of {job}, worker {process}"));
        }
    }
    found
}

/// The state of jobs that have not ended.
async fn describe_stuck(connection: &mut PgConnection) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT concat_ws(' ', 'stuck:', job_id, live_jobs.state, 'attempt', attempt, 'marked', dispatched_at, 'parked',
            parked_on, 'claimed', attempt_at, 'by', process_id, status, 'renewed', heartbeat_at, 'now', now())
         FROM live_jobs LEFT JOIN workers ON workers.id = worker_id",
    );
    rows.fetch_all(connection).await.unwrap().iter().map(|row| row.get(0)).collect()
}
