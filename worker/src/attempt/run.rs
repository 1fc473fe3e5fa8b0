//! Runs the process of an attempt under a shim: starts it, pumps its output, and returns its
//! outcome.
//!
//! When [`run`] returns, no process, directory or lock of the attempt is left.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callboard::{
    compose::{ComposedCommand, ProcessPlan},
    ids::ProxyId,
    job::Outcome,
    store::jobs::attempts::Start,
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Attempt,
    compose::PreparedProcess,
    directories::ArtifactsDirectory,
    literal_variables,
    log_pump::{self, Log},
    outcome::{self, AttemptResult, describe, record},
    output::{self, ReportedEnd},
    program_output, proxy_failure,
    spawn_request::{not_started, request},
    supervise::{Supervised, Supervisor},
};
use crate::process::{Running, StartError};

/// How long a profile may stay locked on this machine by what is left of an earlier attempt.
const PROFILE_TIMEOUT: Duration = Duration::from_secs(15);
const PROFILE_RETRY_AFTER: Duration = Duration::from_millis(100);
/// Notices of the child that may wait for the supervisor.
const NOTICES_MAX: usize = 64;

/// Runs a prepared process to its end.
pub(super) async fn run(attempt: Attempt<'_>, prepared: PreparedProcess) -> AttemptResult {
    let PreparedProcess { plan, composed, proxy, redactor, profile_path } = prepared;
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
    let (log, pump) = log_pump::start(attempt);
    note_start(attempt, &composed, proxy);
    log.system(format!("Attempt {}: {}", attempt.number(), composed.display)).await;
    if let Some(note) = literal_variables::note(&plan) {
        log.system(note).await;
    }

    let protocol = plan.protocol;
    let started = tokio::select! {
        biased;
        _ = attempt.guard.stopped() => {
            return result(released("The attempt was stopped before its process started.".into()));
        }
        started = start(attempt, plan, profile_path.as_deref()) => started,
    };
    let (out, err, mut handle) = match started {
        Ok(running) => running.split(),
        Err(error) => {
            log.system(format!("The process could not be started: {error}.")).await;
            drop(log);
            finish_log(pump).await;
            return result(not_started(attempt, error));
        }
    };
    let (sender, notices) = mpsc::channel(NOTICES_MAX);
    let stdout = tokio::spawn(output::read_stdout(out, protocol, redactor.clone(), log.clone(), sender));
    let stderr = tokio::spawn(program_output::read_stderr(err, redactor, log.clone()));
    let supervisor = Supervisor::new(attempt, &log, &directory.path);
    let Supervised { exit, stop, responses } = supervisor.supervise(&mut handle, notices, protocol).await;
    let mut reported = join_output(&log, stdout, stderr).await;
    let note = reported.note.take();
    let outcome = outcome::of_process(&exit, stop, reported, protocol);
    if let (Some(note), Outcome::Succeeded { .. }) = (note, &outcome) {
        log.system(note).await;
    }
    let outcome = responses.throttle_if_refused(outcome);
    let outcome = proxy_failure::throttle_if_unreachable(attempt, proxy, outcome, &log).await;
    log.system(describe(&exit, &outcome)).await;
    drop(log);
    finish_log(pump).await;
    if let Some(residue) = &exit.residue {
        tracing::error!(job = %attempt.job(), residue, "an attempt left something behind");
    }
    AttemptResult { exit: record(&exit), ..result(outcome) }
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
/// machine.
async fn start(
    attempt: Attempt<'_>,
    plan: ProcessPlan,
    profile_path: Option<&str>,
) -> Result<Running, StartError> {
    let since = Instant::now();
    loop {
        match attempt.shared.shim_pool.start(request(attempt, &plan, profile_path)).await {
            Err(StartError::ProfileBusy) if since.elapsed() < PROFILE_TIMEOUT => {
                tokio::time::sleep(PROFILE_RETRY_AFTER).await;
            }
            started => return started,
        }
    }
}

async fn join_output(
    log: &Log,
    stdout: JoinHandle<ReportedEnd>,
    stderr: JoinHandle<Option<String>>,
) -> ReportedEnd {
    let both = async { (stdout.await.unwrap_or_default(), stderr.await.unwrap_or_default()) };
    let ended = log.patiently(both).await;
    ended.map(|(reported, last_error_line)| ReportedEnd { last_error_line, ..reported }).unwrap_or_default()
}

async fn finish_log(pump: JoinHandle<()>) {
    if pump.await.is_err() {
        tracing::error!("a log pump panicked");
    }
}
