//! The binary `callboard-api`.

/// The C library's allocator took a fifth of the time of a small operation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    callboard_api::main()
}
