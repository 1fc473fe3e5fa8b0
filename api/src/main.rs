//! `callboard-api`: the API server.

/// A fifth of the time of a small operation went into the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    callboard_api::main()
}
