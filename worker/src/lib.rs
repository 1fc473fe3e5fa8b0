//! The worker: takes jobs and runs them.
//!
//! * `attempt` is the story of one attempt; `intake` brings references in; `desk` has what all attempts share.
//! * [`process`] and [`shim`] run programs so that nothing outlives its attempt; `http_client` is the child behind HTTP
//!   commands.
//! * `heartbeat` keeps the lease, `held` knows what runs, `duties` is what every worker does for all.
//!
//! Nobody imports this crate but its own binary and tests.

mod attempt;
mod batcher;
mod duties;
mod health;
mod heartbeat;
mod http_client;
mod intake;
mod paused_services;
pub mod process;
mod running_attempts;
mod settings;
mod shared;
pub mod shim;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::settings::WorkerSettings;

/// Takes jobs from Callboard's queues and runs them
#[derive(Debug, Parser)]
#[command(name = "callboard-worker", version)]
enum Command {
    /// Take jobs until SIGTERM, then drain
    Run(Box<WorkerSettings>),
}

/// Dispatches: `run` is the worker; `shim` and `http` are its own children, before anything else is set up, because they
/// must start fast.
pub fn main() -> ExitCode {
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("shim") => return shim::main(),
        Some("http") => return http_client::main(),
        _ => {}
    }
    let Command::Run(settings) = Command::parse();
    match start(*settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(settings: WorkerSettings) -> anyhow::Result<()> {
    callboard::telemetry::start(&settings.shared.log, settings.shared.log_format)?;
    process::harden()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(worker::run(settings))
}
