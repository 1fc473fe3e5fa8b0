//! How an attempt ended: its outcome, its record, and the last line of its log. Pure.

use std::{sync::Arc, time::Instant};

use callboard::{
    compose::{ComposedCommand, OutputProtocol},
    ids::ProxyId,
    job::{Failure, FailureCode, Outcome},
    secret::Redactor,
    store::jobs::attempts::ExitRecord,
};

use super::output::ReportedEnd;
use crate::{
    process::{Ending, Exit, ExitStatus},
    running_attempts::StopReason,
};

/// Why a drained worker releases an attempt.
const DRAINED: &str = "The worker was drained before the attempt ended.";

/// How an attempt ended, with what its record keeps.
#[derive(Debug)]
pub(super) struct AttemptResult {
    pub(super) outcome: Outcome,
    pub(super) composed: Option<Arc<ComposedCommand>>,
    pub(super) proxy: Option<ProxyId>,
    pub(super) exit: ExitRecord,
}

impl AttemptResult {
    pub(super) fn without_process(outcome: Outcome) -> Self {
        Self { outcome, composed: None, proxy: None, exit: ExitRecord::default() }
    }

    /// The same without secrets in what it says. The job's result was redacted when it was read,
    /// before it was measured.
    pub(super) fn redacted(mut self, redactor: &Redactor) -> Self {
        let redact = |text: &mut String| *text = redactor.redact(text).into_owned();
        match &mut self.outcome {
            Outcome::Failed(failure) => redact(&mut failure.message),
            Outcome::TimedOut { said: Some(said) } => redact(said),
            Outcome::Released { reason } | Outcome::Throttled { reason } => redact(reason),
            Outcome::Succeeded { .. }
            | Outcome::TimedOut { said: None }
            | Outcome::Cancelled
            | Outcome::Lost => {}
        }
        self
    }
}

/// What stopped the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoppedBy {
    /// The attempt's timeout.
    Timeout,
    /// The lease, a cancel or a drain.
    Outside(StopReason),
}

/// A process was stopped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// The last reason.
    pub(super) by: StoppedBy,
    /// When it was first asked to end.
    pub(super) at: Instant,
}

/// How the child says that its job ended.
#[derive(Debug)]
pub(super) struct ReportedVerdict {
    /// The result, or why the job failed.
    pub(super) verdict: Result<serde_json::Value, Failure>,
    /// When the job ended, before its browser was closed.
    pub(super) at: Instant,
}

impl ReportedVerdict {
    /// The outcome, which stands whatever ended the attempt afterwards: what has happened is not
    /// done again. A failure that was reported after the process had to end is given back, because
    /// it may be of that end, unless it says that the work was done.
    fn outcome(self, stop: Option<Stop>) -> Result<Outcome, Failure> {
        match self.verdict {
            Ok(result) => Ok(Outcome::Succeeded { result }),
            Err(failure) if failure.code == FailureCode::RESULT_NOT_KEPT => Ok(Outcome::Failed(failure)),
            Err(failure) if stop.is_none_or(|stop| self.at < stop.at) => Ok(Outcome::Failed(failure)),
            Err(failure) => Err(failure),
        }
    }
}

/// Most characters of the last line of standard error in a failure's message.
const ERROR_LINE_CHARS_MAX: usize = 1000;

/// The outcome of a process that has ended. What it reported, and how it exited before it was
/// stopped, stands, whatever happened afterwards.
pub(super) fn of_process(
    exit: &Exit,
    stop: Option<Stop>,
    reported: ReportedEnd,
    protocol: OutputProtocol,
) -> Outcome {
    let of_end = match reported.verdict.map(|reported| reported.outcome(stop)) {
        Some(Ok(outcome)) => return outcome,
        Some(Err(failure)) => Some(failure),
        None => None,
    };
    let stopped = stop.map(|stop| stop.by);
    let status = match exit.ending {
        Ending::Exited(status) if stopped != Some(StoppedBy::Outside(StopReason::Lost)) => status,
        Ending::Deadline => {
            return Outcome::Released { reason: "The worker's lease was not renewed in time.".into() };
        }
        Ending::Exited(_) | Ending::ShimLost | Ending::Orphaned => return Outcome::Lost,
        Ending::Terminated(_) | Ending::Killed => {
            return match stopped {
                Some(StoppedBy::Timeout) => {
                    // The runner says what its script waited for.
                    let said = of_end.filter(|failure| failure.code == FailureCode::TERMINATED);
                    Outcome::TimedOut { said: said.map(|failure| failure.message) }
                }
                Some(StoppedBy::Outside(StopReason::Cancelled)) => Outcome::Cancelled,
                // A program that traps the signal may exit with 0 before its work is done.
                Some(StoppedBy::Outside(StopReason::Drained)) => Outcome::Released { reason: DRAINED.into() },
                Some(StoppedBy::Outside(StopReason::Lost)) | None => Outcome::Lost,
            };
        }
    };
    if let Some(failure) = of_end {
        return Outcome::Failed(failure);
    }
    let failed = |code, message: String| {
        let message = with_error_line(message, reported.last_error_line.as_deref());
        Outcome::Failed(Failure::new(code, message, true))
    };
    match status {
        ExitStatus::Code(0) if protocol == OutputProtocol::Lines => {
            Outcome::Succeeded { result: reported.result.unwrap_or(serde_json::Value::Null) }
        }
        ExitStatus::Code(0) => failed(
            FailureCode::NO_RESULT,
            "The process exited with code 0 before it reported a result.".to_owned(),
        ),
        ExitStatus::Code(code) => {
            failed(FailureCode::EXIT_CODE, format!("The program exited with code {code}."))
        }
        ExitStatus::Signal(signal) => {
            failed(FailureCode::SIGNAL, format!("The program was ended by {}.", signal_name(signal)))
        }
    }
}

