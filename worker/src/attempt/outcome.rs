//! How an attempt ended: its outcome, its record, and the last line of its log. Pure.

use std::{sync::Arc, time::Instant};

use callboard::{
    compose::{ComposedCommand, OutputProtocol},
    ids::ProxyId,
    job::{Failure, FailureCode, Outcome},
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
    /// When it was first told to end.
    pub(super) at: Instant,
}

/// What the child told about its job.
#[derive(Debug)]
pub(super) struct Told {
    /// The result, or why the job failed.
    pub(super) verdict: Result<serde_json::Value, Failure>,
    /// When the worker read it.
    pub(super) at: Instant,
}

impl Told {
    /// The outcome, which stands whatever ended the attempt afterwards: what has happened is not
    /// done again. A failure that was told after the process had to end is given back, because it
    /// may be of that end.
    fn outcome(self, stop: Option<Stop>) -> Result<Outcome, Failure> {
        match self.verdict {
            Ok(result) => Ok(Outcome::Succeeded { result }),
            Err(failure) if stop.is_none_or(|stop| self.at < stop.at) => Ok(Outcome::Failed(failure)),
            Err(failure) => Err(failure),
        }
    }
}

/// The outcome of a process that has ended.
pub(super) fn of_process(
    exit: &Exit,
    stop: Option<Stop>,
    reported: ReportedEnd,
    protocol: OutputProtocol,
) -> Outcome {
    let of_end = match reported.told.map(|told| told.outcome(stop)) {
        Some(Ok(outcome)) => return outcome,
        Some(Err(failure)) => Some(failure),
        None => None,
    };
    match (stop.map(|stop| stop.by), exit.ending) {
        (_, Ending::Deadline) => {
            return Outcome::Released { reason: "The worker's lease was not renewed in time.".into() };
        }
        (_, Ending::ShimLost | Ending::Orphaned) | (Some(StoppedBy::Outside(StopReason::Lost)), _) => {
            return Outcome::Lost;
        }
        (Some(StoppedBy::Outside(StopReason::Cancelled)), _) => return Outcome::Cancelled,
        (Some(StoppedBy::Timeout), _) => {
            // The runner says what its script waited for.
            let said = of_end.filter(|failure| failure.code.as_str() == "TERMINATED");
            return Outcome::TimedOut { said: said.map(|failure| failure.message) };
        }
        // A program that traps the signal may exit with 0 before its work is done.
        (Some(StoppedBy::Outside(StopReason::Drained)), Ending::Terminated(_) | Ending::Killed) => {
            return Outcome::Released { reason: DRAINED.into() };
        }
        (Some(StoppedBy::Outside(StopReason::Drained)), Ending::Exited(_))
        | (None, Ending::Exited(_) | Ending::Terminated(_) | Ending::Killed) => {}
    }
    match exit.ending {
        Ending::Exited(ExitStatus::Code(0)) | Ending::Terminated(ExitStatus::Code(0)) => {
            if protocol == OutputProtocol::Events {
                let message = "The process exited with code 0 before it reported a result.";
                return Outcome::Failed(Failure::new(FailureCode::reported("NO_RESULT"), message, true));
            }
            Outcome::Succeeded { result: reported.last_line.unwrap_or(serde_json::Value::Null) }
        }
        Ending::Exited(ExitStatus::Code(code)) | Ending::Terminated(ExitStatus::Code(code)) => {
            Outcome::Failed(Failure::new(
                FailureCode::EXIT_CODE,
                format!("The program exited with code {code}."),
                true,
            ))
        }
        Ending::Exited(ExitStatus::Signal(signal)) | Ending::Terminated(ExitStatus::Signal(signal)) => {
            let message = format!("The program was ended by {}.", signal_name(signal));
            Outcome::Failed(Failure::new(FailureCode::SIGNAL, message, true))
        }
        Ending::Killed | Ending::Deadline | Ending::Orphaned | Ending::ShimLost => Outcome::Lost,
    }
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
    format!("The attempt ended: {} ({how}).{leftovers}", outcome.as_str().replace('_', " "))
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

fn signal_name(signal: i32) -> String {
    use rustix::process::Signal;
    let known = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
    ];
    let found = known.iter().find(|(known, _)| known.as_raw() == signal);
    found.map_or_else(|| format!("signal {signal}"), |(_, name)| (*name).to_owned())
}
