//! How a process logs: to standard error, for people or as JSON. Called once by each `main`.
//!
//! Never logs a secret: they are of types that do not show themselves. Job output is not logged here at all.

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Directives that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "CALLBOARD_LOG is not understood: write a level such as `info`, or directives such as `info,sqlx=warn`"
)]
pub struct BadDirectives(#[from] tracing_subscriber::filter::ParseError);

/// Starts logging.
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
