//! Reads a pipe of lines: the standard output of a program, and the standard error of every child.
//!
//! A line goes to the log when it is complete. Text without a line end, such as a prompt or a
//! progress bar, goes there when nothing follows for a moment.

use std::time::Duration;

use callboard::{
    bounds::{RESULT_BYTES_MAX, RESULT_DEPTH_MAX},
    secret::{RedactingLines, Redactor},
    store::jobs::logs::LogStream,
    text::json_depth,
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, sleep_until},
};

use super::{
    log_pump::Log,
    output::ReportedEnd,
    program_result::{OutputResult, Tail},
    redaction,
};

/// How long text without a line end waits for the rest of its line.
const UNFINISHED_AFTER: Duration = Duration::from_secs(1);
/// How long it waits while more and more text comes.
const UNFINISHED_AT_LATEST: Duration = Duration::from_secs(10);

/// Lines of a pipe on their way to the log.
struct Lines {
    stream: LogStream,
    redactor: RedactingLines,
    log: Log,
    /// The last line that is not empty.
    last: Option<String>,
    /// When the text without a line end began, and when its newest part came.
    unfinished: Option<(Instant, Instant)>,
}

impl Lines {
    fn new(stream: LogStream, redactor: Redactor, log: Log) -> Self {
        Self { stream, redactor: RedactingLines::new(redactor), log, last: None, unfinished: None }
    }

    async fn feed(&mut self, bytes: &[u8]) {
        let lines = redaction::feed(&mut self.redactor, bytes.to_vec()).await;
        let now = Instant::now();
        let began = self.unfinished.filter(|_| lines.is_empty()).map_or(now, |(began, _)| began);
        self.unfinished = self.redactor.has_unfinished().then_some((began, now));
        self.show(lines).await;
    }

    /// When text without a line end is shown, if nothing more comes.
    fn due(&self) -> Option<Instant> {
        let (began, newest) = self.unfinished?;
        Some((newest + UNFINISHED_AFTER).min(began + UNFINISHED_AT_LATEST))
    }

    async fn show_unfinished(&mut self) {
        self.unfinished = None;
        let lines = redaction::unfinished(&mut self.redactor).await;
        self.show(lines).await;
    }

    async fn show(&mut self, lines: Vec<String>) {
        show(lines, self.stream, &self.log, &mut self.last).await;
    }

    /// Ends the stream. Returns its last line that is not empty.
    async fn finish(self) -> Option<String> {
        let Self { stream, redactor, log, mut last, unfinished: _ } = self;
        show(redaction::finish(redactor).await, stream, &log, &mut last).await;
        last
    }
}

/// Sends lines to the log, and keeps the last one that is not empty.
async fn show(lines: Vec<String>, stream: LogStream, log: &Log, last: &mut Option<String>) {
    for line in lines {
        if !line.trim().is_empty() {
            *last = Some(line.clone());
        }
        log.redacted_line(stream, line).await;
    }
}

/// Reads the pipe to its end, and hands everything that is read to `seen` too. Returns the last
/// line that is not empty.
async fn read<R: AsyncRead + Unpin>(
    mut pipe: R,
    mut lines: Lines,
    mut seen: impl FnMut(&[u8]),
) -> Option<String> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let due = lines.due();
        let unfinished = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = pipe.read(&mut buffer) => {
                // A broken pipe has ended. The exit status says why.
                let count = read.unwrap_or(0);
                if count == 0 {
                    return lines.finish().await;
                }
                seen(&buffer[..count]);
                lines.feed(&buffer[..count]).await;
            }
            () = unfinished => lines.show_unfinished().await,
        }
    }
}

/// Reads standard error. Returns its last line that is not empty.
pub(super) async fn read_stderr<R: AsyncRead + Unpin>(
    pipe: R,
    redactor: Redactor,
    log: Log,
) -> Option<String> {
    read(pipe, Lines::new(LogStream::Stderr, redactor, log), |_| {}).await
}

