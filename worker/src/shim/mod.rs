//! `callboard-worker shim`: the processes between the worker and the untrusted programs that it
//! runs.
//!
//! There are two kinds, both single-threaded and synchronous. The *forker* (`forker.rs`) is started
//! once by the worker and only forks *shims*, because forking a small process is several times
//! cheaper than starting the worker's big binary. A *shim* (`attempt.rs`) runs exactly one attempt.
//! It starts one program, is the subreaper of everything that the program starts, and does not exit
//! before all of it is dead and cleaned up.
//!
//! Code here must never start a thread, write to standard output, or keep a descriptor of one
//! attempt open in another.

mod attempt;
mod forker;
mod kernel;
pub(crate) mod link;
mod output_holders;
pub(crate) mod profile;
mod program;
pub(crate) mod protocol;
pub(crate) mod shared_files;
pub(crate) mod temporary;
pub(crate) mod tree;
mod unstartable;
pub(crate) mod watch;

use std::process::ExitCode;

/// Runs as the forker until the worker closes its end of the socket on descriptor 0.
///
/// To be called first in `main`, before any thread or runtime is started, because forking is only
/// sound in a process with one thread.
pub fn main() -> ExitCode {
    forker::run()
}
