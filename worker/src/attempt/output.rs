//! Reads the output of a child: log lines from both pipes, and events if the child writes them.
//!
//! There is one task per pipe, which ends with the pipe. Everything is redacted here, before it is
//! stored anywhere.

use std::time::{Duration, Instant};

use callboard::{
    bounds::PROGRESS_CHARS_MAX,
    clock,
    compose::OutputProtocol,
    job::{Failure, FailureCode, Progress, attempt::RESULT_BYTES_MAX},
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
    log_pump::Log,
    messages::{Line, Message, Unreadable},
    outcome::Told,
    program_output,
    service_limits::ReportedResponse,
};

/// Longest event, in bytes: room for the largest result with every character escaped as `\u0000`.
const EVENT_BYTES_MAX: u64 = 6 * RESULT_BYTES_MAX as u64 + 64 * 1024;

/// What the child reported about its end.
#[derive(Debug, Default)]
pub(super) struct ReportedEnd {
    /// The first verdict that it told by an event. It stands.
    pub(super) told: Option<Told>,
    /// The result of a program, if it exits with code 0.
    pub(super) result: Option<Value>,
    /// What the log says about the result of an attempt that succeeded.
    pub(super) note: Option<String>,
    /// The last line of standard error, redacted.
    pub(super) last_error_line: Option<String>,
}

impl ReportedEnd {
    fn tell(&mut self, verdict: Result<Value, Failure>) {
        self.told.get_or_insert_with(|| Told { verdict, at: Instant::now() });
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
    loop {
        line.clear();
        let mut limited = (&mut pipe).take(EVENT_BYTES_MAX);
        let count = limited.read_until(b'\n', &mut line).await.unwrap_or(0);
        if count == 0 {
            return reported;
        }
        let is_whole = line.pop_if(|last| *last == b'\n').is_some();
        let read = if count as u64 == EVENT_BYTES_MAX && !is_whole {
            skip_line(&mut pipe).await;
            Line::cut(&line, Unreadable::TooLong(EVENT_BYTES_MAX))
        } else {
            Line::read(&line)
        };
        match read {
            Line::Event(message) => handle(message, &redactor, &log, &notices, &mut reported).await,
            Line::Unreadable { is_result: true, why } => {
                reported.tell(Err(Failure::of_unkept_result(&why.to_string())));
            }
            Line::Unreadable { is_result: false, why } => {
                log.system(format!("An event of the child could not be read: {why}.")).await;
            }
            Line::Text => {
                let mut lines = RedactingLines::new(redactor.clone());
                let mut found = lines.feed(&line);
                found.extend(lines.finish());
                for text in found {
                    log.line(LogStream::Stdout, text).await;
                }
            }
        }
    }
}

/// Reads up to the end of a line that is too long, without keeping it.
async fn skip_line<R: AsyncRead + Unpin>(pipe: &mut BufReader<R>) {
    loop {
        let Ok(buffer) = pipe.fill_buf().await else { return };
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (is_over, count) = (buffer.is_empty() || end.is_some(), end.map_or(buffer.len(), |end| end + 1));
        pipe.consume(count);
        if is_over {
            return;
        }
    }
}

async fn handle(
    message: Message,
    redactor: &Redactor,
    log: &Log,
    notices: &mpsc::Sender<Notice>,
    reported: &mut ReportedEnd,
) {
    let redact = |text: &str| redactor.redact(text).into_owned();
    let system = |text: String| log.system(text);
    match message {
        Message::Log { level, text } => {
            let (stream, mark) = match level.as_deref() {
                Some("error") => (LogStream::Stderr, ""),
                // As Node does with console.warn.
                Some("warn") => (LogStream::Stderr, "[warn] "),
                Some("debug") => (LogStream::Stdout, "[debug] "),
                _ => (LogStream::Stdout, ""),
            };
            for line in redact(&text).lines() {
                log.line(stream, format!("{mark}{line}")).await;
            }
        }
        Message::Console { level, text } => {
            let level = level.unwrap_or_else(|| "log".into());
            log.line(LogStream::Stdout, redact(&format!("[console.{level}] {text}"))).await;
        }
        Message::PageError { text } => log.line(LogStream::Stderr, redact(&format!("[page] {text}"))).await,
        Message::Warning { text } => system(redact(&format!("Warning: {text}"))).await,
        Message::Hello { runner, version } => system(format!("Runner {runner} {version} has started.")).await,
        Message::Browser { version } => system(format!("Chromium {version} is ready.")).await,
        Message::Step { name, status, duration_ms, error } => {
            let took = duration_ms.map(|ms| format!(" after {ms:.0} ms")).unwrap_or_default();
            let why = error.map(|error| format!(": {error}")).unwrap_or_default();
            system(redact(&format!("Step \"{name}\" {status}{took}{why}"))).await;
        }
        Message::Progress { fraction, message } => {
            let message = message.map(|text| redact(&text).chars().take(PROGRESS_CHARS_MAX).collect());
            let fraction =
                fraction.filter(|fraction| fraction.is_finite()).map(|fraction| fraction.clamp(0.0, 1.0));
            drop(notices.send(Notice::Progress(Progress { fraction, message })).await);
        }
        Message::Artifact { name, content_type, path } => {
            let file = AnnouncedFile { name, content_type, path: path.into() };
            drop(notices.send(Notice::Artifact(file)).await);
        }
        Message::Limits { service, status, headers, body } => {
            let (headers, body) = (headers.into_iter().collect(), body.as_deref().map(redact));
            let response = ReportedResponse { service, status, headers, body, at: clock::now() };
            drop(notices.send(Notice::Limits(response)).await);
        }
        Message::Result { value } => reported.tell(Ok(redactor.redact_value(value))),
        Message::Failure { code, message, retryable, retry_after_ms } => {
            let failure = Failure::new(FailureCode::reported(&code), redact(&message), retryable);
            reported.tell(Err(failure.after(retry_after_ms.map(Duration::from_millis))));
        }
        Message::Unknown => {}
    }
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
        OutputProtocol::Lines => program_output::read_stdout(pipe, redactor, log).await,
        OutputProtocol::Events => read_events(pipe, redactor, log, notices).await,
    }
}
