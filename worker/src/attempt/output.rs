//! Reads the output of a child: log lines from both pipes, and events if the child writes them.
//!
//! There is one task per pipe, which ends with the pipe. Everything is redacted here, before it is
//! stored anywhere.

use std::time::{Duration, Instant};

use callboard::{
    bounds::PROGRESS_CHARS_MAX,
    bounds::RESULT_BYTES_MAX,
    clock,
    compose::OutputProtocol,
    job::{Failure, FailureCode, Progress},
    secret::{RedactingLines, Redactor},
    store::jobs::logs::LogStream,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    sync::mpsc,
};

use super::{
    artifacts::AnnouncedFile,
    line_pipe,
    log_pump::Log,
    log_texts::{LogTexts, end_line},
    messages::{Line, Message, Unreadable},
    outcome::ReportedVerdict,
    redaction,
    service_limits::ReportedResponse,
};

/// Longest event, in bytes: the largest result, which is measured as it is sent, escapes included,
/// and the fields around it. Every other event is shorter.
const EVENT_BYTES_MAX: u64 = RESULT_BYTES_MAX as u64 + 64 * 1024;

/// The longest time that a runner takes from its script's end to its last event.
const CLOSING_MAX: Duration = Duration::from_mins(1);

/// What the child reported about its end.
#[derive(Debug, Default)]
pub(super) struct ReportedEnd {
    /// The first verdict that it reported by an event. It stands.
    pub(super) verdict: Option<ReportedVerdict>,
    /// The result of a program, if it exits with code 0.
    pub(super) result: Option<Value>,
    /// What the log says about the result of an attempt that succeeded.
    pub(super) note: Option<String>,
    /// The last line of standard error, redacted.
    pub(super) last_error_line: Option<String>,
}

impl ReportedEnd {
    fn report(&mut self, verdict: Result<Value, Failure>) {
        self.report_after(Duration::ZERO, verdict);
    }

    /// Takes a verdict that was reached `closing` ago, at most [`CLOSING_MAX`].
    fn report_after(&mut self, closing: Duration, verdict: Result<Value, Failure>) {
        let now = Instant::now();
        let at = now.checked_sub(closing.min(CLOSING_MAX)).unwrap_or(now);
        self.verdict.get_or_insert_with(|| ReportedVerdict { verdict, at });
    }
}

/// What the supervisor acts on while the child runs.
#[derive(Debug)]
pub(super) enum Notice {
    Progress(Progress),
    Artifact(AnnouncedFile),
    Limits(ReportedResponse),
}

/// Reads a pipe of events to its end. A line that is not an event goes to the log.
async fn read_events<R: AsyncRead + Unpin>(
    pipe: R,
    redactor: Redactor,
    log: Log,
    notices: mpsc::Sender<Notice>,
) -> ReportedEnd {
    let mut pipe = BufReader::with_capacity(64 * 1024, pipe);
    let (mut reported, mut line) = (ReportedEnd::default(), Vec::new());
    let mut texts = LogTexts::new(redactor.clone());
    loop {
        line.clear();
        let mut limited = (&mut pipe).take(EVENT_BYTES_MAX);
        let count = limited.read_until(b'\n', &mut line).await.unwrap_or(0);
        if count == 0 {
            return reported;
        }
        let is_whole = line.pop_if(|last| *last == b'\n').is_some();
        let is_cut = count as u64 == EVENT_BYTES_MAX && !is_whole;
        let (read, bytes) = read_line(line, is_cut, redactor.clone()).await;
        line = bytes;
        let is_text = matches!(read, Line::Text) && !line.is_empty();
        match read {
            Line::Event(Message::Log { level, text }) => texts.log(level.as_deref(), text, &log).await,
            Line::Event(Message::Console { level, text }) => texts.console(level, text, &log).await,
            Line::Event(message) => handle(message, &log, &notices, &mut reported).await,
            Line::Unreadable { is_result: true, why } => {
                reported.report(Err(Failure::of_unkept_result(&why.to_string())));
            }
            Line::Unreadable { is_result: false, why } => {
                log.system(format!("An event of the child could not be read: {why}.")).await;
            }
            Line::Text => {}
        }
        let mut text = is_text.then(|| texts.of("standard output"));
        if let Some(text) = &mut text {
            show(redaction::feed(text, line.clone()).await, &log).await;
        }
        if is_cut {
            read_rest(&mut pipe, &mut text, &log).await;
        }
        if let Some(text) = text {
            show(end_line(text).await, &log).await;
        }
    }
}

/// Reads a line, and removes the secrets of an event other than a log's. Also returns its bytes.
async fn read_line(line: Vec<u8>, is_cut: bool, redactor: Redactor) -> (Line, Vec<u8>) {
    let bytes = line.len();
    let read = move || {
        let read =
            if is_cut { Line::cut(&line, Unreadable::TooLong(EVENT_BYTES_MAX)) } else { Line::read(&line) };
        let read = match read {
            Line::Event(message) => Line::Event(message.redacted(&redactor)),
            Line::Text | Line::Unreadable { .. } => read,
        };
        (read, line)
    };
    redaction::aside(bytes, read).await
}

