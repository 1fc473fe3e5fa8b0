//! Watches the process of an attempt until its end: the timeout, stops from outside, and notices.

use std::{
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use callboard::{
    bounds::{ARTIFACTS_MAX, RECORDINGS_MAX},
    compose::OutputProtocol,
    job::Progress,
    store::jobs::progress::Report,
};
use tokio::sync::mpsc;

use super::{
    Attempt,
    artifacts::{self, AnnouncedFile},
    log_pump::Log,
    outcome::{Stop, StoppedBy},
    output::Notice,
    program_artifacts,
    service_limits::ServiceResponses,
};
use crate::{
    process::{Exit, ProcessHandle},
    running_attempts::StopReason,
};

/// Progress is stored at most this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What is known of a process that has ended.
pub(super) struct Supervised {
    pub(super) exit: Exit,
    pub(super) stop: Option<Stop>,
    pub(super) responses: ServiceResponses,
}

pub(super) struct Supervisor<'a> {
    attempt: Attempt<'a>,
    log: &'a Log,
    artifacts_directory: &'a Path,
    artifacts: usize,
    progress: ProgressMeter,
    responses: ServiceResponses,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(attempt: Attempt<'a>, log: &'a Log, artifacts_directory: &'a Path) -> Self {
        Self {
            attempt,
            log,
            artifacts_directory,
            artifacts: 0,
            progress: ProgressMeter::default(),
            responses: ServiceResponses::default(),
        }
    }

    /// Returns when the last process is gone and everything that the child announced is stored.
    pub(super) async fn supervise(
        mut self,
        handle: &mut ProcessHandle,
        mut notices: mpsc::Receiver<Notice>,
        protocol: OutputProtocol,
    ) -> Supervised {
        let policy = self.attempt.work.policy();
        let mut timeout = pin!(tokio::time::sleep(policy.timeout.0));
        let mut outside = pin!(self.attempt.guard.stopped());
        let mut stop: Option<Stop> = None;
        let exit = loop {
            tokio::select! {
                exit = handle.wait() => break exit,
                () = &mut timeout, if stop.is_none() => {
                    stop = Some(Stop { by: StoppedBy::Timeout, at: Instant::now() });
                    let line = format!("The attempt has reached its timeout of {}.", policy.timeout);
                    self.log.system(line).await;
                    handle.terminate(policy.grace.0);
                }
                reason = &mut outside, if !stop.is_some_and(|stop| matches!(stop.by, StoppedBy::Outside(_))) => {
                    let at = stop.map_or_else(Instant::now, |stop| stop.at);
                    stop = Some(Stop { by: StoppedBy::Outside(reason), at });
                    match reason {
                        // Another attempt may be about to start: no grace.
                        StopReason::Lost => handle.kill(),
                        StopReason::Cancelled | StopReason::Drained => handle.terminate(policy.grace.0),
                    }
                }
                Some(notice) = notices.recv() => self.handle(notice).await,
                () = self.progress.due(), if self.progress.is_waiting() => self.report_progress().await,
            }
        };
        while let Some(Some(notice)) = self.log.patiently(notices.recv()).await {
            self.handle(notice).await;
        }
        if self.progress.is_waiting() {
            self.report_progress().await;
        }
        let is_lost = stop.is_some_and(|stop| stop.by == StoppedBy::Outside(StopReason::Lost));
        if protocol == OutputProtocol::Lines && !is_lost {
            self.keep_left_files().await;
        }
        self.responses.commit().await;
        Supervised { exit, stop, responses: self.responses }
    }

    async fn handle(&mut self, notice: Notice) {
        match notice {
            Notice::Progress(progress) => {
                self.progress.latest = Some(progress);
                if self.progress.is_due() {
                    self.report_progress().await;
                }
            }
            Notice::Limits(response) => self.responses.add(self.attempt, response, self.log).await,
            Notice::Artifact(file) => self.keep_artifact(file).await,
        }
    }

    /// Keeps what a program has left in its artifacts directory.
    async fn keep_left_files(&mut self) {
        let directory = self.artifacts_directory.to_owned();
        let listed = tokio::task::spawn_blocking(move || program_artifacts::list(&directory)).await;
        let files = match listed {
            Ok(Ok(files)) => files,
            Ok(Err(error)) => {
                return self.log.system(format!("The artifacts could not be read: {error}.")).await;
            }
            Err(error) => return tracing::error!(%error, "artifacts were not read"),
        };
        let more = files.len().saturating_sub(ARTIFACTS_MAX);
        for file in files.into_iter().take(ARTIFACTS_MAX) {
            self.keep_artifact(file).await;
        }
        if more > 0 {
            let line =
                format!("{more} more files were not kept: an attempt keeps at most {ARTIFACTS_MAX} files.");
            self.log.system(line).await;
        }
    }

    async fn keep_artifact(&mut self, file: AnnouncedFile) {
        let name = file.name.clone();
        self.artifacts += 1;
        // The runner counts its recordings apart, and refuses too many files of the script.
        if self.artifacts > ARTIFACTS_MAX + RECORDINGS_MAX {
            let reason = format!("an attempt keeps at most {} files", ARTIFACTS_MAX + RECORDINGS_MAX);
            return self.log.system(format!("The file \"{name}\" was not kept: {reason}.")).await;
        }
        match artifacts::keep(self.attempt, self.artifacts_directory, file).await {
            Ok(true) => {}
            Ok(false) => self.attempt.guard.fence_handle().lose(),
            Err(error) => self.log.system(format!("The file \"{name}\" was not kept: {error}.")).await,
        }
    }

    async fn report_progress(&mut self) {
        let Some(progress) = self.progress.latest.take() else { return };
        self.progress.reported_at = Some(Instant::now());
        let report = Report { job: self.attempt.job(), attempt: self.attempt.id, progress };
        match self.attempt.shared.progress.ask(report).await {
            Ok(true) => {}
            Ok(false) => self.attempt.guard.fence_handle().lose(),
            Err(error) => tracing::warn!(%error, "progress was not stored"),
        }
    }
}

/// Holds the newest progress until it may be reported.
#[derive(Debug, Default)]
struct ProgressMeter {
    latest: Option<Progress>,
    reported_at: Option<Instant>,
}

impl ProgressMeter {
    fn is_due(&self) -> bool {
        self.reported_at.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY)
    }

    const fn is_waiting(&self) -> bool {
        self.latest.is_some()
    }

    async fn due(&self) {
        let waited = self.reported_at.map_or(PROGRESS_EVERY, |at| at.elapsed());
        tokio::time::sleep(PROGRESS_EVERY.saturating_sub(waited)).await;
    }
}
