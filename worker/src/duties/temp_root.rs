//! Sweeps the temporary root: removes directories of attempts whose worker crashed on this machine.
//!
//! A directory is named after its attempt (`<job>.<attempt>[.artifacts]`), and goes when that
//! attempt does not run any more. By then its processes are gone, because the shim ended them with
//! the worker.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use callboard::{ids::JobId, job::JobState, store::jobs::records};

use super::repeat::{Duty, Next};
use crate::shared::Shared;

const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Sweep(pub(super) Arc<Shared>);

impl Duty for Sweep {
    type Error = anyhow::Error;

    async fn run(&mut self) -> anyhow::Result<Next> {
        let found = self.directories()?;
        if found.is_empty() {
            return Ok(Next::About(EVERY));
        }
        let jobs: Vec<JobId> = found.iter().map(|(job, ..)| *job).collect();
        let records = records::by_ids(&mut *self.0.store.connection().await?, &jobs).await?;
        for (job, attempt, path) in found {
            let runs = records.iter().any(|record| {
                record.id == job && record.state == JobState::Running && record.attempt == attempt
            });
            // This worker's own attempt may be settled and about to remove its directory itself.
            if !runs && !self.0.running.holds_any(&[job]) {
                remove(path).await;
            }
        }
        Ok(Next::About(EVERY))
    }

    fn failed(&mut self, error: anyhow::Error) -> Next {
        tracing::warn!(%error, "could not sweep the temporary root, retrying");
        Next::About(EVERY)
    }
}

impl Sweep {
    fn directories(&self) -> io::Result<Vec<(JobId, i32, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.0.paths.temp_root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let mut parts = name.split('.');
            let job = parts.next().and_then(|job| job.parse().ok());
            let attempt = parts.next().and_then(|number| number.parse().ok());
            if let (Some(job), Some(attempt)) = (job, attempt) {
                found.push((job, attempt, entry.path()));
            }
        }
        Ok(found)
    }
}

async fn remove(path: PathBuf) {
    match tokio::fs::remove_dir_all(&path).await {
        Ok(()) => tracing::info!(path = %path.display(), "removed a directory that a crashed worker left"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, path = %path.display(), "could not remove a directory"),
    }
}
