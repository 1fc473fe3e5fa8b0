//! The protocol between the worker and a shim: frames of JSON, each after its length.
//!
//! The worker sends one [`SpawnMessage`] and then any number of [`Control`]s. The shim sends
//! [`Status`]es. Both ends are the same binary, started from the same file, so the protocol has no
//! version. Every frame must have a bounded size.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest request, in bytes of JSON. The kernel takes about 2 MiB of arguments and environment,
/// and JSON may double it.
pub(crate) const MAX_SPAWN_BYTES: usize = 4 * 1024 * 1024;

/// Longest control or status frame, in bytes. A socket takes that much whole or not at all.
pub(crate) const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// The program to run. It gets nothing that is not named here.
#[derive(Serialize, Deserialize)]
pub(crate) struct SpawnMessage<'a> {
    pub(crate) program: Cow<'a, Path>,
    pub(crate) arguments: Cow<'a, [String]>,
    pub(crate) environment: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub(crate) working_directory: Option<Cow<'a, Path>>,
    pub(crate) temporary_directory: Cow<'a, Path>,
    pub(crate) allowed_programs: Option<Cow<'a, [PathBuf]>>,
    pub(crate) run_as: Option<RunAs>,
    pub(crate) profile: Option<Cow<'a, ProfileDirectory>>,
    pub(crate) limits: ResourceLimits,
    /// CLOCK_BOOTTIME, in nanoseconds, at which everything dies.
    pub(crate) deadline: u64,
}

/// The unprivileged user that a program runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// User id.
    pub uid: u32,
    /// Primary group id; supplementary groups are dropped.
    pub gid: u32,
}

/// The directory of a browser profile. Only the root is trusted. Programs write below it, so no
/// symbolic link there is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileDirectory {
    /// The directory of all profiles; must exist.
    pub root: PathBuf,
    /// The profile's own directory below the root; created if it is missing.
    pub relative: PathBuf,
}

/// Limits on a program's resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// `oom_score_adj`, -1000 to 1000: how much sooner than others the kernel kills these processes
    /// when memory runs out. Not 1000, because OOM daemons would then pick jobs first, whatever
    /// their size.
    pub oom_score_adj: i16,
    /// Most processes and threads of the run-as user on this machine (`RLIMIT_NPROC`). The kernel
    /// does not apply it to root.
    pub max_processes: Option<u64>,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self { oom_score_adj: 200, max_processes: None }
    }
}

/// A message to a running shim.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Control {
    /// The new deadline: CLOCK_BOOTTIME in nanoseconds.
    Deadline(u64),
    /// SIGTERM now, SIGKILL after the grace period.
    Terminate { grace_ms: u64 },
    /// SIGKILL now.
    Kill {},
}

/// A message from a shim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Status {
    /// The program runs.
    Started { pid: i32 },
    /// Another attempt has the profile. Nothing was run.
    Busy,
    /// Nothing was run.
    Refused { code: RefusalCode, message: String },
    /// Everything that ran has ended and is cleaned up.
    Exited(Exited),
}

/// The end of an attempt's processes, as the shim reports it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Exited {
    pub(crate) ending: Ending,
    pub(crate) leftovers: u32,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) cpu_ms: u64,
    pub(crate) residue: Option<String>,
}

/// Why a shim did not run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalCode {
    /// The profile's directory cannot be used, for example because of a symbolic link or another
    /// owner.
    ProfilePath,
    /// The temporary directory cannot be created.
    TemporaryDirectory,
    /// There is no such program.
    ProgramNotFound,
    /// The program, or where its symbolic links lead, is not on the allow-list.
    ProgramNotAllowed,
    /// The kernel did not start it. The message says why.
    SpawnFailed,
    /// The worker's lease had already ended.
    DeadlinePassed,
    /// The request or its standard input is too large.
    RequestTooLarge,
}

/// How a process exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// A signal ended it: its number.
    Signal(i32),
}

/// How an attempt's program ended, and what ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// The worker asked for SIGTERM. `Signal(9)` means that the program did not exit within its
    /// grace.
    Terminated(ExitStatus),
    /// The worker had it killed.
    Killed,
    /// The worker's lease ran out without being renewed.
    Deadline,
    /// The worker closed the socket or died.
    Orphaned,
    /// The shim was killed, and the worker killed its leftovers.
    ShimLost,
}

/// Writes `message` as one frame.
pub(crate) fn encode(message: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Bytes that have arrived and are not yet a whole frame.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
}

/// Why a frame cannot be read: the other side broke the protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    #[error("a frame is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Inbox {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes out the next whole frame, not yet decoded, of at most `limit` bytes.
    pub(crate) fn take(&mut self, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
        let Some((header, body)) = self.bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header) as usize;
        if length > limit {
            return Err(FrameError::TooLong(length));
        }
        let Some(frame) = body.get(..length) else { return Ok(None) };
        let frame = frame.to_vec();
        self.bytes.drain(..4 + length);
        Ok(Some(frame))
    }

    /// Takes out the next message, of at most [`MAX_MESSAGE_BYTES`].
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        match self.take(MAX_MESSAGE_BYTES)? {
            Some(frame) => Ok(Some(serde_json::from_slice(&frame)?)),
            None => Ok(None),
        }
    }
}
