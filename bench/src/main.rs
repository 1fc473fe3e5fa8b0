//! `callboard-bench` measures Callboard's claims about speed on this machine.
//!
//! Each subcommand takes one measurement of running processes, which it finds by the environment
//! variables that they use, and prints it as a line of JSON. `report` makes the table. `bench/run`
//! starts everything and calls the subcommands in turn. `docs/benchmarks.md` explains how each
//! number is taken. Never part of a test or a deployment.

mod depth;
mod direct;
mod drain;
mod enqueue;
mod http;
mod latency;
mod measurement;
mod park;
mod plain;
mod redact;
mod report;
mod spawn;
mod sql;
mod steps;

use std::path::PathBuf;

use anyhow::Context as _;
use callboard::{command::NOOP, settings::SharedSettings};
use clap::{Args, Parser};
use measurement::Measurement;
use secrecy::ExposeSecret as _;

/// Measures Callboard
#[derive(Debug, Parser)]
#[command(name = "callboard-bench", version)]
enum Command {
    /// Enqueue no-op jobs through GraphQL over HTTP (W1, W2)
    Enqueue {
        #[command(flatten)]
        api: Api,
        #[command(flatten)]
        plan: enqueue::Plan,
        /// Program that the jobs run instead of the no-op
        #[arg(long, default_value = NOOP)]
        program: String,
        /// Give the command a service (W8)
        #[arg(long)]
        served: bool,
        /// Give command and service limits that never bind (W8)
        #[arg(long, requires = "served")]
        limited: bool,
    },
    /// Time how fast the running workers finish a queue's backlog (W3, W6)
    Drain {
        #[command(flatten)]
        shared: SharedSettings,
        #[arg(long)]
        queue: String,
        /// Name of the measurement
        #[arg(long)]
        name: String,
    },
    /// Time single jobs on an idle system (W4)
    Latency {
        #[command(flatten)]
        api: Api,
        /// An empty queue that the running workers serve
        #[arg(long)]
        queue: String,
        /// Jobs of each kind
        #[arg(long, default_value_t = 200)]
        samples: usize,
    },
    /// Submit no-op jobs without the API, for deep backlogs (W9)
    Fill {
        #[command(flatten)]
        backlog: Backlog,
        /// Give command and service limits that never bind
        #[arg(long)]
        limited: bool,
    },
    /// Measure claims in several databases in turn (W9)
    Claims {
        #[command(flatten)]
        shared: SharedSettings,
        /// DATABASE QUEUE NAME, any number of times: a database of the same server, a queue without
        /// workers, and the suffix of the measurements' names
        #[arg(required = true, num_args = 3..)]
        places: Vec<String>,
        /// Samples of each
        #[arg(long, default_value_t = 1000)]
        samples: usize,
    },
    /// Measure lists and counts (W9)
    Lists {
        #[command(flatten)]
        api: Api,
        /// Samples of each
        #[arg(long, default_value_t = 500)]
        samples: usize,
    },
    /// Park jobs at a gate that lets one job a day pass (W9)
    Park(Backlog),
    /// Baseline: claim and settle a queue's backlog in full batches on one connection
    Plain {
        #[command(flatten)]
        shared: SharedSettings,
        #[arg(long)]
        queue: String,
    },
    /// Baseline: COPY into a table like that of the jobs
    Copy {
        #[command(flatten)]
        shared: SharedSettings,
        /// Total number of rows
        #[arg(long)]
        rows: usize,
    },
    /// Baseline: start and await processes
    Spawn {
        /// Number of processes
        #[arg(long, default_value_t = 4000)]
        count: usize,
    },
    /// Remove secrets from logs, beside sed (W10)
    Redact {
        /// Size of each log
        #[arg(long, default_value_t = 100)]
        megabytes: usize,
        /// Number of secrets
        #[arg(long, default_value_t = 50)]
        secrets: u64,
    },
    /// Run one program through the queue and show its attempt and log
    Program {
        #[command(flatten)]
        shared: SharedSettings,
        /// A queue with a worker
        #[arg(long, default_value = "default")]
        queue: String,
        /// Program and arguments
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Print the table of a file of measurements
    Report {
        /// File with the lines that the other subcommands printed
        lines: PathBuf,
        /// Where to write the summary
        summary: PathBuf,
    },
}

/// Jobs for a queue without workers.
#[derive(Debug, Args)]
struct Backlog {
    #[command(flatten)]
    shared: SharedSettings,
    #[arg(long)]
    queue: String,
    #[arg(long)]
    jobs: usize,
}

/// A running API, and the settings of its database and Redis.
#[derive(Debug, Args)]
struct Api {
    #[command(flatten)]
    shared: SharedSettings,
    /// Host and port of the API
    #[arg(long = "api", env = "CALLBOARD_LISTEN")]
    host: String,
    /// File with an API key
    #[arg(long, env = "CALLBOARD_API_KEY_FILE")]
    key_file: PathBuf,
}

impl Api {
    fn address(&self) -> anyhow::Result<http::Address> {
        let key = std::fs::read_to_string(&self.key_file)?.trim().to_owned();
        Ok(http::Address { host: self.host.clone(), key })
    }
}

/// Uses one thread, to leave the machine to the measured processes.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Enqueue { api, plan, program, served, limited } => {
            let bench = direct::Direct::open(&api.shared).await?;
            let command = if served {
                bench.served_command(&program, limited).await?
            } else {
                bench.command(&program, &[]).await?
            };
            enqueue::enqueue(&api.address()?, command, &plan).await?.print()
        }
        Command::Drain { shared, queue, name } => drain::drain(&shared, &name, &queue).await?.print(),
        Command::Latency { api, queue, samples } => latencies(&api, &queue, samples).await,
        Command::Fill { backlog, limited } => fill(&backlog, limited).await,
        Command::Claims { shared, places, samples } => {
            anyhow::ensure!(places.len().is_multiple_of(3), "each place needs DATABASE QUEUE NAME");
            let places = places.chunks(3).map(|words| place(&shared, words));
            let places = places.collect::<anyhow::Result<Vec<_>>>()?;
            depth::claims(&places, samples).await?.iter().try_for_each(Measurement::print)
        }
        Command::Lists { api, samples } => {
            depth::lists(&api.address()?, samples).await?.iter().try_for_each(Measurement::print)
        }
        Command::Park(Backlog { shared, queue, jobs }) => park::park(&shared, &queue, jobs).await,
        Command::Plain { shared, queue } => plain::run(&shared, "plain", &queue).await?.print(),
        Command::Copy { shared, rows } => {
            let mut connection = sql::connect(&shared).await?;
            sql::copy(&mut connection, "copy", rows, rows).await?.print()?;
            sql::copy(&mut connection, "copy_100", rows, 100).await?.print()
        }
        Command::Spawn { count } => spawn::spawn("spawn", "/bin/true", count)?.print(),
        Command::Redact { megabytes, secrets } => {
            redact::redact(megabytes, secrets)?.iter().try_for_each(Measurement::print)
        }
        Command::Program { shared, queue, words } => {
            let bench = direct::Direct::open(&shared).await?;
            drain::program(&shared, &bench, &queue, &words).await
        }
        Command::Report { lines, summary } => report::report(&lines, &summary),
    }
}

