//! Running the process of an attempt: start it under a shim, pump its output, stop it in time, and say how it ended.
//!
//! Called by the pipeline. When it returns, no process, directory or lock of the attempt is left.

use std::{
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard::{
    compose::{ComposedCommand, ProcessPlan},
    ids::{AttemptId, ProxyId},
    job::{Outcome, Progress},
    steps::run::fetch_work::Work,
    store::jobs::{
        attempts::{ExitRecord, Start},
        logs::LogStream,
        progress::Report,
    },
};
use tokio::sync::mpsc;

use super::{
    artifacts::{self, ARTIFACTS_MAX},
    compose::PreparedProcess,
    directories::ArtifactsDirectory,
    log_pump::{self, Log},
    outcome::{describe, record, verdict},
    output::{self, Notice, Reported},
    proxy_failure,
    service_limits::ServiceResponses,
    spawn_request::{not_started, request},
};
use crate::{
    process::{Exit, LeaseNumber, ProcessHandle, Running, StartError},
    running_attempts::{AttemptGuard, StopReason},
    shared::Shared,
};

/// How long a profile may stay locked on this machine by what is left of an earlier attempt.
const PROFILE_PATIENCE: Duration = Duration::from_secs(15);
/// Progress is stored at most this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How long output may go on after the last process is gone (an inherited pipe cannot; a full queue can).
const OUTPUT_PATIENCE: Duration = Duration::from_secs(30);

/// How an attempt ended, with all that its record keeps.
#[derive(Debug)]
pub(super) struct AttemptResult {
    pub(super) outcome: Outcome,
    pub(super) composed: Option<Arc<ComposedCommand>>,
    pub(super) proxy: Option<ProxyId>,
    pub(super) exit: ExitRecord,
    /// Whether it ended because it was stopped from outside.
    pub(super) was_stopped: bool,
}

impl AttemptResult {
    pub(super) fn without_process(outcome: Outcome) -> Self {
        Self { outcome, composed: None, proxy: None, exit: ExitRecord::default(), was_stopped: false }
    }
}

/// Runs a prepared process to its end.
pub(super) async fn run(
    shared: &Shared,
    work: &Work,
    attempt: AttemptId,
    guard: &AttemptGuard,
    prepared: PreparedProcess,
) -> AttemptResult {
    let PreparedProcess { plan, composed, proxy, redactor, profile_path } = prepared;
    let result = |outcome| AttemptResult {
        composed: Some(composed.clone()),
        proxy,
        ..AttemptResult::without_process(outcome)
    };
    let released = |reason: String| Outcome::Released { reason };
    let live = &work.live;
    let directory = match ArtifactsDirectory::make(&shared.paths, live.job, live.attempt) {
        Ok(directory) => directory,
        Err(error) => return result(released(format!("Its worker could not make a directory: {error}."))),
    };
    let (log, pump) = log_pump::start(shared.logs.clone(), live.job, attempt, guard);
    note_start(shared, work, attempt, guard, &composed, proxy);
    log.line(LogStream::System, format!("Attempt {}: {}", live.attempt, composed.display)).await;

    let protocol = plan.protocol;
    let started = tokio::select! {
        biased;
        _ = guard.stopped() => return AttemptResult { was_stopped: true, ..result(released("It was stopped before it began.".into())) },
        started = start(shared, work, guard.lease, plan, profile_path.as_deref()) => started,
    };
    let (out, err, mut handle) = match started {
        Ok(running) => running.split(),
        Err(error) => {
            log.line(LogStream::System, format!("It could not be started: {error}")).await;
            drop(log);
            finish_log(pump).await;
            return result(not_started(error));
        }
    };
    let (sender, notices) = mpsc::channel(64);
    let stdout = tokio::spawn(output::read_stdout(out, protocol, redactor.clone(), log.clone(), sender));
    let stderr = tokio::spawn(output::read_lines(err, LogStream::Stderr, redactor, log.clone()));
    let supervisor =
        Supervisor { shared, work, attempt, guard, log: &log, directory: directory.path.clone() };
    let mut seen = ServiceResponses::default();
    let (exit, stopped) = supervisor.supervise(&mut handle, notices, &mut seen).await;
    let reported = join_output(stdout, stderr).await;
    let outcome = seen.verdict(verdict(&exit, stopped, reported, protocol));
    let outcome = proxy_failure::verdict(shared, work, proxy, outcome, &log).await;
    log.line(LogStream::System, describe(&exit, &outcome)).await;
    drop(log);
    finish_log(pump).await;
    if let Some(residue) = &exit.residue {
        tracing::error!(job = %live.job, residue, "an attempt left something behind");
    }
    let was_stopped = matches!(stopped, Some(StoppedBy::Outside(_)));
    AttemptResult { was_stopped, exit: record(&exit), ..result(outcome) }
}

/// Why the supervisor stopped the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoppedBy {
    /// The attempt's timeout.
    Timeout,
    /// Somebody else.
    Outside(StopReason),
}

/// Watches one running process.
struct Supervisor<'a> {
    shared: &'a Shared,
    work: &'a Work,
    attempt: AttemptId,
    guard: &'a AttemptGuard,
    log: &'a Log,
    directory: PathBuf,
}

