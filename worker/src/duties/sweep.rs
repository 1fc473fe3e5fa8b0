//! Sweeping the temporary root: directories of attempts whose worker died on this machine.
//!
//! A directory's name says whose it is (`<job>.<attempt>[.artifacts]`). It goes when that attempt does not run any
//! more; the processes that used it are gone by then, because their shim ended them with the worker.

use std::{path::PathBuf, sync::Arc, time::Duration};

use callboard::{ids::JobId, job::JobState, store::jobs::records};

use crate::shared::Shared;

/// Sweeps now and then, for ever.
pub(super) async fn sweep(shared: Arc<Shared>, every: Duration) {
    loop {
        if let Err(error) = sweep_once(&shared).await {
            tracing::warn!(%error, "the temporary root was not swept; trying again");
        }
        super::pause(every).await;
    }
}

async fn sweep_once(shared: &Shared) -> anyhow::Result<()> {
    let mut found: Vec<(JobId, i32, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(&shared.paths.temp_root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('.');
        let job = parts.next().and_then(|job| job.parse().ok());
        let attempt = parts.next().and_then(|number| number.parse().ok());
        if let (Some(job), Some(attempt)) = (job, attempt) {
            found.push((job, attempt, entry.path()));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let jobs: Vec<JobId> = found.iter().map(|(job, ..)| *job).collect();
    let records = records::by_ids(&mut *shared.store.connection().await?, &jobs).await?;
    for (job, attempt, path) in found {
        let runs = records
            .iter()
            .any(|record| record.id == job && record.state == JobState::Running && record.attempt == attempt);
        // Ours may be settled and about to be removed by its own pipeline.
        if runs || shared.held.holds_any(&[job]) {
            continue;
        }
        match tokio::fs::remove_dir_all(&path).await {
            Ok(()) => tracing::info!(path = %path.display(), "a directory of a dead worker was removed"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, path = %path.display(), "a directory could not be removed"),
        }
    }
    Ok(())
}