/// Reads up to the end of a line that is too long for an event, and shows it if it is text.
async fn read_rest<R: AsyncRead + Unpin>(
    pipe: &mut BufReader<R>,
    text: &mut Option<&mut RedactingLines>,
    log: &Log,
) {
    loop {
        let Ok(buffer) = pipe.fill_buf().await else { return };
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (is_over, count) = (buffer.is_empty() || end.is_some(), end.map_or(buffer.len(), |end| end + 1));
        if let Some(text) = text {
            let bytes = buffer[..end.unwrap_or(buffer.len())].to_vec();
            show(redaction::feed(text, bytes).await, log).await;
        }
        pipe.consume(count);
        if is_over {
            return;
        }
    }
}

async fn show(lines: Vec<String>, log: &Log) {
    for line in lines {
        log.redacted_line(LogStream::Stdout, line).await;
    }
}

/// Acts on an event without secrets.
async fn handle(message: Message, log: &Log, notices: &mpsc::Sender<Notice>, reported: &mut ReportedEnd) {
    let system = |text: String| log.system(text);
    match message {
        Message::PageError { text } => log.line(LogStream::Stderr, format!("[page] {text}")).await,
        Message::Warning { text } => system(format!("Warning: {text}")).await,
        Message::Hello { runner, version } => {
            system(format!("Runner {runner} {version} has started.")).await;
        }
        Message::Browser { version } => system(format!("Chromium {version} is ready.")).await,
        Message::Step { name, status, duration_ms, error } => {
            let took = duration_ms.map(|ms| format!(" after {ms:.0} ms")).unwrap_or_default();
            let why = error.map(|error| format!(": {error}")).unwrap_or_default();
            system(format!("Step \"{name}\" {status}{took}{why}")).await;
        }
        Message::Progress { fraction, message } => {
            let message = message.map(|text| text.chars().take(PROGRESS_CHARS_MAX).collect());
            let fraction =
                fraction.filter(|fraction| fraction.is_finite()).map(|fraction| fraction.clamp(0.0, 1.0));
            drop(notices.send(Notice::Progress(Progress { fraction, message })).await);
        }
        Message::Artifact { name, content_type, path } => {
            let file = AnnouncedFile { name, content_type, path: path.into() };
            drop(notices.send(Notice::Artifact(file)).await);
        }
        Message::Limits { service, status, headers, body } => {
            let headers = headers.into_iter().collect();
            let response = ReportedResponse { service, status, headers, body, at: clock::now() };
            drop(notices.send(Notice::Limits(response)).await);
        }
        Message::Result { value } => reported.report(within_bound(value)),
        Message::Failure { code, message, retryable, retry_after_ms, closing_ms } => {
            let failure = Failure::new(FailureCode::reported(&code), message, retryable);
            let failure = failure.after(retry_after_ms.map(Duration::from_millis));
            reported.report_after(Duration::from_millis(closing_ms), Err(failure));
        }
        // `LogTexts` shows the texts.
        Message::Log { .. } | Message::Console { .. } | Message::Unknown => {}
    }
}

/// The result, unless it is larger than one may be. The children keep to the bound, but a script
/// can write to the same pipe.
fn within_bound(value: Value) -> Result<Value, Failure> {
    let bytes = value.to_string().len();
    if bytes <= RESULT_BYTES_MAX {
        return Ok(value);
    }
    Err(Failure::of_unkept_result(&format!("it has {bytes} bytes of JSON, more than {RESULT_BYTES_MAX}")))
}

/// Reads standard output in the child's protocol.
pub(super) async fn read_stdout<R: AsyncRead + Unpin>(
    pipe: R,
    protocol: OutputProtocol,
    redactor: Redactor,
    log: Log,
    notices: mpsc::Sender<Notice>,
) -> ReportedEnd {
    match protocol {
        OutputProtocol::Lines => line_pipe::read_stdout(pipe, redactor, log).await,
        OutputProtocol::Events => read_events(pipe, redactor, log, notices).await,
    }
}

#[cfg(test)]
mod tests {
    use callboard::secret::{CONTINUATION, LOG_LINE_BYTES_MAX};
    use serde_json::json;

    use super::*;

    /// What a child reports with this output, and the lines of the log.
    async fn read(output: &str) -> (ReportedEnd, Vec<String>) {
        read_with(Redactor::new([]), output).await
    }

    async fn read_with(redactor: Redactor, output: &str) -> (ReportedEnd, Vec<String>) {
        let (log, mut lines) = Log::channel();
        let (notices, _notices) = mpsc::channel(1);
        let reading = async move { read_events(output.as_bytes(), redactor, log, notices).await };
        let gathering = async {
            let mut found = Vec::new();
            while let Some(line) = lines.recv().await {
                found.push(line.text);
            }
            found
        };
        tokio::join!(reading, gathering)
    }

