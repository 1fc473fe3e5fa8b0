//! The directories of an attempt, below the worker's temporary root.
//!
//! They are named after job and attempt, so that the sweep knows whether a directory is still in
//! use.

use std::{io, path::PathBuf};

use super::Attempt;

/// Home of the child. The shim makes and removes it together with the processes.
pub(super) fn temporary(attempt: Attempt<'_>) -> PathBuf {
    attempt.shared.paths.temp_root.join(format!("{}.{}", attempt.job(), attempt.number()))
}

/// The worker makes and removes it, because announced files may be read after the processes are
/// gone.
pub(super) fn artifacts(attempt: Attempt<'_>) -> PathBuf {
    attempt.shared.paths.temp_root.join(format!("{}.{}.artifacts", attempt.job(), attempt.number()))
}

/// The directory of an attempt's artifacts, removed when dropped.
#[derive(Debug)]
pub(super) struct ArtifactsDirectory {
    pub(super) path: PathBuf,
}

impl ArtifactsDirectory {
    /// Makes it, accessible only to the user that the child runs as.
    pub(super) fn make(attempt: Attempt<'_>) -> io::Result<Self> {
        use std::os::unix::fs::{DirBuilderExt as _, chown};
        let path = artifacts(attempt);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by a worker that crashed in this attempt. Its processes are gone.
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
            Err(error) => {
                tracing::error!(%error, path = %self.path.display(), "could not remove a directory");
            }
        }
    }
}
