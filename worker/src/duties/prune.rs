//! Retention: calls the step `prune` round after round, and takes files off the disk for it.

use std::{io, path::PathBuf, time::Duration};

use callboard::{
    ids::{ArtifactId, JobId},
    steps::maintain::prune::{self, Remover, Retention},
    store::{Store, StoreError, maintenance::retention::KeptFile},
};

/// Takes files away below the artifact root.
pub(super) struct FromDisk(pub(super) PathBuf);

impl Remover for FromDisk {
    /// A job's files are in a directory of its name; so are those that a dying worker copied and never recorded.
    async fn remove_jobs(&self, jobs: &[JobId]) -> Vec<JobId> {
        let mut gone = Vec::with_capacity(jobs.len());
        for &job in jobs {
            let path = self.0.join(job.to_string());
            if is_gone(tokio::fs::remove_dir_all(&path).await, &path) {
                gone.push(job);
            }
        }
        gone
    }

    async fn remove_files(&self, files: &[KeptFile]) -> Vec<ArtifactId> {
        let mut gone = Vec::with_capacity(files.len());
        for (id, path) in files {
            let path = self.0.join(path);
            if is_gone(tokio::fs::remove_file(&path).await, &path) {
                gone.push(*id);
            }
        }
        gone
    }
}

fn is_gone(removed: io::Result<()>, path: &std::path::Path) -> bool {
    match removed {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "what is too old could not be removed; it is kept");
            false
        }
    }
}

/// Prunes now and then, for ever.
pub(super) async fn prune(store: Store, retention: Retention, disk: FromDisk, every: Duration) {
    loop {
        if let Err(error) = round(&store, &retention, &disk).await {
            tracing::warn!(%error, "not everything that is too old was removed; trying again");
        }
        super::pause(every).await;
    }
}

async fn round(store: &Store, retention: &Retention, disk: &FromDisk) -> Result<(), StoreError> {
    let bound = prune::find_bound(store, retention).await?;
    let mut jobs = 0;
    while let count @ 1.. = prune::prune_jobs(store, retention, bound, disk).await? {
        jobs += count;
    }
    let mut files = 0;
    while let count @ 1.. = prune::prune_files(store, retention, disk).await? {
        files += count;
    }
    if jobs + files > 0 {
        tracing::info!(jobs, files, "what was too old was removed");
    }
    while let Some(partition) = prune::prune_days(store, retention).await? {
        tracing::info!(partition, "a day that was too old was dropped");
    }
    prune::prune_leftovers(store, retention).await
}
