//! The baseline of W3: the claim and settle steps on one connection in full batches, without Redis
//! or a worker.

use std::{sync::Arc, time::Instant};

use anyhow::ensure;
use callboard::{
    clock::IdSource,
    compose::ComposedCommand,
    ids::WorkerId,
    settings::SharedSettings,
    steps::{finish::settle::Settlement, run::claim::CLAIM_BATCH_MAX},
    store::{Planning, Store},
};
use serde_json::json;

use crate::{
    measurement::Measurement,
    sql,
    steps::{claim_all, requests, settle_all, success},
};

/// Claims and settles all jobs of a queue without workers.
pub(crate) async fn run(shared: &SharedSettings, name: &str, queue: &str) -> anyhow::Result<Measurement> {
    let jobs = sql::live_jobs(&mut sql::connect(shared).await?, queue).await?;
    ensure!(!jobs.is_empty(), "the queue {queue} has no jobs");
    let store = Store::open(&shared.database_url()?, 1, "callboard-bench", Planning::Once)?;
    store.ping().await?;
    let worker: WorkerId = IdSource.make();
    let composed: Arc<ComposedCommand> = Arc::new(serde_json::from_value(json!({
        "kind": "program", "program": callboard::command::NOOP, "display": callboard::command::NOOP,
        "environment": { "CALLBOARD_ATTEMPT": "1", "CALLBOARD_JOB_ID": jobs[0].to_string() },
    }))?);
    let since = Instant::now();
    for batch in jobs.chunks(CLAIM_BATCH_MAX) {
        let requests = requests(batch.iter().copied());
        claim_all(&store, worker, &requests).await?;
        let settlement = |request| Settlement { composed: Some(composed.clone()), ..success(request) };
        settle_all(&store, requests.iter().map(settlement)).await?;
    }
    Ok(Measurement::rate(name, jobs.len(), since.elapsed()))
}
