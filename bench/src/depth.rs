//! W9: what a deep backlog costs: handing out and claiming jobs, the counts of queues, the first page of jobs.
//!
//! The steps are called directly, on one connection; lists are read through GraphQL over HTTP. Nobody serves the queue.

use std::time::{Duration, Instant};

use anyhow::ensure;
use callboard::{
    clock::IdSource,
    command::NOOP,
    ids::{AttemptId, WorkerId},
    job::Outcome,
    settings::SharedSettings,
    steps::{
        claim::{self, Answer},
        settle::{self, Settled, Verdict},
        submit::DEFAULT_PRIORITY,
    },
    store::{Store, backlog, commit},
};
use serde_json::json;

use crate::{
    direct::Direct,
    http::{Address, Caller},
    measurement::Measurement,
};

/// Jobs of one claim.
const BATCH: usize = 16;
const QUEUES: &str = "{ queues { name counts { blocked scheduled queued running succeeded failed cancelled } oldestQueuedAt demand } }";
const FIRST_PAGE: &str =
    "{ jobs(first: 25) { nodes { id state queue priority createdAt command { name } } countAtLeast } }";
const READY_PAGE: &str = "{ jobs(first: 25, filter: { states: [QUEUED] }) { nodes { id state queue priority createdAt command { name } } } }";

/// A queue that nobody serves, and how often it is asked.
pub(crate) struct Deep<'a> {
    pub(crate) shared: &'a SharedSettings,
    pub(crate) bench: &'a Direct,
    pub(crate) address: &'a Address,
    pub(crate) queue: &'a str,
    pub(crate) samples: usize,
}

impl Deep<'_> {
    /// Adds so many jobs, and measures with those that are there.
    pub(crate) async fn measure(&self, add: usize, name: &str) -> anyhow::Result<Vec<Measurement>> {
        let command = self.bench.command(NOOP, &[]).await?;
        self.bench.submit(command, self.queue, add).await?;
        let mut measured = self.claims(name).await?;
        for (kind, query) in [("queues", QUEUES), ("first_page", FIRST_PAGE), ("ready_page", READY_PAGE)] {
            let times = self.ask(query).await?;
            measured.push(Measurement::times(&format!("w9_{kind}_{name}"), times));
        }
        Ok(measured)
    }

    /// Hands out, claims and settles, and answers the times of the first two.
    async fn claims(&self, name: &str) -> anyhow::Result<Vec<Measurement>> {
        let store = Store::open(&self.shared.database_url()?, 1, "callboard-bench")?;
        let worker: WorkerId = IdSource.make();
        let (mut taking, mut claiming) = (Vec::new(), Vec::new());
        // The first ones find everything cold.
        for number in 0..self.samples + 20 {
            let since = Instant::now();
            let mut transaction = store.begin().await?;
            let ready =
                backlog::take(&mut transaction, self.queue, DEFAULT_PRIORITY, None, BATCH as i64).await?;
            commit(transaction).await?;
            let took = since.elapsed();
            ensure!(ready.len() == BATCH, "the backlog of {} is used up", self.queue);
            let request = |job| claim::Request { job, attempt: IdSource.make::<AttemptId>() };
            let requests: Vec<claim::Request> = ready.iter().map(|ready| request(ready.job)).collect();
            let since = Instant::now();
            let (answers, _untold) = claim::claim(&store, worker, &requests).await?;
            let claimed = since.elapsed();
            ensure!(
                answers.iter().all(|answer| matches!(answer, Answer::Granted(_))),
                "a claim was not granted"
            );
            let verdicts = requests.into_iter().map(|request| {
                Verdict::bare(
                    request.job,
                    request.attempt,
                    Outcome::Succeeded { result: serde_json::Value::Null },
                )
            });
            let (settled, _untold) = settle::settle(&store, verdicts.collect()).await?;
            ensure!(settled.iter().all(|settled| *settled == Settled::Done), "a settle was refused");
            if number >= 20 {
                taking.push(took);
                claiming.push(claimed);
            }
        }
        Ok(vec![
            Measurement::times(&format!("w9_take_{name}"), taking),
            Measurement::times(&format!("w9_claim_{name}"), claiming),
        ])
    }

    async fn ask(&self, query: &str) -> anyhow::Result<Vec<Duration>> {
        let mut caller = Caller::connect(self.address).await?;
        let body = json!({ "query": query }).to_string();
        let mut times = Vec::with_capacity(self.samples);
        for number in 0..self.samples + 5 {
            let since = Instant::now();
            let answer = caller.post(&body).await?;
            let took = since.elapsed();
            ensure!(!answer.contains("\"errors\""), "{answer}");
            if number >= 5 {
                times.push(took);
            }
        }
        Ok(times)
    }
}
