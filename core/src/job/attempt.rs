//! One attempt of a job: how it ended and why. Pure.

use crate::{
    bounds::FAILURE_MESSAGE_BYTES_MAX,
    duration::IsoDuration,
    ids::{CommandId, ProfileId, ServiceId},
};
use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

/// Longest wait that the other side can ask for. No calendar unit of a quota is longer than a
/// month.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(31 * 24);

/// How an attempt ended, as reported by its worker or the rescuer.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The attempt succeeded.
    Succeeded {
        /// Any JSON value. Null if the command returns nothing.
        result: serde_json::Value,
    },
    /// The attempt failed.
    Failed(Failure),
    /// It took longer than its timeout.
    TimedOut {
        /// What the child said when it was stopped: what it waited for.
        said: Option<String>,
    },
    /// A cancel request ended it.
    Cancelled,
    /// Its worker was lost. Does not count against `maxAttempts`.
    Lost,
    /// Its worker was draining or could not start it for its own reasons. Does not count.
    Released {
        /// Why, in one sentence.
        reason: String,
    },
    /// A service refused it for now. Does not count.
    Throttled {
        /// Which service and how, in one sentence.
        reason: String,
    },
}

impl Outcome {
    /// The outcome's name, as stored with the attempt.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "succeeded",
            Self::Failed(_) => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Released { .. } => "released",
            Self::Throttled { .. } => "throttled",
        }
    }

    /// Whether it counts against `maxAttempts`.
    pub const fn counts(&self) -> bool {
        match self {
            Self::Succeeded { .. } | Self::Failed(_) | Self::TimedOut { .. } | Self::Cancelled => true,
            Self::Lost | Self::Released { .. } | Self::Throttled { .. } => false,
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Why an attempt or a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Stable, upper-case name. [`FailureCode`] has the worker's own.
    pub code: FailureCode,
    /// The message for people, redacted, at most [`FAILURE_MESSAGE_BYTES_MAX`] bytes.
    pub message: String,
    /// Whether another attempt may succeed.
    pub is_retryable: bool,
    /// How long the other side asked to wait before another attempt. Not stored.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// A failure's stable name. Commands may report their own (`SCRIPT_ERROR`), so the set is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FailureCode(Cow<'static, str>);

impl FailureCode {
    /// The program exited with a code other than 0.
    pub const EXIT_CODE: Self = Self(Cow::Borrowed("EXIT_CODE"));
    /// The program was ended by a signal that Callboard did not send.
    pub const SIGNAL: Self = Self(Cow::Borrowed("SIGNAL"));
    /// The attempt took longer than the policy's timeout.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("TIMEOUT"));
    /// The command no longer composes because the catalogue changed after the enqueue.
    pub const NOT_COMPOSABLE: Self = Self(Cow::Borrowed("NOT_COMPOSABLE"));
    /// An HTTP command got a status that it does not expect.
    pub const HTTP_STATUS: Self = Self(Cow::Borrowed("HTTP_STATUS"));
    /// A request did not get through the proxy, as reported by the browser or the HTTP client.
    pub const PROXY: Self = Self(Cow::Borrowed("PROXY"));
    /// The program exited with code 0, but reported no result in the protocol of events.
    pub const NO_RESULT: Self = Self(Cow::Borrowed("NO_RESULT"));
    /// A script was stopped before its end. The runner reports it, and says what was waited for.
    pub const TERMINATED: Self = Self(Cow::Borrowed("TERMINATED"));
    /// The command did its work, but its result could not be kept.
    pub const RESULT_NOT_KEPT: Self = Self(Cow::Borrowed("RESULT_NOT_KEPT"));
    /// A secret could not be read.
    pub const SECRET_UNREADABLE: Self = Self(Cow::Borrowed("SECRET_UNREADABLE"));
    /// The program could not be started.
    pub const START_FAILED: Self = Self(Cow::Borrowed("START_FAILED"));
    /// Too many attempts of the job were lost with their workers.
    pub const POISON: Self = Self(Cow::Borrowed("POISON"));
    /// The worker was declared lost while it was alive, and ended the attempt itself.
    pub const FENCED: Self = Self(Cow::Borrowed("FENCED"));
    /// The job did not start before it expired.
    pub const EXPIRED: Self = Self(Cow::Borrowed("EXPIRED"));
    /// A job that it depends on did not succeed.
    pub const DEPENDENCY: Self = Self(Cow::Borrowed("DEPENDENCY"));
    /// A bug in the worker.
    pub const INTERNAL: Self = Self(Cow::Borrowed("INTERNAL"));

    /// A code that a command reported: upper-case letters, digits and `_`, at most 64. Anything
    /// else becomes `COMMAND_ERROR`.
    pub fn reported(name: &str) -> Self {
        let is_fine = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if !name.is_empty() && name.len() <= 64 && name.chars().all(is_fine) {
            Self(Cow::Owned(name.to_owned()))
        } else {
            Self(Cow::Borrowed("COMMAND_ERROR"))
        }
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Failure {
    /// The failure of an attempt that took longer than its timeout.
    pub fn timed_out(timeout: IsoDuration, said: Option<&str>) -> Self {
        let said = said.map(|said| format!(" When it ended: {said}.")).unwrap_or_default();
        let message = format!("The attempt took longer than its timeout of {timeout}.{said}");
        Self::new(FailureCode::TIMEOUT, message, true)
    }

    /// A failure whose message is cut to [`FAILURE_MESSAGE_BYTES_MAX`] at a character boundary.
    pub fn new(code: FailureCode, message: impl Into<String>, is_retryable: bool) -> Self {
        let mut message = message.into();
        if message.len() > FAILURE_MESSAGE_BYTES_MAX {
            let end = message.floor_char_boundary(FAILURE_MESSAGE_BYTES_MAX - 3);
            message.truncate(end);
            message.push('…');
        }
        Self { code, message, is_retryable, retry_after: None }
    }

    /// The same failure of a server that asked to wait, for at most [`RETRY_AFTER_MAX`].
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait.map(|wait| wait.min(RETRY_AFTER_MAX));
        self
    }

    /// The work was done, so it is not done again, but its result cannot be kept. `why` is the end
    /// of a sentence.
    pub fn of_unkept_result(why: &str) -> Self {
        let message = format!("The command did its work, but its result could not be kept: {why}.");
        Self::new(FailureCode::RESULT_NOT_KEPT, message, false)
    }
}

/// Progress that a running job reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// 0 to 1, if known.
    pub fraction: Option<f64>,
    /// At most 500 characters.
    pub message: Option<String>,
}

/// What an attempt uses, for metering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The command that it runs.
    pub command: CommandId,
    /// The profile that it runs on.
    pub profile: Option<ProfileId>,
    /// The services that it uses, each once.
    pub services: Vec<ServiceId>,
}
