//! Copies the files that a child announces under the artifact root, and records them with the
//! fence.
//!
//! The child writes to the directory and is not trusted. Only regular files directly in it are
//! taken, and no symbolic link is followed.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use callboard::{
    clock, ids::ArtifactId, steps::run::keep_artifact::keep_artifact, store::jobs::artifacts::ArtifactRecord,
};
use sha2::{Digest as _, Sha256};

use super::Attempt;

/// Longest name, path and content type, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// Largest file that is kept, in bytes.
const ARTIFACT_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most files of one attempt.
pub(super) const ARTIFACTS_MAX: usize = 200;

/// A file that the child announced.
#[derive(Debug)]
pub(super) struct AnnouncedFile {
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) path: String,
}

/// Why a file was not kept, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error(
        "name and path must be plain file names of 1 to {NAME_BYTES_MAX} bytes without a leading dot, \
         and the content type has at most {NAME_BYTES_MAX} bytes"
    )]
    BadName,
    #[error("it is larger than {ARTIFACT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("its record could not be stored: {0}")]
    Store(#[from] callboard::store::StoreError),
}

/// Keeps one file. Returns false if the attempt has been fenced off.
pub(super) async fn keep(
    attempt: Attempt<'_>,
    directory: &Path,
    file: AnnouncedFile,
) -> Result<bool, KeepError> {
    let is_plain = |text: &str| {
        !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.starts_with('.')
            && !text.contains(['/', '\\', '\0', '\n'])
    };
    if !is_plain(&file.name) || !is_plain(&file.path) || file.content_type.len() > NAME_BYTES_MAX {
        return Err(KeepError::BadName);
    }
    let id: ArtifactId = attempt.shared.ids.make();
    let path = format!("{}/{id}", attempt.job());
    let (source, target) = (directory.join(&file.path), attempt.shared.paths.artifact_root.join(&path));
    let copied =
        tokio::task::spawn_blocking(move || copy(&source, &target).map(|copied| (copied, target))).await;
    let ((size_bytes, sha256), target) = copied.map_err(|_| KeepError::NotAFile)??;
    let record = ArtifactRecord {
        id,
        job: attempt.job(),
        attempt_id: attempt.id,
        attempt: attempt.number(),
        name: file.name,
        content_type: file.content_type,
        size_bytes,
        sha256,
        path,
        created_at: clock::now(),
        pruned_at: None,
    };
    let is_kept = keep_artifact(&attempt.shared.store, &record).await;
    if !matches!(is_kept, Ok(true)) {
        remove(&target);
    }
    Ok(is_kept?)
}

fn remove(target: &PathBuf) {
    if let Err(error) = std::fs::remove_file(target) {
        tracing::error!(%error, path = %target.display(), "a file could not be removed");
    }
}

fn copy(source: &Path, target: &Path) -> Result<(i64, [u8; 32]), KeepError> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let source = std::fs::OpenOptions::new().read(true).custom_flags(no_follow).open(source)?;
    let metadata = source.metadata()?;
    if !metadata.is_file() {
        return Err(KeepError::NotAFile);
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut source = source.take(ARTIFACT_BYTES_MAX + 1);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(target)?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; 64 * 1024]);
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        size += count as u64;
        hash.update(&buffer[..count]);
        file.write_all(&buffer[..count])?;
    }
    if size > ARTIFACT_BYTES_MAX {
        std::fs::remove_file(target)?;
        return Err(KeepError::TooLarge);
    }
    Ok((size as i64, hash.finalize().into()))
}
