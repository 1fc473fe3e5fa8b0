//! The command line of `callboard-api`: `serve` runs the server, `keys` manages keys, `schema`
//! prints the schema.
//!
//! The binary only calls [`main`], because code that a binary polls is compiled once more in it,
//! and the schema's futures take minutes.

use std::process::ExitCode;

use callboard::{evaluator, hardening, settings::LogSettings, telemetry};
use clap::{CommandFactory as _, Parser, Subcommand};
use secrecy::SecretString;

use crate::{graphql::roots, keys, serve::serve, settings::Settings};

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
    /// Manage API keys and the master key
    #[command(subcommand)]
    Keys(keys::Command),
    /// Print the GraphQL schema in SDL
    Schema,
}

/// Runs the command line, or a child of the API (`evaluate`).
pub fn main() -> ExitCode {
    // A child of the API, which must start fast.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == evaluator::ARGUMENT) {
        return evaluator::main();
    }
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
            let api_key = settings.api_key().ok().flatten();
            let secrets: Vec<_> = settings.shared.secrets().into_iter().chain(api_key).collect();
            begin(&settings.shared.log, &secrets)?;
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&settings))
        }
        Command::Keys(command) => {
            begin(command.log(), &command.secrets())?;
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(keys::run(command))
        }
    }
}

/// Starts the log, and keeps the secrets of this process to itself. Comes before there are threads.
fn begin(log: &LogSettings, secrets: &[SecretString]) -> anyhow::Result<()> {
    telemetry::start(&log.level, log.format, secrets)?;
    hardening::protect(&Arguments::command())?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "logging may not have started")]
fn report(error: &anyhow::Error) {
    eprintln!("callboard-api: {}", telemetry::redacted(&format!("{error:#}")));
}
