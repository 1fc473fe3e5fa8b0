//! Runs the process of an attempt under a shim: starts it, pumps its output, and returns its
//! outcome.
//!
//! When [`run`] returns, no process, directory or lock of the attempt is left.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard::{
    clock,
    compose::{ComposedCommand, OutputProtocol, ProcessPlan},
    ids::ProxyId,
    job::{Failure, Outcome},
    secret::Redactor,
    store::jobs::attempts::Start,
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};

use super::{
    Attempt,
    announcements::Announcements,
    compose::PreparedProcess,
    directories::ArtifactsDirectory,
    line_pipe, literal_variables,
    log_pump::{self, Log},
    outcome::{self, AttemptResult, ReportedVerdict, Stop, StoppedBy, describe, record},
    output::{self, Notice, ReportedEnd},
    proxy_failure,
    service_limits::ServiceResponses,
    spawn_request::{not_started, request},
    supervise::supervise,
};
use crate::{
    process::{Exit, Running, StartError},
    running_attempts::StopReason,
};

/// How long a profile may stay locked on this machine by what is left of an earlier attempt.
const PROFILE_TIMEOUT: Duration = Duration::from_secs(15);
const PROFILE_RETRY_AFTER: Duration = Duration::from_millis(100);
/// Notices of the child that may wait to be stored.
const NOTICES_MAX: usize = 64;
/// How long output may stay open after the last process is gone, while it can be stored.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(30);
const OUTPUT_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Runs a prepared process to its end.
pub(super) async fn run(attempt: Attempt<'_>, prepared: PreparedProcess) -> AttemptResult {
    let PreparedProcess { plan, composed, proxy, redactor, profile_path, withheld_tokens } = prepared;
    let result = |outcome| AttemptResult {
        composed: Some(composed.clone()),
        proxy,
        ..AttemptResult::without_process(outcome)
    };
    let released = |reason: String| Outcome::Released { reason };
    let directory = match ArtifactsDirectory::make(attempt) {
        Ok(directory) => directory,
        Err(error) => {
            return result(released(format!(
                "The worker could not create the artifacts directory: {error}."
            )));
        }
    };
    let (log, pump) = log_pump::start(attempt, redactor.clone());
    note_start(attempt, &composed, proxy);
    log.system(format!("Attempt {}: {}", attempt.number(), composed.display)).await;
    if let Some(note) = literal_variables::note(&plan) {
        log.system(note).await;
    }

    let protocol = plan.protocol;
    let Some(started) = start(attempt, plan, profile_path.as_deref()).await else {
        return result(released("The attempt was stopped before its process started.".into()));
    };
    let running = match started {
        Ok(running) => running,
        Err(error) => {
            log.system(format!("The process could not be started: {error}.")).await;
            drop(log);
            finish_log(pump).await;
            return result(not_started(attempt, error));
        }
    };
    let Ended { exit, stop, mut reported, responses } =
        until_ended(attempt, &log, &directory.path, running, protocol, redactor).await;
    let note = reported.note.take();
    let ended =
        clock::now() - reported.verdict.as_ref().map_or(Duration::ZERO, |reported| reported.at.elapsed());
    let outcome = outcome::of_process(&exit, stop, reported, protocol);
    if let (Some(note), Outcome::Succeeded { .. }) = (note, &outcome) {
        log.system(note).await;
    }
    if let (Outcome::Failed(_), Some(note)) = (&outcome, withheld_note(protocol, &withheld_tokens)) {
        log.system(note).await;
    }
    let outcome = responses.throttle_if_refused(outcome, ended);
    let outcome = proxy_failure::throttle_if_unreachable(attempt, proxy, outcome, &log).await;
    log.system(describe(&exit, &outcome)).await;
    drop(log);
    finish_log(pump).await;
    if let Some(residue) = &exit.residue {
        tracing::error!(job = %attempt.job(), residue, "an attempt left something behind");
    }
    AttemptResult { exit: record(&exit), ..result(outcome) }
}

/// What the log of a program that failed says of tokens that it did not get. A script's own error
/// says it when it reads one.
fn withheld_note(protocol: OutputProtocol, services: &[String]) -> Option<String> {
    match protocol {
        OutputProtocol::Lines if !services.is_empty() => Some(format!(
            "The program did not get the tokens of the services {}, because its command does not name them. If \
             it needs one, add the service to the command's `tokens`.",
            services.join(", ")
        )),
        OutputProtocol::Lines | OutputProtocol::Events => None,
    }
}

/// Records in Postgres what runs, while it starts. A refusal ends the attempt.
fn note_start(attempt: Attempt<'_>, composed: &Arc<ComposedCommand>, proxy: Option<ProxyId>) {
    let start = Start { job: attempt.job(), attempt: attempt.id, proxy, composed: composed.clone() };
    let (starts, fence) = (attempt.shared.starts.clone(), attempt.guard.fence_handle());
    tokio::spawn(async move {
        match starts.ask(start).await {
            Ok(true) => {}
            Ok(false) => fence.lose(),
            Err(error) => tracing::warn!(%error, "the start of an attempt was not recorded"),
        }
    });
}

