//! Retention: deletes finished jobs, events, log lines and files that are older than they are kept.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use callboard::{
    ids::{ArtifactId, JobId},
    steps::maintain::prune::{self, Remover, Retention},
    store::{StoreError, maintenance::retention::KeptFile},
};

use super::repeat::{Duty, Next};
use crate::shared::Shared;

const EVERY: Duration = Duration::from_mins(1);

pub(super) struct Prune {
    shared: Arc<Shared>,
    retention: Retention,
    files: ArtifactFiles,
}

impl Prune {
    pub(super) fn new(shared: Arc<Shared>, retention: Retention) -> Self {
        let files = ArtifactFiles { root: shared.paths.artifact_root.clone() };
        Self { shared, retention, files }
    }
}

impl Duty for Prune {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        let Self { shared, retention, files } = &*self;
        let store = &shared.store;
        let bound = prune::find_bound(store, retention).await?;
        let mut removed_jobs = 0;
        while let count @ 1.. = prune::prune_jobs(store, retention, bound, files).await? {
            removed_jobs += count;
        }
        while let count @ 1.. = prune::prune_deleted(store, files).await? {
            tracing::info!(jobs = count, "removed the files of jobs that were deleted by hand");
        }
        let mut removed_files = 0;
        while let count @ 1.. = prune::prune_files(store, retention, files).await? {
            removed_files += count;
        }
        if removed_jobs + removed_files > 0 {
            tracing::info!(jobs = removed_jobs, files = removed_files, "removed what was past its retention");
        }
        while let Some(partition) = prune::prune_days(store, retention).await? {
            tracing::info!(partition, "dropped a day that was past its retention");
        }
        let mut removed_entries = 0;
        while let count @ 1.. = prune::prune_audit(store, retention).await? {
            removed_entries += count;
        }
        if removed_entries > 0 {
            tracing::info!(entries = removed_entries, "removed what of the audit was past its retention");
        }
        prune::prune_leftovers(store, retention).await?;
        Ok(Next::About(EVERY))
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "could not remove everything that is past its retention, retrying");
        Next::About(EVERY)
    }
}

/// The files below the artifact root.
struct ArtifactFiles {
    root: PathBuf,
}

impl Remover for ArtifactFiles {
    /// Removes each job's directory, with files that a crashed worker copied and never recorded.
    async fn remove_jobs(&self, jobs: &[JobId]) -> Vec<JobId> {
        let mut gone = Vec::with_capacity(jobs.len());
        for &job in jobs {
            let path = self.root.join(job.to_string());
            if is_gone(tokio::fs::remove_dir_all(&path).await, &path) {
                gone.push(job);
            }
        }
        gone
    }

    async fn remove_files(&self, files: &[KeptFile]) -> Vec<ArtifactId> {
        let mut gone = Vec::with_capacity(files.len());
        for (id, path) in files {
            let path = self.root.join(path);
            if is_gone(tokio::fs::remove_file(&path).await, &path) {
                gone.push(*id);
            }
        }
        gone
    }
}

fn is_gone(removed: io::Result<()>, path: &Path) -> bool {
    match removed {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "could not remove a file; its record is kept");
            false
        }
    }
}
