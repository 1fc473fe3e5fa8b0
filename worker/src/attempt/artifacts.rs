//! Copies the files that a child announces under the artifact root, and records them with the
//! fence.
//!
//! The child writes to the directory and is not trusted. Only regular files directly in it are
//! taken, and no symbolic link is followed.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::Path,
};

use callboard::{
    bounds::{
        ALL_ARTIFACTS_BYTES_MAX, ARTIFACT_BYTES_MAX, ARTIFACT_NAME_BYTES_MAX, ARTIFACTS_MAX,
        CONTENT_TYPE_BYTES_MAX, RECORDINGS_MAX,
    },
    clock,
    ids::ArtifactId,
    secret::{RedactingBytes, Redactor, TextCheck, begins_as_text, is_text_type},
    steps::run::keep_artifact::keep_artifact,
    store::jobs::artifacts::ArtifactRecord,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::Attempt;
use crate::batcher::repeated;

/// A file that the child announced.
#[derive(Debug)]
pub(super) struct AnnouncedFile {
    pub(super) name: String,
    pub(super) content_type: String,
    /// Its name in the artifacts directory, in any bytes.
    pub(super) path: OsString,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Kept {
    /// It is an artifact of the attempt.
    Stored {
        /// Its size.
        bytes: u64,
    },
    /// The attempt no longer holds its job.
    Stale,
}

/// Why a file was not kept, as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error(
        "its name must be a plain file name of 1 to {ARTIFACT_NAME_BYTES_MAX} bytes without a leading dot \
         or a control character, and its content type has at most {CONTENT_TYPE_BYTES_MAX} bytes"
    )]
    BadName,
    #[error("it is larger than {ARTIFACT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the files of an attempt have at most {ALL_ARTIFACTS_BYTES_MAX} bytes in all")]
    NoRoom,
    #[error("an attempt keeps at most {} files", ARTIFACTS_MAX + RECORDINGS_MAX)]
    TooMany,
    #[error("another file of the attempt has this name")]
    NameTaken,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("its record could not be stored: {0}")]
    Store(#[from] callboard::store::StoreError),
    #[error("copying it has failed: {0}")]
    Copy(#[from] tokio::task::JoinError),
}

/// Keeps one file of at most `room` bytes. Text is redacted on the way.
pub(super) async fn keep(
    attempt: Attempt<'_>,
    directory: &Path,
    file: AnnouncedFile,
    room: u64,
    redactor: &Redactor,
) -> Result<Kept, KeepError> {
    if !is_plain(&file.name) || !is_inside(&file.path) || file.content_type.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(KeepError::BadName);
    }
    let id: ArtifactId = attempt.shared.ids.make();
    let path = format!("{}/{id}", attempt.job());
    let (source, target) = (directory.join(&file.path), attempt.shared.paths.artifact_root.join(&path));
    let redactor = (redactor.clone(), is_text_type(&file.content_type));
    let copied = tokio::task::spawn_blocking(move || {
        copy(&source, &target, room, redactor).map(|copied| (copied, target))
    });
    let (Copied { bytes, sha256, is_redacted }, target) = copied.await??;
    let record = ArtifactRecord {
        id,
        job: attempt.job(),
        attempt_id: attempt.id,
        attempt: attempt.number(),
        name: file.name,
        content_type: file.content_type,
        size_bytes: bytes as i64,
        sha256,
        is_redacted: Some(is_redacted),
        path,
        created_at: clock::now(),
        pruned_at: None,
    };
    let is_kept = repeated("keep artifact", || keep_artifact(&attempt.shared.store, &record)).await;
    if !matches!(is_kept, Ok(true)) {
        remove(&target);
    }
    Ok(if is_kept? { Kept::Stored { bytes } } else { Kept::Stale })
}

/// Whether a text is the name of a file directly in the directory. Letters of every script are.
pub(super) fn is_plain(name: &str) -> bool {
    (1..=ARTIFACT_NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control())
}

/// Whether a path is directly in the directory.
fn is_inside(path: &OsStr) -> bool {
    let bytes = path.as_bytes();
    (1..=ARTIFACT_NAME_BYTES_MAX).contains(&bytes.len())
        && !bytes.starts_with(b".")
        && !bytes.iter().any(|byte| matches!(byte, b'/' | 0))
}

