//! Inputs and results of jobs, which may be large. Each operation reads its own, so that nobody
//! waits for those of others.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Result, dataloader::Loader};
use callboard::{
    ids::JobId,
    store::{StoreError, jobs::records},
};

use super::{
    loaders::{self, CatalogueLoader},
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
        let found = read(self, &jobs, Kind::Input).await?;
        Ok(found.into_iter().map(|(job, payload)| (InputOf(job), payload)).collect())
    }
}

impl Loader<ResultOf> for CatalogueLoader {
    type Value = Payload;
    type Error = Arc<StoreError>;

    async fn load(&self, keys: &[ResultOf]) -> Result<HashMap<ResultOf, Payload>, Arc<StoreError>> {
        let jobs: Vec<JobId> = keys.iter().map(|key| key.0).collect();
        let found = read(self, &jobs, Kind::Result).await?;
        Ok(found.into_iter().map(|(job, payload)| (ResultOf(job), payload)).collect())
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Input,
    Result,
}

/// Reads payloads until they are larger than an answer may be.
async fn read(
    loader: &CatalogueLoader,
    mut jobs: &[JobId],
    kind: Kind,
) -> Result<Vec<(JobId, Payload)>, StoreError> {
    let mut connection = loader.connection().await?;
    let (mut found, mut bytes, mut size) = (Vec::new(), 0, FEW);
    while !jobs.is_empty() && bytes <= ANSWER_BYTES_MAX {
        let (some, rest) = jobs.split_at(jobs.len().min(size));
        let texts = match kind {
            Kind::Input => records::input_texts(&mut connection, some).await?,
            Kind::Result => records::result_texts(&mut connection, some).await?,
        };
        bytes += texts.iter().map(|(_, text)| text.len()).sum::<usize>();
        found.extend(texts.into_iter().map(|(job, text)| (job, Payload::Read(JsonText::new(text)))));
        size = if bytes <= SMALL_BYTES { size * GROWTH } else { FEW };
        jobs = rest;
    }
    found.extend(jobs.iter().map(|job| (*job, Payload::TooLarge)));
    Ok(found)
}
