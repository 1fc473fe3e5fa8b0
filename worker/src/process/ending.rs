//! How a run ends, or fails to begin, as the attempt pipeline sees it.

use std::time::Duration;

use super::{Ending, ExitStatus, RefusalCode};
use crate::shim::protocol::Exited;

/// The end of an attempt's processes. When this is there, none of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How the program ended, and at whose wish.
    pub ending: Ending,
    /// Processes, besides the program's own, that were still alive and had to be killed.
    pub leftovers: u32,
    /// Resident memory at its peak, in bytes, of the one largest process; not of the tree.
    pub peak_memory_bytes: u64,
    /// Processor time of the whole tree, user and system.
    pub cpu_time: Duration,
    /// What could not be cleaned up, in words for the operator's log. Normally nothing.
    pub residue: Option<String>,
}

impl Exit {
    pub(super) fn reported(exited: Exited) -> Self {
        let Exited { ending, leftovers, peak_memory_bytes, cpu_ms, residue } = exited;
        Self { ending, leftovers, peak_memory_bytes, cpu_time: Duration::from_millis(cpu_ms), residue }
    }

    pub(super) fn shim_lost(residue: Option<String>) -> Self {
        Self {
            ending: Ending::ShimLost,
            leftovers: 0,
            peak_memory_bytes: 0,
            cpu_time: Duration::ZERO,
            residue,
        }
    }

    /// The program's exit code, 0 to 255, if it exited.
    pub fn code(&self) -> Option<i32> {
        match self.status()? {
            ExitStatus::Code(code) => Some(code),
            ExitStatus::Signal(_) => None,
        }
    }

    /// The number of the signal that ended the program, if one did.
    pub fn signal(&self) -> Option<i32> {
        match self.status()? {
            ExitStatus::Code(_) => None,
            ExitStatus::Signal(signal) => Some(signal),
        }
    }

    fn status(&self) -> Option<ExitStatus> {
        match self.ending {
            Ending::Exited(status) | Ending::Terminated(status) => Some(status),
            Ending::Killed | Ending::Deadline | Ending::Orphaned => Some(ExitStatus::Signal(9)),
            Ending::ShimLost => None,
        }
    }
}

/// Nothing was run, or what was run is dead already.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another attempt, or a process left of one, holds the profile.
    #[error("the profile is in use by another attempt")]
    ProfileBusy,
    /// The program cannot be run like this; trying again would not help.
    #[error("{message}")]
    Refused {
        /// What is wrong, for programs.
        code: RefusalCode,
        /// What is wrong, for people. Contains paths, never a secret.
        message: String,
    },
    /// The worker's own machinery failed; the attempt is not to blame.
    #[error("no shim ran the program: {0}")]
    ShimFailed(String),
}

impl StartError {
    pub(super) fn failed(reason: impl std::fmt::Display) -> Self {
        Self::ShimFailed(reason.to_string())
    }
}
