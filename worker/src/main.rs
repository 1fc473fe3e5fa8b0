//! `callboard-worker`: takes jobs and runs them.
//!
//! `run` is the worker. `shim` and `http` are its own children: the watcher around every process, and the program
//! behind HTTP commands. They are dispatched before anything else is set up, because they must start fast.

mod attempt;
mod batcher;
mod desk;
mod duties;
mod health;
mod heartbeat;
mod held;
mod http_client;
mod intake;
mod process;
mod settings;
mod shim;
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

fn main() -> ExitCode {
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
