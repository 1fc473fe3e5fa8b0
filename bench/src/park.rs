//! Parks jobs at a gate for W9, to measure whether they slow down the claims of other jobs.

use anyhow::bail;
use callboard::{
    clock::IdSource,
    command::NOOP,
    ids::WorkerId,
    settings::SharedSettings,
    steps::{
        Done,
        run::claim::{self, CLAIM_BATCH_MAX, Decision},
    },
    store::{Planning, Store},
};

use crate::{
    direct::Direct,
    steps::{requests, settle_all, success},
};

/// Submits `count` jobs of a command that may start one job a day, and claims them, so that all
/// others are parked.
pub(crate) async fn park(shared: &SharedSettings, queue: &str, count: usize) -> anyhow::Result<()> {
    let bench = Direct::open(shared).await?;
    let jobs = bench.submit(bench.daily_command(NOOP).await?, queue, count).await?;
    let store = Store::open(&shared.database_url()?, 1, "callboard-bench", Planning::Once)?;
    let worker: WorkerId = IdSource.make();
    for batch in jobs.chunks(CLAIM_BATCH_MAX) {
        let requests = requests(batch.iter().copied());
        let Done { value: answers, .. } = claim::claim(&store, worker, &requests).await?;
        let mut granted = Vec::new();
        for (answer, request) in answers.iter().zip(requests) {
            match answer {
                Decision::Granted(_) => granted.push(request),
                Decision::Parked { .. } => {}
                Decision::Paused | Decision::Gone => {
                    bail!("a job was neither granted nor parked: {answer:?}")
                }
            }
        }
        settle_all(&store, granted.iter().map(success)).await?;
    }
    Ok(())
}