impl Supervisor<'_> {
    /// Until the last process is gone. Notices go on being heard to their end.
    async fn supervise(
        &self,
        handle: &mut ProcessHandle,
        mut notices: mpsc::Receiver<Notice>,
        seen: &mut ServiceResponses,
    ) -> (Exit, Option<StoppedBy>) {
        let policy = self.work.policy();
        let mut timeout = pin!(tokio::time::sleep(policy.timeout.0));
        let mut outside = pin!(self.guard.stopped());
        let (mut stopped, mut kept) = (None, 0);
        let mut meter = ProgressMeter::default();
        let exit = loop {
            tokio::select! {
                exit = handle.wait() => break exit,
                () = &mut timeout, if stopped.is_none() => {
                    stopped = Some(StoppedBy::Timeout);
                    let line = format!("The timeout of {} is over.", policy.timeout);
                    self.log.line(LogStream::System, line).await;
                    handle.terminate(policy.grace.0);
                }
                reason = &mut outside, if !matches!(stopped, Some(StoppedBy::Outside(_))) => {
                    stopped = Some(StoppedBy::Outside(reason));
                    match reason {
                        // Another attempt may be about to start: no grace.
                        StopReason::Lost => handle.kill(),
                        StopReason::Cancelled | StopReason::Drained => handle.terminate(policy.grace.0),
                    }
                }
                Some(notice) = notices.recv() => self.hear(notice, &mut meter, &mut kept, seen).await,
                () = meter.due(), if meter.is_waiting() => self.tell(&mut meter).await,
            }
        };
        while let Ok(Some(notice)) = tokio::time::timeout(OUTPUT_PATIENCE, notices.recv()).await {
            self.hear(notice, &mut meter, &mut kept, seen).await;
        }
        if meter.is_waiting() {
            self.tell(&mut meter).await;
        }
        seen.commit().await;
        (exit, stopped)
    }

    async fn hear(
        &self,
        notice: Notice,
        meter: &mut ProgressMeter,
        kept: &mut usize,
        seen: &mut ServiceResponses,
    ) {
        match notice {
            Notice::Progress(progress) => {
                meter.latest = Some(progress);
                if meter.is_due() {
                    self.tell(meter).await;
                }
            }
            Notice::Limits(answered) => seen.hear(answered, self.shared, self.work, self.log).await,
            Notice::Artifact(file) => {
                let name = file.name.clone();
                *kept += 1;
                if *kept > ARTIFACTS_MAX {
                    let line = format!("The file \"{name}\" was not kept: {ARTIFACTS_MAX} are allowed.");
                    return self.log.line(LogStream::System, line).await;
                }
                match artifacts::keep(self.shared, self.work, self.attempt, &self.directory, file).await {
                    Ok(true) => {}
                    Ok(false) => self.guard.fence_handle().lose(),
                    Err(error) => {
                        let line = format!("The file \"{name}\" was not kept: {error}.");
                        self.log.line(LogStream::System, line).await;
                    }
                }
            }
        }
    }

    async fn tell(&self, meter: &mut ProgressMeter) {
        let Some(progress) = meter.latest.take() else { return };
        meter.told_at = Some(Instant::now());
        let report = Report { job: self.work.live.job, attempt: self.attempt, progress };
        match self.shared.progress.ask(report).await {
            Ok(true) => {}
            Ok(false) => self.guard.fence_handle().lose(),
            Err(error) => tracing::warn!(%error, "progress was not stored"),
        }
    }
}

/// Keeps the newest progress until it may be told.
#[derive(Debug, Default)]
struct ProgressMeter {
    latest: Option<Progress>,
    told_at: Option<Instant>,
}

impl ProgressMeter {
    fn is_due(&self) -> bool {
        self.told_at.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY)
    }

    const fn is_waiting(&self) -> bool {
        self.latest.is_some()
    }

    async fn due(&self) {
        let waited = self.told_at.map_or(PROGRESS_EVERY, |at| at.elapsed());
        tokio::time::sleep(PROGRESS_EVERY.saturating_sub(waited)).await;
    }
}

/// Tells Postgres what runs; the process need not wait for it. A refusal ends the attempt.
fn note_start(
    shared: &Shared,
    work: &Work,
    attempt: AttemptId,
    guard: &AttemptGuard,
    composed: &Arc<ComposedCommand>,
    proxy: Option<ProxyId>,
) {
    let start = Start { job: work.live.job, attempt, proxy, composed: composed.clone() };
    let (starts, fence) = (shared.starts.clone(), guard.fence_handle());
    tokio::spawn(async move {
        match starts.ask(start).await {
            Ok(true) => {}
            Ok(false) => fence.lose(),
            Err(error) => tracing::warn!(%error, "the start of an attempt was not noted"),
        }
    });
}

/// Starts the process, waiting a while for a profile that is still locked on this machine.
async fn start(
    shared: &Shared,
    work: &Work,
    lease: LeaseNumber,
    plan: ProcessPlan,
    profile_path: Option<&str>,
) -> Result<Running, StartError> {
    let since = Instant::now();
    loop {
        match shared.shim_pool.start(request(shared, work, lease, &plan, profile_path)).await {
            Err(StartError::ProfileBusy) if since.elapsed() < PROFILE_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            started => return started,
        }
    }
}

async fn join_output(
    stdout: tokio::task::JoinHandle<Reported>,
    stderr: tokio::task::JoinHandle<Reported>,
) -> Reported {
    let both = async { (stdout.await.unwrap_or_default(), stderr.await) };
    match tokio::time::timeout(OUTPUT_PATIENCE, both).await {
        Ok((reported, _)) => reported,
        Err(_) => Reported::default(),
    }
}

async fn finish_log(pump: tokio::task::JoinHandle<()>) {
    if pump.await.is_err() {
        tracing::error!("a log pump panicked");
    }
}