/// Reads the standard output of a program.
pub(super) async fn read_stdout<R: AsyncRead + Unpin>(pipe: R, redactor: Redactor, log: Log) -> ReportedEnd {
    let mut tail = Tail::default();
    let lines = Lines::new(LogStream::Stdout, redactor.clone(), log);
    read(pipe, lines, |bytes| tail.push(bytes)).await;
    redaction::aside(tail.len(), move || end_of(tail.result(&redactor), &redactor)).await
}

/// What a program's output reports.
fn end_of(found: OutputResult, redactor: &Redactor) -> ReportedEnd {
    let note = |text: String| ReportedEnd { note: Some(text), ..ReportedEnd::default() };
    match found {
        OutputResult::Nothing => ReportedEnd::default(),
        OutputResult::NotJson(why) => note(format!(
            "The job has no result: the output ends with what looks like JSON, but is not ({why})."
        )),
        OutputResult::TooLong => note(too_long()),
        OutputResult::TooDeep(text) => kept_as_text(redactor.redact(&text).into_owned()),
        OutputResult::Result { value, rounded } => {
            let value = redactor.redact_value(value);
            let text = value.to_string();
            if text.len() > RESULT_BYTES_MAX {
                return note(too_long());
            }
            if json_depth(&text) > RESULT_DEPTH_MAX {
                return kept_as_text(text);
            }
            let note = rounded.map(|number| {
                format!(
                    "The result has the number {}, which a JSON reader rounds. Write it as text to keep all of \
                     its digits.",
                    redactor.redact(&number)
                )
            });
            ReportedEnd { result: Some(value), note, ..ReportedEnd::default() }
        }
    }
}

/// The text of a result that is nested too deep, if it is short enough as a string of JSON.
fn kept_as_text(text: String) -> ReportedEnd {
    let result = Value::String(text);
    if result.to_string().len() > RESULT_BYTES_MAX {
        return ReportedEnd { note: Some(too_long()), ..ReportedEnd::default() };
    }
    let note = format!("The result is nested deeper than {RESULT_DEPTH_MAX} levels and is kept as text.");
    ReportedEnd { result: Some(result), note: Some(note), ..ReportedEnd::default() }
}

fn too_long() -> String {
    format!(
        "The job has no result: the JSON at the end of the output is longer than {RESULT_BYTES_MAX} bytes. \
         Leave it as a file in $CALLBOARD_ARTIFACTS instead."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_result_are_masked_after_its_json_was_read() {
        let secret = secrecy::SecretString::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCY");
        let mut tail = Tail::default();
        tail.push(br#"{"key":"wJalrXUtnFEMI\/K7MDENG\/bPxRfiC\u0059","wJalrXUtnFEMI\/K7MDENG%2FbPxRfiCY":["d0phbHJYVXRuRkVNSS9LN01ERU5H\n  L2JQeFJmaUNZ"]}"#);
        let redactor = Redactor::new([&secret]);
        let end = end_of(tail.result(&redactor), &redactor);
        assert_eq!(end.result, Some(serde_json::json!({ "key": "***", "***": ["***"] })));
    }

    #[test]
    fn what_is_kept_as_text_is_within_the_bound_too() {
        let deep = |text: usize| format!("{}\"{}\"{}", "[".repeat(130), "x".repeat(text), "]".repeat(130));
        // As a string of JSON the two quotes inside take two bytes each.
        let most = RESULT_BYTES_MAX - 2 - 260 - 4;
        for (text, is_kept) in [(10, true), (most, true), (most + 1, false), (2 * most, false)] {
            for found in [OutputResult::TooDeep(deep(text)), {
                let mut tail = Tail::default();
                tail.push(deep(text).as_bytes());
                tail.result(&Redactor::new([]))
            }] {
                let end = end_of(found, &Redactor::new([]));
                assert_eq!(end.result.is_some(), is_kept, "{text}");
                assert!(end.note.unwrap().contains(if is_kept { "kept as text" } else { "is longer than" }));
            }
        }
    }
}
