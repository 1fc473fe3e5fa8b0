//! Runs programs so that none of their processes outlives its attempt or the worker's lease.
//!
//! The worker starts no program itself. A [`ShimPool`] keeps *shims* (`crate::shim`) forked ahead.
//! A shim takes one [`SpawnRequest`] and is the subreaper of everything that its program starts. It
//! kills all of it when the program ends, when the worker asks for it, closes the socket or dies,
//! or when the deadline passes that the worker moves with its lease.
//!
//! Code here must never block the runtime, never put a secret into an argument or a log, and never
//! kill a process that does not descend from one of its shims.

mod cleanup;
mod ending;
mod forker;
mod pool_thread;
mod run_as;
mod running;
mod shim_handle;
mod shim_pool;
mod spawn_request;
mod supervisor;

pub use self::ending::{Exit, StartError};
pub use self::run_as::RunAsError;
pub use self::running::{ProcessHandle, Running};
pub use self::shim_handle::LeaseNumber;
pub use self::shim_pool::{Settings, ShimPool};
pub use self::spawn_request::{MAX_STDIN_BYTES, SpawnRequest};
pub use crate::shim::protocol::{Ending, ExitStatus, ProfileDirectory, RefusalCode, ResourceLimits, RunAs};
pub use crate::shim::watch::boottime_now;
