//! Logging of a process to standard error, as text or JSON.
//!
//! Secrets never appear in it, because their types do not print them. Job output is not logged at
//! all.

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// The log directives are invalid.
#[derive(Debug, thiserror::Error)]
#[error("CALLBOARD_LOG is invalid. Write a level such as `info`, or directives such as `info,sqlx=warn`")]
pub struct BadDirectives(#[from] tracing_subscriber::filter::ParseError);

/// Starts logging. Called once per process.
pub fn start(directives: &str, format: LogFormat) -> Result<(), BadDirectives> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(directives)?)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
