//! `callboard-api`: the API server.

fn main() -> std::process::ExitCode {
    callboard_api::main()
}
