//! `callboard-bench`: what we claim about speed, measured on this machine in one run.
//!
//! Each subcommand takes one measurement of running processes, found by the same environment variables as theirs, and
//! prints it as a line of JSON; `report` makes the table. `bench/run` starts everything and calls them in turn. How each
//! number is taken is told in `docs/benchmarks.md`. Never part of a test or a deployment.

mod depth;
mod direct;
mod drain;
mod enqueue;
mod http;
mod latency;
mod measurement;
mod park;
mod plain;
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
        /// With a service (W8)
        #[arg(long)]
        served: bool,
        /// With limits that never bind, on command and service (W8)
        #[arg(long, requires = "served")]
        limited: bool,
    },
    /// Time how fast the running workers end a queue's backlog (W3, W6)
    Drain {
        #[command(flatten)]
        shared: SharedSettings,
        #[arg(long)]
        queue: String,
        /// What the measurement is called
        #[arg(long)]
        name: String,
    },
    /// Time single jobs on an idle system (W4)
    Latency {
        #[command(flatten)]
        api: Api,
        /// A queue that the running workers serve and that is empty
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
        /// With limits that never bind
        #[arg(long)]
        limited: bool,
    },
    /// Measure claims in several databases in turns (W9)
    Claims {
        #[command(flatten)]
        shared: SharedSettings,
        /// DATABASE QUEUE NAME: a database of the same server, a queue that nobody serves, what the measurements' names end with; any number of times
        #[arg(required = true, num_args = 3..)]
        places: Vec<String>,
        /// How often each is measured
        #[arg(long, default_value_t = 1000)]
        samples: usize,
    },
    /// Measure lists and counts (W9)
    Lists {
        #[command(flatten)]
        api: Api,
        /// How often each is measured
        #[arg(long, default_value_t = 500)]
        samples: usize,
    },
    /// Park jobs at a gate that lets nobody pass (W9)
    Park(Backlog),
    /// The machine: claim and settle a queue's backlog in full batches on one connection
    Plain {
        #[command(flatten)]
        shared: SharedSettings,
        #[arg(long)]
        queue: String,
    },
    /// The machine: COPY into a table like that of the jobs
    Copy {
        #[command(flatten)]
        shared: SharedSettings,
        /// Rows in all
        #[arg(long)]
        rows: usize,
    },
    /// The machine: start and await processes
    Spawn {
        /// How many
        #[arg(long, default_value_t = 4000)]
        count: usize,
    },
    /// Run one program through the queue and show what became of it
    Program {
        #[command(flatten)]
        shared: SharedSettings,
        /// A queue that is served
        #[arg(long, default_value = "default")]
        queue: String,
        /// Program and arguments
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Make the table of a file of measurements
    Report {
        /// Lines that the other subcommands printed
        lines: PathBuf,
        /// Where to write the summary
        summary: PathBuf,
    },
}

/// Jobs for a queue that nobody serves.
#[derive(Debug, Args)]
struct Backlog {
    #[command(flatten)]
    shared: SharedSettings,
    #[arg(long)]
    queue: String,
    #[arg(long)]
    jobs: usize,
}

/// A running API and what it stands on.
#[derive(Debug, Args)]
struct Api {
    #[command(flatten)]
    shared: SharedSettings,
    /// Host and port of the API
    #[arg(long = "api", env = "CALLBOARD_LISTEN")]
    host: String,
    /// File that holds an API key
    #[arg(long, env = "CALLBOARD_API_KEY_FILE")]
    key_file: PathBuf,
}

impl Api {
    fn address(&self) -> anyhow::Result<http::Address> {
        let key = std::fs::read_to_string(&self.key_file)?.trim().to_owned();
        Ok(http::Address { host: self.host.clone(), key })
    }
}

/// One thread: the machine belongs to what is measured.
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
            anyhow::ensure!(places.len().is_multiple_of(3), "three words for each place");
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
