//! The worker: takes jobs and runs them.
//!
//! * `worker` is its life from start to end, and `intake` takes references to jobs.
//! * `attempt` is the story of one attempt. `shared` has what all attempts share, and
//!   `running_attempts` lists them.
//! * [`process`] and [`shim`] run programs so that nothing outlives its attempt. `http_client` is
//!   the child behind HTTP commands.
//! * `heartbeat` renews the lease, and `duties` is what every worker does for the whole system.
//!
//! Only its own binary and tests import this crate.

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

use callboard::{evaluator, hardening};
use clap::{CommandFactory as _, Parser};

use crate::settings::WorkerSettings;

/// Takes jobs from Callboard's queues and runs them
#[derive(Debug, Parser)]
#[command(name = "callboard-worker", version)]
enum Command {
    /// Take jobs until SIGTERM, then drain
    Run(Box<WorkerSettings>),
}

/// Runs the worker (`run`), or one of its own children (`evaluate`, `shim`, `http`). The children
/// come before anything else is set up, because they must start fast.
pub fn main() -> ExitCode {
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some(evaluator::ARGUMENT) => return evaluator::main(),
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
    let shared = &settings.shared;
    callboard::telemetry::start(&shared.log.level, shared.log.format, &shared.secrets())?;
    hardening::protect(&Command::command())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(worker::run(settings))
}
