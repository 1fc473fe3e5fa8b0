//! Batched reads of jobs and of what hangs on them: what many fields ask for one by one is read in one statement.
//!
//! One [`Readers`] per process, a [`Gather`] for each kind of thing: callers that ask at the same time share a statement,
//! across operations too. Nothing is kept: whoever asks after a change reads what is there after it.

use std::{collections::HashMap, fmt, hash::Hash, sync::Arc, time::Duration};

use async_graphql::Error;
use callboard::{
    compose::ComposedCommand,
    ids::{ArtifactId, AttemptId, JobId, ProfileId, ProxyId, WorkerId},
    limit::GateKey,
    profile::Profile,
    steps::{
        enqueue::context::Desk,
        limits::why::{Obstacle, places, why},
    },
    store::{
        StoreError,
        catalogue::profiles,
        jobs::{
            artifacts::{self, ArtifactRecord},
            attempts::{self, AttemptRecord},
            dependencies::{self, Blocked},
            records::{self, Input, JobRecord},
        },
        limits::gates,
        queues::counters,
        workers::{self, WorkerRecord},
    },
};

use super::job::composed;
use crate::feed::Gather;

/// A worker whose lease is older than this does not count as serving its queues.
pub const LEASE: Duration = Duration::from_secs(8);
/// Where counting the ready jobs of a queue stops.
pub const READY_MAX: i64 = 10_000;

