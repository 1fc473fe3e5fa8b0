//! A file that the children write, which shows what has run.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::system::System;

/// A file in a directory that jobs may write to.
pub(crate) struct Ledger(PathBuf);

impl Ledger {
    pub(crate) fn open(system: &System) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let path = system.home().join("ledger");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        Self(path)
    }

    /// The path, for scripts.
    pub(crate) fn path(&self) -> String {
        self.0.display().to_string()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.0).unwrap().lines().map(str::to_owned).collect()
    }

    /// How often each line was written.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in self.lines() {
            *counts.entry(line).or_default() += 1;
        }
        counts
    }
}
