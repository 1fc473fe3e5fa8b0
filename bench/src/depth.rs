//! W9: what a deep backlog costs when jobs are dispatched and claimed, when queues are counted, and
//! for the first page of jobs.
//!
//! The steps are called directly on one connection and alternate with a second database whose
//! backlog is shallow, so that both meet the same disk and the same neighbours. Lists are read
//! through GraphQL over HTTP. No worker serves the queues.

use std::time::{Duration, Instant};

use anyhow::ensure;
use callboard::{
    clock::IdSource,
    ids::WorkerId,
    steps::enqueue::submit::DEFAULT_PRIORITY,
    store::{Planning, Store, commit, queues::backlog},
};
use secrecy::SecretString;
use serde_json::json;

use crate::{
    http::{Address, Caller},
    measurement::Measurement,
    steps::{claim_all, requests, settle_all, success},
};

/// Jobs per claim.
const BATCH: usize = 16;
const WARM_UP: usize = 20;
const QUEUES: &str = "{ queues { name counts { blocked scheduled queued running succeeded failed cancelled } oldestQueuedAt demand } }";
const FIRST_PAGE: &str =
    "{ jobs(first: 25) { nodes { id state queue priority createdAt command { name } } countAtLeast } }";
const READY_PAGE: &str = "{ jobs(first: 25, filter: { states: [QUEUED] }) { nodes { id state queue priority createdAt command { name } } } }";

/// Claims in each of these places in turn, and returns the times of dispatching and claiming.
pub(crate) async fn claims(places: &[Place], samples: usize) -> anyhow::Result<Vec<Measurement>> {
    let mut claimers = places.iter().map(Claimer::open).collect::<anyhow::Result<Vec<_>>>()?;
    // The first samples find cold caches.
    for number in 0..samples + WARM_UP {
        for claimer in &mut claimers {
            claimer.claim(number >= WARM_UP).await?;
        }
    }
    Ok(claimers.into_iter().flat_map(Claimer::measured).collect())
}

/// A queue without workers.
pub(crate) struct Place {
    pub(crate) database: SecretString,
    pub(crate) queue: String,
    /// Suffix of the measurements' names.
    pub(crate) name: String,
}

struct Claimer<'a> {
    place: &'a Place,
    store: Store,
    worker: WorkerId,
    taking: Vec<Duration>,
    claiming: Vec<Duration>,
}

impl<'a> Claimer<'a> {
    fn open(place: &'a Place) -> anyhow::Result<Self> {
        let store = Store::open(&place.database, 1, "callboard-bench", Planning::Once)?;
        Ok(Self { place, store, worker: IdSource.make(), taking: Vec::new(), claiming: Vec::new() })
    }

    /// Dispatches, claims and settles a batch, and records the times of the first two if asked.
    async fn claim(&mut self, is_noted: bool) -> anyhow::Result<()> {
        let queue = &self.place.queue;
        let since = Instant::now();
        let mut transaction = self.store.begin().await?;
        let ready = backlog::take(&mut transaction, queue, DEFAULT_PRIORITY, None, BATCH as i64).await?;
        commit(transaction).await?;
        let took = since.elapsed();
        ensure!(ready.len() == BATCH, "the backlog of {queue} is exhausted");
        let requests = requests(ready.iter().map(|ready| ready.job));
        let since = Instant::now();
        claim_all(&self.store, self.worker, &requests).await?;
        let claimed = since.elapsed();
        settle_all(&self.store, requests.iter().map(success)).await?;
        if is_noted {
            self.taking.push(took);
            self.claiming.push(claimed);
        }
        Ok(())
    }

    fn measured(self) -> [Measurement; 2] {
        let named = |kind, times| Measurement::times(&format!("w9_{kind}_{}", self.place.name), times);
        [named("take", self.taking), named("claim", self.claiming)]
    }
}

/// Returns the times of counts and lists.
pub(crate) async fn lists(address: &Address, samples: usize) -> anyhow::Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for (kind, query) in [("queues", QUEUES), ("first_page", FIRST_PAGE), ("ready_page", READY_PAGE)] {
        let times = ask(address, query, samples).await?;
        measured.push(Measurement::times(&format!("w9_{kind}"), times));
    }
    Ok(measured)
}

async fn ask(address: &Address, query: &str, samples: usize) -> anyhow::Result<Vec<Duration>> {
    let mut caller = Caller::connect(address).await?;
    let body = json!({ "query": query }).to_string();
    let mut times = Vec::with_capacity(samples);
    for number in 0..samples + WARM_UP {
        let since = Instant::now();
        let answer = caller.post(&body).await?;
        let took = since.elapsed();
        ensure!(!answer.contains("\"errors\""), "{answer}");
        if number >= WARM_UP {
            times.push(took);
        }
    }
    Ok(times)
}
