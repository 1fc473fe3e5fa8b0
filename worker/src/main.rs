//! The binary `callboard-worker`. Everything is in the library, where tests reach it.

use std::process::ExitCode;

/// The C library's allocator took a third of the time of a job that does nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    callboard_worker::main()
}
