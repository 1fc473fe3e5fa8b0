//! The claim and settle steps on one connection, in full batches, with no Redis and no worker around them: what W3 is
//! held against.

use std::{sync::Arc, time::Instant};

use anyhow::ensure;
use callboard::{
    clock::IdSource,
    compose::ComposedCommand,
    ids::{AttemptId, JobId, WorkerId},
    job::Outcome,
    policy::Policy,
    settings::SharedSettings,
    steps::{
        claim::{self, Answer, CLAIM_BATCH_MAX},
        settle::{self, Settled, Verdict},
    },
    store::{Planning, Store, attempts::ExitRecord},
};
use serde_json::json;

use crate::{measurement::Measurement, sql};

/// Claims and settles all jobs of a queue that nobody serves.
pub(crate) async fn run(shared: &SharedSettings, name: &str, queue: &str) -> anyhow::Result<Measurement> {
    let jobs = sql::live_jobs(&mut sql::connect(shared).await?, queue).await?;
    ensure!(!jobs.is_empty(), "nothing to do in {queue}");
    let store = Store::open(&shared.database_url()?, 1, "callboard-bench", Planning::Once)?;
    store.ping().await?;
    let worker: WorkerId = IdSource.make();
    let composed: Arc<ComposedCommand> = Arc::new(serde_json::from_value(json!({
        "kind": "program", "program": callboard::command::NOOP, "display": callboard::command::NOOP,
        "environment": { "CALLBOARD_ATTEMPT": "1", "CALLBOARD_JOB_ID": jobs[0].to_string() },
    }))?);
    let since = Instant::now();
    for batch in jobs.chunks(CLAIM_BATCH_MAX) {
        claim_and_settle(&store, worker, batch, &composed).await?;
    }
    Ok(Measurement::rate(name, jobs.len(), since.elapsed()))
}

async fn claim_and_settle(
    store: &Store,
    worker: WorkerId,
    jobs: &[JobId],
    composed: &Arc<ComposedCommand>,
) -> anyhow::Result<()> {
    let request = |job: &JobId| claim::Request { job: *job, attempt: IdSource.make::<AttemptId>() };
    let requests: Vec<claim::Request> = jobs.iter().map(request).collect();
    let (answers, _untold) = claim::claim(store, worker, &requests).await?;
    ensure!(answers.iter().all(|answer| matches!(answer, Answer::Granted(_))), "a claim was not granted");
    let verdict = |request: claim::Request| Verdict {
        job: request.job,
        attempt: request.attempt,
        outcome: Outcome::Succeeded { result: serde_json::Value::Null },
        policy: Policy::default(),
        jitter: 0.0,
        composed: Some(composed.clone()),
        proxy: None,
        exit: ExitRecord::default(),
        used: None,
    };
    let (settled, _untold) = settle::settle(store, requests.into_iter().map(verdict).collect()).await?;
    ensure!(settled.iter().all(|settled| *settled == Settled::Done), "a settle was refused");
    Ok(())
}
