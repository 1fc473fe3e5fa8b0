//! What the worker binary becomes when it is run as `callboard-worker shim`: the processes that stand between
//! the worker and the strangers it runs.
//!
//! There are two kinds, both single-threaded and synchronous. The *forker* (`forker.rs`) is started once by
//! the worker and does nothing but fork *shims*; forking a tiny process is several times cheaper than starting
//! the worker's big binary anew. A *shim* (`attempt.rs`) runs exactly one attempt: it starts one program, is the
//! subreaper of everything that program starts, and does not end before all of it is dead and cleaned up.
//!
//! Called by `main` before any runtime or thread exists ([`main`]) and, for the wire types and the cleaning up
//! after a killed shim, by `process/`. Code here must never start a thread, write to standard output, or keep
//! a descriptor of one attempt open in another.

mod attempt;
mod forker;
mod kernel;
pub(crate) mod link;
pub(crate) mod profile;
mod program;
pub(crate) mod protocol;
pub(crate) mod temporary;
pub(crate) mod tree;
pub(crate) mod watch;

use std::process::ExitCode;

/// Runs as the forker until the worker closes its end of the socket on descriptor 0; never returns early.
///
/// To be called first thing in `main`, before any thread or runtime is started: the forker forks, which is only
/// sound in a process with one thread.
pub fn main() -> ExitCode {
    forker::run()
}
