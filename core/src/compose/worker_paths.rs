//! Paths and rules of the worker that a command is revealed for. The worker makes them from its
//! settings, for each attempt.

use serde::{Deserialize, Serialize};

/// Absolute paths and rules of the worker that runs an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPaths {
    /// The directory that contains all profile directories.
    pub profile_root: String,
    /// The attempt's own empty profile directory, for PLAYWRIGHT jobs without a profile.
    pub temporary_profile: String,
    /// The directory whose files become the job's artifacts.
    pub artifacts_directory: String,
    /// The browser's executable.
    pub chromium: String,
    /// Chromium's own sandbox.
    pub sandbox: Sandbox,
    /// Whether HTTP commands may send requests to private and loopback addresses.
    pub allow_private_targets: bool,
}

/// How to use Chromium's own sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// Use it where the machine allows it.
    #[default]
    Auto,
    /// Require it. Without it the attempt fails.
    On,
    /// Do not use it.
    Off,
}

impl WorkerPaths {
    /// The absolute directory of a profile, from its path below the root.
    pub fn profile_directory(&self, path: &str) -> String {
        format!("{}/{path}", self.profile_root.trim_end_matches('/'))
    }
}
