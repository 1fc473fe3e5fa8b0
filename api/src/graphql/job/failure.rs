//! The GraphQL types `Failure` and `Progress`.

use async_graphql::SimpleObject;
use callboard::job;

/// Why a job or an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Failure {
    /// Stable name in upper case: EXIT_CODE, SIGNAL, TIMEOUT, HTTP_STATUS, PROXY, NOT_COMPOSABLE,
    /// SECRET_UNREADABLE, START_FAILED, POISON, EXPIRED, DEPENDENCY, FENCED, INTERNAL, or a name
    /// that the command reported.
    pub code: String,
    /// A message for people, without secrets, at most 8192 bytes.
    pub message: String,
    /// Whether another attempt may succeed.
    pub is_retryable: bool,
}

impl From<&job::Failure> for Failure {
    fn from(failure: &job::Failure) -> Self {
        Self {
            code: failure.code.as_str().to_owned(),
            message: failure.message.clone(),
            is_retryable: failure.is_retryable,
        }
    }
}

/// Progress as reported by a job.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct Progress {
    /// From 0 to 1. Null when not reported.
    pub fraction: Option<f64>,
    /// A message for people, at most 500 characters. Null when not reported.
    pub message: Option<String>,
}

impl Progress {
    /// Returns `None` until the job has reported something.
    pub(super) fn of(progress: &job::Progress) -> Option<Self> {
        let is_reported = progress.fraction.is_some() || progress.message.is_some();
        is_reported.then(|| Self { fraction: progress.fraction, message: progress.message.clone() })
    }
}
