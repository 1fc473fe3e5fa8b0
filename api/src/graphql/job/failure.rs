//! Why jobs and attempts failed, and how far running ones are.

use async_graphql::SimpleObject;
use callboard::job;

/// Why a job or an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Failure {
    /// Stable name in capitals: EXIT_CODE, SIGNAL, TIMEOUT, NOT_COMPOSABLE, SECRET_UNREADABLE, START_FAILED, POISON,
    /// EXPIRED, DEPENDENCY, FENCED, INTERNAL, or a name that the command reported.
    pub code: String,
    /// For people, without secrets, at most 8 KiB.
    pub message: String,
    /// Whether another attempt could go better.
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

/// How far a job says it is.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct Progress {
    /// From 0 to 1; null when the job does not tell.
    pub fraction: Option<f64>,
    /// For people, at most 500 characters; null when the job does not tell.
    pub message: Option<String>,
}

impl Progress {
    /// Null until the job has told something.
    pub(super) fn of(progress: &job::Progress) -> Option<Self> {
        let told = progress.fraction.is_some() || progress.message.is_some();
        told.then(|| Self { fraction: progress.fraction, message: progress.message.clone() })
    }
}
