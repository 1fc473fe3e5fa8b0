//! What the worker and a shim say to each other over their socket: frames of JSON, each with its length before
//! it. The worker sends one [`SpawnMessage`], then any number of [`Control`]s; the shim answers with [`Status`]es.
//!
//! Both ends are the same binary, started from the same file, so the protocol has no versions. Used by the shim
//! and by `process/`. It must never grow a frame whose size the other side cannot bound.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest order, in bytes of JSON. The kernel takes about 2 MiB of arguments and environment; JSON may double it.
pub(crate) const MAX_SPAWN_BYTES: usize = 4 * 1024 * 1024;

/// Longest control or status frame, in bytes: small enough that a socket takes it whole or not at all.
pub(crate) const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// What to run, complete: the program gets nothing that is not said here.
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

/// Where a browser profile lives. Split in two, because only the root is trusted: whatever lies below it is made
/// by strangers, so no symbolic link there is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileDirectory {
    /// The directory of all profiles; must exist.
    pub root: PathBuf,
    /// The profile's own directory below the root; created when missing.
    pub relative: PathBuf,
}

/// What a program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// How much sooner than the worker the kernel kills these processes when memory runs out, -1000 to 1000.
    /// Never 1000: the machine's own out-of-memory daemons then pick our jobs first, whatever their size.
    pub oom_score_adj: i16,
    /// Processes and threads that the run-as user may have on this machine (`RLIMIT_NPROC`); the kernel does not
    /// hold root to it.
    pub max_processes: Option<u64>,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self { oom_score_adj: 200, max_processes: None }
    }
}

/// What the worker tells a running shim.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Control {
    /// The new deadline: CLOCK_BOOTTIME in nanoseconds.
    Deadline(u64),
    /// SIGTERM now, SIGKILL after the grace.
    Terminate { grace_ms: u64 },
    /// SIGKILL now.
    Kill {},
}

/// What a shim tells the worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Status {
    /// The program runs.
    Started { pid: i32 },
    /// Another attempt still has the profile; nothing was run.
    Busy,
    /// Nothing was run.
    Refused { code: RefusalCode, message: String },
    /// Everything that ran is dead, and cleaned up.
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

/// Why a shim would not run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefusalCode {
    /// The profile's directory cannot be used: a symbolic link on the way, another owner, no permission.
    ProfilePath,
    /// The temporary directory cannot be made.
    TemporaryDirectory,
    /// There is no such program.
    ProgramNotFound,
    /// The program, after resolving symbolic links, is not on the allow-list.
    ProgramNotAllowed,
    /// The kernel would not start it; the message says why.
    SpawnFailed,
    /// The worker's lease had already ended.
    DeadlinePassed,
    /// The order is larger than [`super::protocol`] allows.
    RequestTooLarge,
}

/// How a process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal, by number, ended it.
    Signal(i32),
}

/// How an attempt's program ended, and at whose wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// The worker asked for it with SIGTERM. `Signal(9)` means that it did not obey within its grace.
    Terminated(ExitStatus),
    /// The worker had it killed.
    Killed,
    /// The worker's lease ran out without being renewed.
    Deadline,
    /// The worker let go of the shim, or died.
    Orphaned,
    /// The shim itself was killed; the worker killed what it left behind.
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

/// The other side broke the protocol.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    #[error("a frame does not read: {0}")]
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
