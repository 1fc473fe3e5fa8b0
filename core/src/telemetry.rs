//! Logging of a process to standard error, as text or JSON.
//!
//! The types of secrets do not print them, and job output is not logged at all. Because an error of
//! a library may quote a URL, every line also loses the process's own secrets: the passwords of
//! Postgres and Redis, the master keys and the API key.

use std::{io, sync::OnceLock};

use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use crate::{secret::Redactor, settings::LogFormat};

/// The log directives are invalid.
#[derive(Debug, thiserror::Error)]
#[error("CALLBOARD_LOG is invalid. Write a level such as `info`, or directives such as `info,sqlx=warn`")]
pub struct BadDirectives(#[from] tracing_subscriber::filter::ParseError);

/// Knows the process's own secrets.
static REDACTOR: OnceLock<Redactor> = OnceLock::new();

/// Starts logging, without these secrets. Called once per process.
pub fn start(directives: &str, format: LogFormat, secrets: &[SecretString]) -> Result<(), BadDirectives> {
    let redactor = REDACTOR.get_or_init(|| Redactor::new(secrets));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(directives)?)
        .with_writer(move || Redacted { redactor, to: io::stderr() });
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The text without the process's own secrets, for what is printed before or beside the log.
pub fn redacted(text: &str) -> String {
    REDACTOR.get().map_or_else(|| text.to_owned(), |redactor| redactor.redact(text).into_owned())
}

/// Writes whole lines without secrets. Each write is an event, which the logger has formatted.
#[derive(Debug)]
struct Redacted<'a, W> {
    redactor: &'a Redactor,
    to: W,
}

impl<W: io::Write> io::Write for Redacted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write_all(self.redactor.redact(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_line_of_the_log_has_no_secret() {
        let secret = SecretString::from("p@ssword-of-postgres");
        let redactor = Redactor::new([&secret]);
        let mut log = Redacted { redactor: &redactor, to: Vec::new() };
        let line = "ERROR error=\"postgres://user:p%40ssword-of-postgres@host: no\"\n";
        log.write_all(line.as_bytes()).unwrap();
        assert_eq!(log.to, b"ERROR error=\"postgres://user:***@host: no\"\n");
    }
}
