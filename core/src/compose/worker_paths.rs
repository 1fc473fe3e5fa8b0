//! The places of one worker that a command is revealed for. Made by the worker from its settings, per attempt.

use serde::{Deserialize, Serialize};

/// Absolute paths and rules of the worker that runs an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPaths {
    /// The directory below which all profiles are.
    pub profile_root: String,
    /// The attempt's own empty profile directory, for PLAYWRIGHT jobs without a profile.
    pub temporary_profile: String,
    /// Files in here become the job's artifacts.
    pub artifacts_directory: String,
    /// The browser's executable.
    pub chromium: String,
    /// Chromium's own sandbox.
    pub sandbox: Sandbox,
    /// Whether HTTP commands may call private and loopback addresses.
    pub allow_private_targets: bool,
}

/// What to do about Chromium's own sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// On where the machine lets it.
    #[default]
    Auto,
    /// On, or the attempt fails.
    On,
    /// Off.
    Off,
}

impl WorkerPaths {
    /// The absolute directory of a profile, from its path below the root.
    pub fn profile_directory(&self, path: &str) -> String {
        format!("{}/{path}", self.profile_root.trim_end_matches('/'))
    }
}
