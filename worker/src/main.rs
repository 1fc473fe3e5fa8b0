//! `callboard-worker`: takes jobs and runs them. Everything is in the library, where tests reach it.

use std::process::ExitCode;

/// A third of the time of a job that does nothing went into the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    callboard_worker::main()
}
