//! One attempt of a job: how it ended and why. Pure.

use crate::ids::{CommandId, ProfileId, ServiceId};
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Longest failure message that is kept, in bytes.
pub const FAILURE_MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// Largest result that is kept, in bytes of JSON.
pub const RESULT_BYTES_MAX: usize = 1024 * 1024;

/// How an attempt ended, as its worker (or the rescuer) reports it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Well, with what it returned.
    Succeeded {
        /// Any JSON value, null when the command returns nothing.
        result: serde_json::Value,
    },
    /// Badly.
    Failed(Failure),
    /// Its timeout passed.
    TimedOut,
    /// A cancel reached it.
    Cancelled,
    /// Its worker vanished; found by the lease. Does not count against `maxAttempts`.
    Lost,
    /// Its worker was drained or could not start it for reasons of its own. Does not count.
    Released {
        /// Why, in one sentence.
        reason: String,
    },
    /// A service said "not now". Does not count.
    Throttled {
        /// Which and how, in one sentence.
        reason: String,
    },
}

impl Outcome {
    /// The outcome's name, as stored in an attempt's row.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "succeeded",
            Self::Failed(_) => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Released { .. } => "released",
            Self::Throttled { .. } => "throttled",
        }
    }

    /// Whether it counts against `maxAttempts`.
    pub const fn counts(&self) -> bool {
        match self {
            Self::Succeeded { .. } | Self::Failed(_) | Self::TimedOut | Self::Cancelled => true,
            Self::Lost | Self::Released { .. } | Self::Throttled { .. } => false,
        }
    }
}

/// Why an attempt or a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Stable, upper-case name; see [`FailureCode`] for those that the worker itself gives.
    pub code: FailureCode,
    /// One sentence or more for a person, redacted, at most [`FAILURE_MESSAGE_BYTES_MAX`].
    pub message: String,
    /// Whether another attempt could go better.
    pub is_retryable: bool,
}

/// A failure's stable name. Commands may report names of their own (`SCRIPT_ERROR`), so the set is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FailureCode(Cow<'static, str>);

impl FailureCode {
    /// The program ended with another code than 0.
    pub const EXIT_CODE: Self = Self(Cow::Borrowed("EXIT_CODE"));
    /// The program was ended by a signal that was not ours.
    pub const SIGNAL: Self = Self(Cow::Borrowed("SIGNAL"));
    /// The attempt took longer than the policy's timeout.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("TIMEOUT"));
    /// The command does not compose any more: the catalogue changed since enqueue.
    pub const NOT_COMPOSABLE: Self = Self(Cow::Borrowed("NOT_COMPOSABLE"));
    /// An HTTP command was answered with a status that it does not expect.
    pub const HTTP_STATUS: Self = Self(Cow::Borrowed("HTTP_STATUS"));
    /// What it went through a proxy for did not get through it, by the word of the browser or of the HTTP client.
    pub const PROXY: Self = Self(Cow::Borrowed("PROXY"));
    /// A secret could not be read.
    pub const SECRET_UNREADABLE: Self = Self(Cow::Borrowed("SECRET_UNREADABLE"));
    /// The program could not be started.
    pub const START_FAILED: Self = Self(Cow::Borrowed("START_FAILED"));
    /// The job took its worker down too often.
    pub const POISON: Self = Self(Cow::Borrowed("POISON"));
    /// The worker was declared lost while it lived, and ended the attempt itself.
    pub const FENCED: Self = Self(Cow::Borrowed("FENCED"));
    /// The job was not started before its expiry.
    pub const EXPIRED: Self = Self(Cow::Borrowed("EXPIRED"));
    /// A job that it needs did not succeed.
    pub const DEPENDENCY: Self = Self(Cow::Borrowed("DEPENDENCY"));
    /// The worker itself broke; a bug of ours.
    pub const INTERNAL: Self = Self(Cow::Borrowed("INTERNAL"));

    /// A name that a command reported: upper-case letters, digits and `_`, at most 64; anything else is `COMMAND_ERROR`.
    pub fn reported(name: &str) -> Self {
        let is_fine = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if !name.is_empty() && name.len() <= 64 && name.chars().all(is_fine) {
            Self(Cow::Owned(name.to_owned()))
        } else {
            Self(Cow::Borrowed("COMMAND_ERROR"))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Failure {
    /// A failure with its message cut to the bound, on a character's border.
    pub fn new(code: FailureCode, message: impl Into<String>, is_retryable: bool) -> Self {
        let mut message = message.into();
        if message.len() > FAILURE_MESSAGE_BYTES_MAX {
            let end = message.floor_char_boundary(FAILURE_MESSAGE_BYTES_MAX - 3);
            message.truncate(end);
            message.push('…');
        }
        Self { code, message, is_retryable }
    }
}

/// How far a running job says it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// 0 to 1, if known.
    pub fraction: Option<f64>,
    /// At most 500 characters.
    pub message: Option<String>,
}

/// What an attempt uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// What it runs.
    pub command: CommandId,
    /// The profile that it runs on.
    pub profile: Option<ProfileId>,
    /// Services, each once.
    pub services: Vec<ServiceId>,
}
