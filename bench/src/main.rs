//! `callboard-bench`: what we claim about speed, measured on this machine in one run.
//!
//! Talks to a running API and workers, and to their Postgres and Redis, by the same environment variables. Prints
//! jobs/s, p50 and p99 beside the machine's own limits. Used by `bench/run`; never part of a test.

mod direct;
mod drain;

use callboard::settings::SharedSettings;
use clap::{Parser, Subcommand};

/// Measures Callboard
#[derive(Debug, Parser)]
#[command(name = "callboard-bench", version)]
struct Arguments {
    #[command(flatten)]
    shared: SharedSettings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enqueue a backlog of no-op jobs and time how fast the running workers end them
    Drain {
        /// Jobs of the backlog
        #[arg(long, default_value_t = 20_000)]
        jobs: usize,
    },
    /// Run one program through the queue and show what became of it
    Program {
        /// Program and arguments
        #[arg(required = true)]
        words: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let bench = direct::Direct::open(&arguments.shared).await?;
    match arguments.command {
        Command::Drain { jobs } => drain::drain(&bench, jobs).await,
        Command::Program { words } => drain::program(&bench, words).await,
    }
}
