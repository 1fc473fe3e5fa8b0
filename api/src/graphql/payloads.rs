//! Inputs and results of jobs, which may be large. Each operation reads its own, so that nobody
//! waits for those of others.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use async_graphql::{Context, Result, dataloader::Loader};
use callboard::{
    ids::JobId,
    store::{Connection, StoreError, jobs::records},
};

use super::{
    loaders::{self, CatalogueLoader},
    reads::ReadConnection,
    scalars::JsonText,
};
use crate::allowance::{ANSWER_BYTES_MAX, too_large};

/// How many are read by the first statement, and by the next ones while they are large.
const FEW: usize = 8;
/// How many times as many the next statement reads while they are small.
const GROWTH: usize = 4;
/// Up to so many bytes together, they are small.
const SMALL_BYTES: usize = 1024 * 1024;

/// Key for loading the input of a job, with `***` in place of its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InputOf(pub JobId);
/// Key for loading the result of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResultOf(pub JobId);

/// An input or a result.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Its text.
    Read(JsonText),
    /// The others of the operation are larger than an answer may be.
    TooLarge,
}

/// The input of a job. `None` if there is no such job.
pub async fn input(ctx: &Context<'_>, job: JobId) -> Result<Option<JsonText>> {
    text(loaders::one(ctx, InputOf(job)).await?)
}

/// The result of a job. `None` if it has none.
pub async fn result(ctx: &Context<'_>, job: JobId) -> Result<Option<JsonText>> {
    text(loaders::one(ctx, ResultOf(job)).await?)
}

fn text(payload: Option<Payload>) -> Result<Option<JsonText>> {
    match payload {
        Some(Payload::Read(text)) => Ok(Some(text)),
        Some(Payload::TooLarge) => Err(too_large().into()),
        None => Ok(None),
    }
}

impl Loader<InputOf> for CatalogueLoader {
    type Value = Payload;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[InputOf]) -> Result<HashMap<InputOf, Payload>, Arc<StoreError>> {
        let jobs: Vec<JobId> = keys.iter().map(|key| key.0).collect();
        let mut reading = Reading::of(self).await?;
        while let Some(some) = reading.next(&jobs) {
            let texts = records::input_texts(reading.connection(), some).await?;
            reading.add(texts);
        }
        Ok(reading.found(&jobs, InputOf))
    }
}

impl Loader<ResultOf> for CatalogueLoader {
    type Value = Payload;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[ResultOf]) -> Result<HashMap<ResultOf, Payload>, Arc<StoreError>> {
        let jobs: Vec<JobId> = keys.iter().map(|key| key.0).collect();
        let mut reading = Reading::of(self).await?;
        while let Some(some) = reading.next(&jobs) {
            let texts = records::result_texts(reading.connection(), some).await?;
            reading.add(texts);
        }
        Ok(reading.found(&jobs, ResultOf))
    }
}

/// Reads payloads until they are larger than an answer may be.
struct Reading {
    connection: ReadConnection,
    texts: HashMap<JobId, Payload>,
    asked: usize,
    size: usize,
    bytes: usize,
}

impl Reading {
    async fn of(loader: &CatalogueLoader) -> Result<Self, StoreError> {
        let connection = loader.connection().await?;
        Ok(Self { connection, texts: HashMap::new(), asked: 0, size: FEW, bytes: 0 })
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The jobs that the next statement reads.
    fn next<'a>(&mut self, jobs: &'a [JobId]) -> Option<&'a [JobId]> {
        let rest = &jobs[self.asked..];
        if rest.is_empty() || self.bytes > ANSWER_BYTES_MAX {
            return None;
        }
        let some = &rest[..rest.len().min(self.size)];
        self.asked += some.len();
        Some(some)
    }

    fn add(&mut self, texts: Vec<(JobId, String)>) {
        for (job, text) in texts {
            self.bytes += text.len();
            self.texts.insert(job, Payload::Read(JsonText::new(text)));
        }
        self.size = if self.bytes <= SMALL_BYTES { self.size * GROWTH } else { FEW };
    }

    fn found<K: Eq + std::hash::Hash>(self, jobs: &[JobId], key: impl Fn(JobId) -> K) -> HashMap<K, Payload> {
        let mut found: HashMap<K, Payload> =
            self.texts.into_iter().map(|(job, payload)| (key(job), payload)).collect();
        for job in &jobs[self.asked..] {
            if let Entry::Vacant(entry) = found.entry(key(*job)) {
                entry.insert(Payload::TooLarge);
            }
        }
        found
    }
}
