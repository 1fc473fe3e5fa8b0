//! The directories of an attempt, below the worker's temporary root: named after job and attempt, so that whoever
//! finds one left over knows whose it is.

use std::{io, path::PathBuf};

use super::Attempt;

/// Made and removed by the shim, together with the processes.
pub(super) fn temporary(attempt: Attempt<'_>) -> PathBuf {
    attempt.shared.paths.temp_root.join(format!("{}.{}", attempt.job(), attempt.number()))
}

/// Made and removed by the worker: files that are announced near the end are read after the processes are gone.
pub(super) fn artifacts(attempt: Attempt<'_>) -> PathBuf {
    attempt.shared.paths.temp_root.join(format!("{}.{}.artifacts", attempt.job(), attempt.number()))
}

/// The directory of an attempt's artifacts, removed when dropped.
#[derive(Debug)]
pub(super) struct ArtifactsDirectory {
    pub(super) path: PathBuf,
}

impl ArtifactsDirectory {
    /// Makes it, for the user that the child runs as and nobody else.
    pub(super) fn make(attempt: Attempt<'_>) -> io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt as _, chown};
        let path = artifacts(attempt);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by a worker that died with this very attempt: its processes are gone, so nobody writes here.
                std::fs::remove_dir_all(&path)?;
                std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            }
            made => made?,
        }
        let directory = Self { path };
        if let Some(user) = attempt.shared.paths.run_as {
            chown(&directory.path, Some(user.uid), Some(user.gid))?;
        }
        Ok(directory)
    }
}

impl Drop for ArtifactsDirectory {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, path = %self.path.display(), "a directory was left behind"),
        }
    }
}
