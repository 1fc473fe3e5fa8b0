//! What a script writes to the log, line by line and without secrets.

use std::collections::BTreeMap;

use callboard::{
    secret::{CONTINUATION, RedactingLines, Redactor},
    store::jobs::logs::LogStream,
};

use super::{log_pump::Log, redaction};

/// Ends a line of a stream. No line waits for the next one, which may come much later.
pub(super) async fn end_line(lines: &mut RedactingLines) -> Vec<String> {
    let mut shown = redaction::feed(lines, b"\n".to_vec()).await;
    shown.extend(lines.waiting());
    shown
}

/// The texts that a script writes, one stream for each way to write them, because a secret may be
/// written in pieces.
pub(super) struct LogTexts {
    redactor: Redactor,
    by_source: BTreeMap<&'static str, RedactingLines>,
}

impl LogTexts {
    pub(super) const fn new(redactor: Redactor) -> Self {
        Self { redactor, by_source: BTreeMap::new() }
    }

    /// The stream of a source.
    pub(super) fn of(&mut self, source: &'static str) -> &mut RedactingLines {
        self.by_source.entry(source).or_insert_with(|| RedactingLines::new(self.redactor.clone()))
    }

    /// Shows a text of `log()`.
    pub(super) async fn log(&mut self, level: Option<&str>, text: String, log: &Log) {
        let (source, stream, mark) = match level {
            Some("error") => ("log.error", LogStream::Stderr, ""),
            // As Node does with console.warn.
            Some("warn") => ("log.warn", LogStream::Stderr, "[warn] "),
            Some("debug") => ("log.debug", LogStream::Stdout, "[debug] "),
            _ => ("log", LogStream::Stdout, ""),
        };
        show_text(self.of(source), text, (stream, mark), log).await;
    }

    /// Shows what the page has written to its console.
    pub(super) async fn console(&mut self, level: Option<String>, text: String, log: &Log) {
        let mark = format!("[console.{}] ", level.as_deref().unwrap_or("log"));
        show_text(self.of("console"), text, (LogStream::Stdout, &mark), log).await;
    }
}

/// Sends the lines of one text to the log, each with the mark. An empty text is an empty line.
async fn show_text(
    lines: &mut RedactingLines,
    mut text: String,
    (stream, mark): (LogStream, &str),
    log: &Log,
) {
    if text.ends_with('\n') {
        text.pop();
    }
    let mut shown = redaction::feed(lines, text.into_bytes()).await;
    shown.extend(end_line(lines).await);
    for (index, line) in shown.into_iter().enumerate() {
        let mark = if index > 0 && line.starts_with(CONTINUATION) { "" } else { mark };
        log.redacted_line(stream, format!("{mark}{line}")).await;
    }
}