async fn fill(backlog: &Backlog, limited: bool) -> anyhow::Result<()> {
    let bench = direct::Direct::open(&backlog.shared).await?;
    let command =
        if limited { bench.served_command(NOOP, true).await? } else { bench.command(NOOP, &[]).await? };
    bench.submit(command, &backlog.queue, backlog.jobs).await?;
    Ok(())
}

fn place(shared: &SharedSettings, words: &[String]) -> anyhow::Result<depth::Place> {
    let [database, queue, name] = [0, 1, 2].map(|index| words[index].clone());
    let url = shared.database_url()?;
    let (server, _other) = url.expose_secret().rsplit_once('/').context("DATABASE_URL has no path")?;
    Ok(depth::Place { database: format!("{server}/{database}").into(), queue, name })
}

async fn latencies(api: &Api, queue: &str, samples: usize) -> anyhow::Result<()> {
    let (bench, address) = (direct::Direct::open(&api.shared).await?, api.address()?);
    let idle = latency::Idle { shared: &api.shared, bench: &bench, address: &address, queue, samples };
    let mut measured = idle.noop(bench.command(NOOP, &[]).await?).await?;
    measured.extend(idle.program(bench.command("/bin/date", &["+%s%N".to_owned()]).await?).await?);
    measured.iter().try_for_each(Measurement::print)
}
