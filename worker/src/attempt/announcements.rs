//! Stores what the child announces while it runs: progress, files, and responses of services.

use std::{
    collections::HashSet,
    ffi::OsString,
    path::Path,
    time::{Duration, Instant},
};

use callboard::{
    bounds::{ALL_ARTIFACTS_BYTES_MAX, ARTIFACTS_MAX, RECORDINGS_MAX},
    job::Progress,
    secret::{MASK, Redactor},
    store::jobs::progress::Report,
};
use tokio::sync::mpsc;

use super::{
    Attempt,
    artifacts::{self, AnnouncedFile, KeepError, Kept},
    left_files,
    log_pump::Log,
    output::Notice,
    service_limits::ServiceResponses,
};
use crate::running_attempts::StopReason;

/// Progress is stored at most this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Stores the announcements of one attempt.
pub(super) struct Announcements<'a> {
    attempt: Attempt<'a>,
    log: &'a Log,
    artifacts_directory: &'a Path,
    redactor: &'a Redactor,
    /// The names of the files.
    artifacts: HashSet<String>,
    /// Their names in the directory, which may hold secrets.
    paths: HashSet<OsString>,
    /// The size of those that were kept.
    artifact_bytes: u64,
    progress: ProgressMeter,
    pub(super) responses: ServiceResponses,
}

impl<'a> Announcements<'a> {
    pub(super) fn new(
        attempt: Attempt<'a>,
        log: &'a Log,
        artifacts_directory: &'a Path,
        redactor: &'a Redactor,
    ) -> Self {
        Self {
            attempt,
            log,
            artifacts_directory,
            redactor,
            artifacts: HashSet::new(),
            paths: HashSet::new(),
            artifact_bytes: 0,
            progress: ProgressMeter::default(),
            responses: ServiceResponses::default(),
        }
    }

    /// Returns when the child announces nothing more and everything is stored.
    pub(super) async fn store(mut self, mut notices: mpsc::Receiver<Notice>) -> Self {
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => self.handle(notice).await,
                    None => break,
                },
                () = self.progress.due(), if self.progress.is_waiting() => self.report_progress().await,
            }
        }
        if self.progress.is_waiting() {
            self.report_progress().await;
        }
        self
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

    /// Keeps what a program has left in its artifacts directory, or a script besides what it
    /// announced.
    pub(super) async fn keep_left_files(&mut self) {
        let directory = self.artifacts_directory.to_owned();
        let (announced, room) = (self.paths.clone(), ARTIFACTS_MAX.saturating_sub(self.artifacts.len()));
        let redactor = self.redactor.clone();
        let list = move || left_files::list(&directory, &announced, room, &redactor);
        let (files, more) = match tokio::task::spawn_blocking(list).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => {
                return self.log.system(format!("The artifacts could not be read: {error}.")).await;
            }
            Err(error) => return tracing::error!(%error, "artifacts were not read"),
        };
        for file in files {
            if self.attempt.guard.reason() == Some(StopReason::Lost) {
                return;
            }
            self.keep_artifact(file).await;
        }
        if more > 0 {
            let line =
                format!("{more} more files were not kept: an attempt keeps at most {ARTIFACTS_MAX} files.");
            self.log.system(line).await;
        }
    }

    async fn keep_artifact(&mut self, mut file: AnnouncedFile) {
        file.name = self.redacted_name(&file.name);
        file.content_type = self.redactor.redact(&file.content_type).into_owned();
        self.paths.insert(file.path.clone());
        let name = file.name.clone();
        let kept = match self.room_for(&name) {
            Ok(room) => {
                artifacts::keep(self.attempt, self.artifacts_directory, file, room, self.redactor).await
            }
            Err(refused) => Err(refused),
        };
        match kept {
            Ok(Kept::Stored { bytes }) => self.artifact_bytes += bytes,
            Ok(Kept::Stale) => self.attempt.guard.fence_handle().lose(),
            Err(error) => self.log.system(format!("The file \"{name}\" was not kept: {error}.")).await,
        }
    }

    /// The name without secrets, with a number if that makes it the name of another file. A secret
    /// may have been masked before.
    fn redacted_name(&self, name: &str) -> String {
        let redacted = self.redactor.redact(name).into_owned();
        if !redacted.contains(MASK) {
            return redacted;
        }
        let (stem, extension) = redacted.rfind('.').map_or((&*redacted, ""), |at| redacted.split_at(at));
        let numbered = (2..).map(|number| format!("{stem}-{number}{extension}"));
        let mut names = std::iter::once(redacted.clone()).chain(numbered);
        names.find(|name| !self.artifacts.contains(name)).unwrap_or(redacted)
    }

    /// The bytes that another file of the attempt may have.
    fn room_for(&mut self, name: &str) -> Result<u64, KeepError> {
        // The runner counts its recordings apart, and refuses too many files of the script.
        if self.artifacts.len() >= ARTIFACTS_MAX + RECORDINGS_MAX {
            return Err(KeepError::TooMany);
        }
        if !self.artifacts.insert(name.to_owned()) {
            return Err(KeepError::NameTaken);
        }
        Ok((ALL_ARTIFACTS_BYTES_MAX as u64).saturating_sub(self.artifact_bytes))
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