fn remove(target: &Path) {
    if let Err(error) = std::fs::remove_file(target) {
        tracing::error!(%error, path = %target.display(), "a file could not be removed");
    }
}

/// The copy of a file.
#[derive(Debug)]
struct Copied {
    /// Its size.
    bytes: u64,
    sha256: [u8; 32],
    /// Whether all of the file was text that was redacted.
    is_redacted: bool,
}

/// Copies a file of at most `room` bytes, and redacts it if it is text by its type or its
/// beginning.
fn copy(
    source: &Path,
    target: &Path,
    room: u64,
    (redactor, is_text): (Redactor, bool),
) -> Result<Copied, KeepError> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(no_follow).open(source);
    let source = opened.map_err(|error| match Errno::from_io_error(&error) {
        // A symbolic link, and a socket.
        Some(Errno::LOOP | Errno::NXIO) => KeepError::NotAFile,
        Some(_) | None => KeepError::Io(error),
    })?;
    let metadata = source.metadata()?;
    if !metadata.is_file() {
        return Err(KeepError::NotAFile);
    }
    let most = room.min(ARTIFACT_BYTES_MAX as u64);
    if metadata.len() > most {
        return Err(too_large(room));
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(target)?;
    let copied = fill(file, source.take(most + 1), (redactor, is_text)).and_then(|(copied, read)| {
        // It may still grow.
        if read > most { Err(too_large(room)) } else { Ok(copied) }
    });
    // Nothing refers to the beginning of a file that could not be copied, as on a full disk.
    copied.inspect_err(|_| remove(target))
}

/// Copies from `source` to `file`. Also returns how many bytes were read.
fn fill(
    mut file: std::fs::File,
    mut source: impl Read,
    (redactor, is_text): (Redactor, bool),
) -> Result<(Copied, u64), KeepError> {
    let (mut hash, mut read, mut written) = (Sha256::new(), 0_u64, 0_u64);
    let mut keep = |bytes: &[u8]| {
        written += bytes.len() as u64;
        hash.update(bytes);
        file.write_all(bytes)
    };
    let mut redacting: Option<(RedactingBytes, TextCheck)> = None;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        let bytes = &buffer[..count];
        if read == 0 && (is_text || begins_as_text(bytes)) {
            redacting = Some((RedactingBytes::new(redactor.clone()), TextCheck::default()));
        }
        read += count as u64;
        match &mut redacting {
            Some((redacting, check)) => {
                check.feed(bytes);
                keep(&redacting.feed(bytes))?;
            }
            None => keep(bytes)?,
        }
    }
    // Of an empty file there is nothing to redact.
    let mut is_redacted = read == 0;
    if let Some((redacting, check)) = redacting {
        is_redacted = check.is_text();
        keep(&redacting.finish())?;
    }
    Ok((Copied { bytes: written, sha256: hash.finalize().into(), is_redacted }, read))
}

const fn too_large(room: u64) -> KeepError {
    if room < ARTIFACT_BYTES_MAX as u64 { KeepError::NoRoom } else { KeepError::TooLarge }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_in_any_script_and_within_its_bytes() {
        let at_the_bound = format!("{}abc", "報".repeat(84));
        assert_eq!(at_the_bound.len(), ARTIFACT_NAME_BYTES_MAX);
        for name in ["a.txt", "हिन्दी.txt", "👩‍💻 (1), a+b.csv", &at_the_bound] {
            assert!(is_plain(name), "{name}");
        }
        let too_long = format!("{at_the_bound}d");
        for name in ["", ".part-1", "a/b", "a\\b", "a\0b", "a\nb", "a\u{1b}b", "a\u{85}b", &too_long] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn of_a_file_that_cannot_be_read_to_its_end_no_part_is_kept() {
        let directory = std::env::temp_dir().join(format!("callboard-artifact-{}", std::process::id()));
        let target = directory.join("job/artifact");
        // Its first page cannot be read.
        let copied =
            copy(Path::new("/proc/self/mem"), &target, ARTIFACT_BYTES_MAX as u64, (Redactor::new([]), false));
        let files = std::fs::read_dir(directory.join("job")).unwrap().count();
        std::fs::remove_dir_all(directory).unwrap();
        assert!(matches!(copied, Err(KeepError::Io(_))), "{copied:?}");
        assert_eq!(files, 0);
    }
}