    fn result_event(bytes: usize) -> String {
        let text = "x".repeat(bytes - 2);
        format!("{}\n", json!({ "v": 1, "type": "result", "value": text }))
    }

    #[tokio::test]
    async fn a_result_beyond_its_bound_is_a_failure_that_is_not_retried() {
        for (bytes, is_kept) in [
            (RESULT_BYTES_MAX - 1, true),
            (RESULT_BYTES_MAX, true),
            (RESULT_BYTES_MAX + 1, false),
            (6_000_000, false),
        ] {
            let (reported, _) = read(&result_event(bytes)).await;
            match reported.verdict.unwrap().verdict {
                Ok(value) => assert!(is_kept && value.to_string().len() == bytes, "{bytes}"),
                Err(failure) => {
                    assert!(!is_kept, "{bytes}");
                    assert_eq!((failure.code, failure.is_retryable), (FailureCode::RESULT_NOT_KEPT, false));
                }
            }
        }
        // Escapes count as they are sent.
        let escaped =
            json!({ "v": 1, "type": "result", "value": "\u{1}".repeat((RESULT_BYTES_MAX - 2) / 6) });
        assert!(read(&format!("{escaped}\n")).await.0.verdict.unwrap().verdict.is_ok());
    }

    #[tokio::test]
    async fn a_failure_is_as_old_as_its_runner_says() {
        for (closing_ms, age) in [(0, 0), (9000, 9), (u64::MAX, 60)] {
            let event = json!({ "v": 1, "type": "failure", "code": "X", "message": "", "retryable": true,
                "closingMs": closing_ms });
            let before = Instant::now();
            let (reported, _) = read(&format!("{event}\n")).await;
            let ended = reported.verdict.unwrap().at + Duration::from_secs(age);
            assert!(ended >= before && ended <= Instant::now(), "{closing_ms}");
        }
    }

    #[tokio::test]
    async fn a_secret_that_a_script_writes_in_several_lines_is_masked_in_each() {
        let secret = secrecy::SecretString::from("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY");
        let redactor = Redactor::new([&secret]);
        let pieces = ["begin", "wJalrXUtnFEMI", "K7MDENGbPxRfi", "CYEXAMPLEKEY", "end"];
        let event = |kind: &str, text: &str| json!({ "v": 1, "type": kind, "text": text }).to_string();
        let of = |kind: &str| pieces.map(|piece| event(kind, piece)).join("\n");
        for (output, mark) in [
            (pieces.join("\n"), ""),
            (pieces.join(&format!("\n{}\n", event("hello", ""))).replace("hello", "unknown"), ""),
            (of("log"), ""),
            (of("console"), "[console.log] "),
            (event("console", &pieces.join("\n")), "[console.log] "),
        ] {
            let (_, lines) = read_with(redactor.clone(), &format!("{output}\n")).await;
            let expected = ["begin", "***", "***", "***", "end"].map(|line| format!("{mark}{line}"));
            assert_eq!(lines, expected, "{output}");
        }
    }

    #[tokio::test]
    async fn the_texts_of_events_are_split_like_other_lines() {
        let long = "é".repeat(500_000);
        for event in [
            json!({ "v": 1, "type": "log", "level": "warn", "text": long }),
            json!({ "v": 1, "type": "console", "text": long }),
            json!({ "v": 1, "type": "pageerror", "text": long }),
            json!({ "v": 1, "type": "warning", "text": long }),
            json!({ "v": 1, "type": "hello", "runner": long, "version": "1" }),
            json!({ "v": 1, "type": "step", "name": long, "status": "failed" }),
        ] {
            let (_, lines) = read(&format!("{event}\n")).await;
            assert!(lines.iter().all(|line| line.len() <= LOG_LINE_BYTES_MAX), "{}", event["type"]);
            assert!(lines[1..].iter().all(|line| line.starts_with(CONTINUATION)));
            let shown: usize = lines.iter().map(|line| line.matches('é').count()).sum();
            assert_eq!(shown, 500_000, "{}", event["type"]);
        }
    }

    #[tokio::test]
    async fn text_longer_than_an_event_is_shown_to_its_end() {
        let long = "x".repeat(3_000_000);
        let (reported, lines) = read(&format!("{long}end\n{}next", result_event(10))).await;
        assert!(reported.verdict.is_some());
        let shown = lines.join("\n").replace("\n…", "");
        assert_eq!(shown, format!("{long}end\nnext"));
        // Of an event that is too long nothing is shown, because it may hold a part of a secret.
        let event = json!({ "v": 1, "type": "log", "text": long });
        let (_, lines) = read(&format!("{event}\nnext\n")).await;
        assert_eq!(lines.len(), 2, "{lines:.100?}");
        assert!(lines[0].contains("its line is longer than") && lines[1] == "next");
    }
}
