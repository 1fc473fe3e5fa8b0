//! The command line of `callboard-api`: `serve` runs the server, `schema` prints the schema.
//!
//! The binary only calls [`main`], because code that a binary polls is compiled once more in it,
//! and the schema's futures take minutes.

use std::process::ExitCode;

use callboard::telemetry;
use clap::{Parser, Subcommand};

use crate::{graphql::roots, serve::serve, settings::Settings};

/// Callboard's API server.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, the playground and everything else on one address
    Serve(Box<Settings>),
    /// Print the GraphQL schema in SDL
    Schema,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the schema is the output of the command")]
fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Schema => {
            print!("{}", roots::sdl(&roots::schema().finish()));
            Ok(())
        }
        Command::Serve(settings) => {
            let shared = &settings.shared;
            let secrets: Vec<_> =
                shared.secrets().into_iter().chain(settings.api_key().ok().flatten()).collect();
            telemetry::start(&shared.log, shared.log_format, &secrets)?;
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&settings))
        }
    }
}

#[expect(clippy::print_stderr, reason = "logging may not have started")]
fn report(error: &anyhow::Error) {
    eprintln!("callboard-api: {}", telemetry::redacted(&format!("{error:#}")));
}