/// Starts the process. Waits up to [`PROFILE_TIMEOUT`] for a profile that is locked on this
/// machine. `None` if the attempt was stopped before there was a process. Once it is being started,
/// it may already run, so a cancel or a drain has to ask it to end, as any other.
async fn start(
    attempt: Attempt<'_>,
    plan: ProcessPlan,
    profile_path: Option<&str>,
) -> Option<Result<Running, StartError>> {
    let since = Instant::now();
    loop {
        if attempt.guard.reason().is_some() {
            return None;
        }
        let started = tokio::select! {
            biased;
            started = attempt.shared.shim_pool.start(request(attempt, &plan, profile_path)) => started,
            () = lost(attempt) => return None,
        };
        match started {
            Err(StartError::ProfileBusy) if since.elapsed() < PROFILE_TIMEOUT => {
                tokio::time::sleep(PROFILE_RETRY_AFTER).await;
            }
            started => return Some(started),
        }
    }
}

/// Waits until the attempt does not hold its job any more.
async fn lost(attempt: Attempt<'_>) {
    match attempt.guard.stopped().await {
        StopReason::Lost => {}
        StopReason::Cancelled | StopReason::Drained => std::future::pending().await,
    }
}

/// What is known of a process that has ended.
struct Ended {
    exit: Exit,
    stop: Option<Stop>,
    reported: ReportedEnd,
    responses: ServiceResponses,
}

/// Returns when the last process is gone and everything that the child announced is stored.
async fn until_ended(
    attempt: Attempt<'_>,
    log: &Log,
    artifacts_directory: &Path,
    running: Running,
    protocol: OutputProtocol,
    redactor: Redactor,
) -> Ended {
    let (out, err, mut handle) = running.split();
    let (sender, notices) = mpsc::channel(NOTICES_MAX);
    let readers = Readers {
        log,
        notices: sender.downgrade(),
        stdout: tokio::spawn(output::read_stdout(out, protocol, redactor.clone(), log.clone(), sender)),
        stderr: tokio::spawn(line_pipe::read_stderr(err, redactor.clone(), log.clone())),
    };
    let ended = async {
        let (exit, stop) = supervise(attempt, log, &mut handle).await;
        (exit, stop, readers.join().await)
    };
    let announcements = Announcements::new(attempt, log, artifacts_directory, &redactor);
    let ((exit, stop, reported), mut announcements) = tokio::join!(ended, announcements.store(notices));
    let is_lost = stop.is_some_and(|stop| stop.by == StoppedBy::Outside(StopReason::Lost));
    if !is_lost {
        announcements.keep_left_files().await;
    }
    let mut responses = announcements.responses;
    responses.commit().await;
    Ended { exit, stop, reported, responses }
}

/// The tasks that read the output of the child.
struct Readers<'a> {
    log: &'a Log,
    notices: mpsc::WeakSender<Notice>,
    stdout: JoinHandle<ReportedEnd>,
    stderr: JoinHandle<Option<String>>,
}

impl Readers<'_> {
    /// Waits for what the readers have to report, after the last process is gone. Nothing holds the
    /// pipes any more, so this ends soon. But while Postgres is away, lines and notices wait in
    /// full queues, and the result of the child stands behind them. A pipe that stays open although
    /// everything could be stored for [`OUTPUT_TIMEOUT`] is given up.
    async fn join(mut self) -> ReportedEnd {
        let (mut stdout, mut stderr) = (None, None);
        let mut idle_since = Instant::now();
        while (stdout.is_none() || stderr.is_none()) && idle_since.elapsed() < OUTPUT_TIMEOUT {
            tokio::select! {
                ended = &mut self.stdout, if stdout.is_none() => stdout = Some(of_stdout(ended)),
                ended = &mut self.stderr, if stderr.is_none() => stderr = Some(of_stderr(ended)),
                () = tokio::time::sleep(OUTPUT_CHECK_EVERY) => {}
            }
            if self.log.is_full() || self.notices.upgrade().is_some_and(|notices| notices.capacity() == 0) {
                idle_since = Instant::now();
            }
        }
        if stdout.is_none() || stderr.is_none() {
            self.stdout.abort();
            self.stderr.abort();
            let text = "The output stayed open after the last process had ended. Its rest was not read.";
            self.log.system(text.to_owned()).await;
        }
        ReportedEnd { last_error_line: stderr.flatten(), ..stdout.unwrap_or_default() }
    }
}

fn of_stdout(ended: Result<ReportedEnd, JoinError>) -> ReportedEnd {
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "standard output could not be read");
        let failure = Failure::of_unkept_result("an error of the worker lost it");
        ReportedEnd {
            verdict: Some(ReportedVerdict { verdict: Err(failure), at: Instant::now() }),
            ..ReportedEnd::default()
        }
    })
}

fn of_stderr(ended: Result<Option<String>, JoinError>) -> Option<String> {
    ended.unwrap_or_else(|error| {
        tracing::error!(%error, "standard error could not be read");
        None
    })
}

async fn finish_log(pump: JoinHandle<()>) {
    if pump.await.is_err() {
        tracing::error!("a log pump panicked");
    }
}
