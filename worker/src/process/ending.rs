//! How an attempt's processes ended, and why they could not be started.

use std::time::Duration;

use super::{Ending, ExitStatus, RefusalCode};
use crate::shim::protocol::Exited;

/// The end of an attempt's processes. None of them is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How the program ended, and what ended it.
    pub ending: Ending,
    /// Processes that were still alive and had to be killed, without the program's own.
    pub leftovers: u32,
    /// Peak resident memory of the largest single process, in bytes.
    pub peak_memory_bytes: u64,
    /// CPU time of the whole tree, user and system.
    pub cpu_time: Duration,
    /// What could not be cleaned up, as a sentence for the log. Normally `None`.
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

    /// The number of the signal that ended the program, if a signal did.
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

/// The program could not be started. Nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another attempt, or a process left of one, holds the profile.
    #[error("the profile is in use by another attempt")]
    ProfileBusy,
    /// The request is wrong. Trying again would not help.
    #[error("{message}")]
    Refused {
        /// What is wrong, for code.
        code: RefusalCode,
        /// What is wrong, for people. Contains paths, never a secret.
        message: String,
    },
    /// The shim failed, for a reason that has nothing to do with the request.
    #[error("no shim ran the program: {0}")]
    ShimFailed(String),
}

impl StartError {
    pub(super) fn failed(reason: impl std::fmt::Display) -> Self {
        Self::ShimFailed(reason.to_string())
    }
}