/// Makes [`Readers`]: a field, and a method of the same name, for each kind of thing that is read in batches.
macro_rules! readers {
    ($($(#[doc = $doc:literal])+ $name:ident: $key:ty => $value:ty, |$desk:ident, $keys:ident| $read:expr;)+) => {
        #[derive(Default)]
        struct Gathers {
            $($name: Gather<$key, $value>,)+
        }

        impl Readers {
            $(
                $(#[doc = $doc])+
                pub async fn $name(&self, key: $key) -> async_graphql::Result<Option<$value>> {
                    let found = self.gathers.$name.load(key, |$keys| async move {
                        let $desk = &*self.desk;
                        $read
                    });
                    found.await.map_err(outage)
                }
            )+
        }
    };
}

readers! {
    /// A job without its payloads.
    record: JobId => Arc<JobRecord>, |desk, jobs| {
        Ok(by(records::by_ids(&mut *desk.store.read().await?, &jobs).await?, |record| record.id))
    };
    /// What a job was given.
    input: JobId => Arc<Input>, |desk, jobs| {
        Ok(by(records::inputs(&mut *desk.store.read().await?, &jobs).await?, |input| input.job))
    };
    /// What a job returned.
    result: JobId => Arc<serde_json::Value>, |desk, jobs| {
        let results = records::results(&mut *desk.store.read().await?, &jobs).await?;
        Ok(results.into_iter().map(|(job, result)| (job, Arc::new(result))).collect())
    };
    /// The proxy of a job's newest attempt.
    newest_proxy: JobId => ProxyId, |desk, jobs| {
        let newest = attempts::newest(&mut *desk.store.read().await?, &jobs, false).await?;
        Ok(newest.into_iter().filter_map(|newest| Some((newest.job, newest.proxy?))).collect())
    };
    /// What a job's newest attempt ran, or what the first would run now.
    composed: JobId => Arc<ComposedCommand>, |desk, jobs| composed::newest_or_now(desk, &jobs).await;
    /// What an attempt of a job would run now.
    composed_now: JobId => Arc<ComposedCommand>, |desk, jobs| composed::now(desk, &jobs).await;
    /// The files of a job's attempts, in order of making.
    artifacts_of: JobId => Arc<Vec<ArtifactRecord>>, |desk, jobs| {
        let mut files: HashMap<JobId, Vec<ArtifactRecord>> = HashMap::new();
        for file in artifacts::of_jobs(&mut *desk.store.read().await?, &jobs).await? {
            files.entry(file.job).or_default().push(file);
        }
        Ok(files.into_iter().map(|(job, files)| (job, Arc::new(files))).collect())
    };
    /// The jobs that a job needs, in order.
    needs_of: JobId => Arc<Vec<JobId>>, |desk, jobs| {
        let mut needs: HashMap<JobId, Vec<JobId>> = HashMap::new();
        for edge in dependencies::edges_of(&mut *desk.store.read().await?, &jobs).await? {
            needs.entry(edge.job).or_default().push(edge.needed.job);
        }
        Ok(needs.into_iter().map(|(job, needs)| (job, Arc::new(needs))).collect())
    };
    /// What stands between a blocked job and its start.
    blocked: JobId => Arc<Blocked>, |desk, jobs| {
        Ok(by(dependencies::blocked(&mut *desk.store.read().await?, &jobs).await?, |blocked| blocked.job))
    };
    /// A file.
    artifact: ArtifactId => Arc<ArtifactRecord>, |desk, ids| {
        Ok(by(artifacts::by_ids(&mut *desk.store.read().await?, &ids).await?, |file| file.id))
    };
    /// An attempt.
    attempt: AttemptId => Arc<AttemptRecord>, |desk, ids| {
        Ok(by(attempts::by_ids(&mut *desk.store.read().await?, &ids).await?, |attempt| attempt.id))
    };
    /// A worker.
    worker: WorkerId => Arc<WorkerRecord>, |desk, ids| {
        Ok(by(workers::list(&mut *desk.store.read().await?, Some(&ids)).await?, |worker| worker.id))
    };
    /// What stands in the way of a ready job.
    obstacle: JobId => Arc<Obstacle>, |desk, jobs| {
        let obstacles = why(&desk.store, &jobs).await?;
        Ok(obstacles.into_iter().map(|(job, obstacle)| (job, Arc::new(obstacle))).collect())
    };
    /// The place of a ready job in its queue.
    place: JobId => i64, |desk, jobs| places(&desk.store, &jobs).await;
    /// The job that is behind the gate of a profile.
    holder: GateKey => JobId, |desk, keys| {
        let found = gates::look(&mut *desk.store.read().await?, &keys).await?;
        Ok(found.gates.into_iter().filter_map(|(key, gate)| Some((key, gate.holder()?))).collect())
    };
    /// A profile, for sentences that name it.
    profile: ProfileId => Arc<Profile>, |desk, ids| {
        Ok(by(profiles::load(&mut *desk.store.read().await?, &ids).await?, |profile| profile.id))
    };
    /// Something for a queue that is paused, nothing for any other.
    paused: String => (), |desk, queues| {
        let paused = counters::paused(&mut *desk.store.read().await?, &queues).await?;
        Ok(paused.into_iter().map(|queue| (queue, ())).collect())
    };
    /// The slots of the active workers that serve a queue; nothing where none does.
    slots: String => i64, |desk, _queues| {
        Ok(counters::slots(&mut *desk.store.read().await?, LEASE).await?.into_iter().collect())
    };
    /// How many jobs of a queue could start, up to a bound.
    ready: String => i64, |desk, queues| {
        Ok(counters::ready(&mut *desk.store.read().await?, &queues, READY_MAX).await?.into_iter().collect())
    };
}

/// Reads batches for the nouns around jobs.
pub struct Readers {
    desk: Arc<Desk>,
    gathers: Gathers,
}

impl Readers {
    /// Reads from the desk's store.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk, gathers: Gathers::default() }
    }

    /// The job that runs on a profile.
    pub async fn holder_of(&self, profile: ProfileId) -> async_graphql::Result<Option<JobId>> {
        self.holder(GateKey::Profile(profile)).await
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

/// An error that several callers have met, with its source in reach of `error::classify`.
pub fn outage(error: Arc<StoreError>) -> Error {
    Error { message: error.to_string(), source: Some(error), extensions: None }
}

fn by<K: Hash + Eq, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Arc<V>> {
    rows.into_iter().map(|row| (key(&row), Arc::new(row))).collect()
}