/// Adds the last line of standard error, which mostly says why a program failed.
fn with_error_line(message: String, line: Option<&str>) -> String {
    let Some(line) = line.map(str::trim) else { return message };
    let cut: String = line.chars().take(ERROR_LINE_CHARS_MAX).collect();
    let more = if cut.len() < line.len() { "…" } else { "" };
    format!("{message} Its last line on standard error: {cut}{more}")
}

/// The last line of the log.
pub(super) fn describe(exit: &Exit, outcome: &Outcome) -> String {
    let how = match (exit.code(), exit.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => signal_name(signal),
        (None, None) => "exit status unknown".to_owned(),
    };
    let leftovers = match exit.leftovers {
        0 => String::new(),
        count => format!(" Leftover processes killed: {count}."),
    };
    format!(
        "The attempt ended: {} ({how}).{}{leftovers}",
        outcome.as_str().replace('_', " "),
        reason(outcome)
    )
}

/// Code and first line of a failure that the log does not show otherwise, as it does the last lines
/// of a program.
fn reason(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure)
            if ![FailureCode::EXIT_CODE, FailureCode::SIGNAL].contains(&failure.code) =>
        {
            format!(" {}: {}", failure.code.as_str(), failure.message.lines().next().unwrap_or_default())
        }
        Outcome::Failed(_)
        | Outcome::Succeeded { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Cancelled
        | Outcome::Lost
        | Outcome::Released { .. }
        | Outcome::Throttled { .. } => String::new(),
    }
}

/// What the attempt's row keeps of the exit.
pub(super) fn record(exit: &Exit) -> ExitRecord {
    ExitRecord {
        exit_code: exit.code(),
        signal: exit.signal().map(signal_name),
        peak_memory_bytes: Some(exit.peak_memory_bytes as i64).filter(|bytes| *bytes > 0),
        cpu_ms: Some(exit.cpu_time.as_millis() as i64),
    }
}

/// The names of the signals 1 to 31.
const SIGNAL_NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

fn signal_name(signal: i32) -> String {
    let first_real_time = libc::SIGRTMIN();
    if signal >= first_real_time {
        return match signal - first_real_time {
            0 => "SIGRTMIN".to_owned(),
            above => format!("SIGRTMIN+{above}"),
        };
    }
    let name = usize::try_from(signal - 1).ok().and_then(|index| SIGNAL_NAMES.get(index));
    name.map_or_else(|| format!("signal {signal}"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_reported_after_the_timeout_stands_if_the_work_was_done() {
        let outcome = |failure: Failure| {
            let at = Instant::now();
            let exit = Exit {
                ending: Ending::Terminated(ExitStatus::Code(1)),
                leftovers: 0,
                peak_memory_bytes: 0,
                cpu_time: Duration::ZERO,
                residue: None,
            };
            let stop = Stop { by: StoppedBy::Timeout, at };
            let verdict = ReportedVerdict { verdict: Err(failure), at: at + Duration::from_millis(1) };
            let reported = ReportedEnd { verdict: Some(verdict), ..ReportedEnd::default() };
            of_process(&exit, Some(stop), reported, OutputProtocol::Events)
        };
        let done = Failure::of_unkept_result("its end is missing");
        assert_eq!(outcome(done.clone()), Outcome::Failed(done));
        let of_the_end = Failure::new(FailureCode::TERMINATED, "no response yet", true);
        assert_eq!(outcome(of_the_end), Outcome::TimedOut { said: Some("no response yet".into()) });
        let other = Failure::new(FailureCode::reported("SCRIPT_ERROR"), "page closed", true);
        assert_eq!(outcome(other), Outcome::TimedOut { said: None });
    }

    #[test]
    fn the_last_line_of_the_log_says_why_an_attempt_failed() {
        let failed = |code, message: &str| reason(&Outcome::Failed(Failure::new(code, message, true)));
        let status = FailureCode::reported("HTTP_STATUS");
        assert_eq!(failed(status, "Status 404: no\nHeaders: x"), " HTTP_STATUS: Status 404: no");
        assert_eq!(failed(FailureCode::EXIT_CODE, "The program exited with code 1."), "");
        assert_eq!(reason(&Outcome::Cancelled), "");
    }

    #[test]
    fn every_signal_has_its_name() {
        for (signal, name) in [
            (libc::SIGHUP, "SIGHUP"),
            (libc::SIGUSR1, "SIGUSR1"),
            (libc::SIGUSR2, "SIGUSR2"),
            (libc::SIGSTKFLT, "SIGSTKFLT"),
            (libc::SIGXCPU, "SIGXCPU"),
            (libc::SIGXFSZ, "SIGXFSZ"),
            (libc::SIGSYS, "SIGSYS"),
            (libc::SIGRTMIN(), "SIGRTMIN"),
            (libc::SIGRTMAX(), "SIGRTMIN+30"),
        ] {
            assert_eq!(signal_name(signal), name);
        }
        for signal in 1..=31 {
            assert!(signal_name(signal).starts_with("SIG"), "{signal}");
        }
        assert_eq!(signal_name(0), "signal 0");
    }
}
