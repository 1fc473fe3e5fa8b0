//! Runs programs so that nothing of them outlives their attempt, and a worker that is cut off or stopped loses
//! them before its lease ends.
//!
//! The worker starts no program itself. A [`ShimPool`] keeps *shims* ready (`crate::shim`), forked ahead; each
//! takes one [`SpawnRequest`], is the subreaper of all that its program starts, and kills all of it when the program ends,
//! when the worker says so, lets go or dies, or when the deadline passes that the worker moves with its lease.
//!
//! Called by the attempt pipeline (start, output, terminate, wait) and by the lease thread (`extend_deadline`, `begin_another_lease`). It
//! must never block the runtime, never put a secret into an argument or a log, and never kill a process that
//! does not descend from one of its shims.

mod cleanup;
mod ending;
mod forker;
mod run_as;
mod running;
mod shim_handle;
mod shim_pool;
mod spawn_request;
mod supervisor;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

pub use self::ending::{Exit, StartError};
pub use self::run_as::RunAsError;
pub use self::running::{ProcessHandle, Running};
pub use crate::process::shim_handle::LeaseNumber;
pub use crate::process::shim_pool::{Settings, ShimPool};
pub use crate::process::spawn_request::{MAX_STDIN_BYTES, SpawnRequest};
pub use crate::shim::protocol::{Ending, ExitStatus, ProfileDirectory, RefusalCode, ResourceLimits, RunAs};
pub use crate::shim::watch::boottime_now;

/// Closes this process to the programs it runs, also to those of the same user: its memory and its environment
/// (`/proc/PID/mem`, `/proc/PID/environ`) cannot be read, no debugger can attach, and it dumps no core.
///
/// To be called early in `main`, before secrets are read.
pub fn harden() -> std::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}
