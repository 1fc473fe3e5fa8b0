//! Programs that a test writes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::ensure;

/// Writes a script, with an interpreter in its first line, into this directory. Returns its path.
#[track_caller]
pub fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("script");
    // Written by another process, so that no child of this one has it open for writing.
    let write = "printf %s \"$1\" >\"$2\" && chmod 700 \"$2\"";
    let status = Command::new("/bin/sh").args(["-c", write, "-", text]).arg(&path).status();
    super::must(status.map_err(anyhow::Error::from).and_then(|status| {
        ensure!(status.success(), "{} could not be written", path.display());
        Ok(())
    }));
    path
}
