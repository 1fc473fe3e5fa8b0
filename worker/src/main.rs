//! `callboard-worker`: takes jobs and runs them. Everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    callboard_worker::main()
}
