//! The error of a step that wrote nothing.

use std::sync::Arc;

use crate::{
    evaluator::{Failure, Unavailable},
    refusal::{Refusal, RefusalCode, no_such_id},
    store::StoreError,
};

/// Why nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    /// The caller can fix it. Lists everything that is wrong with the request, and is never empty.
    #[error("refused: {}", .0.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    /// Postgres failed, or a row is corrupt. After `CommitUnknown` the change may have been made.
    /// Shared by all callers of a batch.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// What the caller brings was not evaluated. The caller can repeat the request, which may be
    /// right.
    #[error(transparent)]
    Evaluator(Unavailable),
}

impl StepError {
    /// The object itself does not exist.
    pub(crate) fn no(noun: &str) -> Self {
        Self::refused(RefusalCode::NotFound, &["id"], no_such_id(noun))
    }

    pub(crate) fn refused(code: RefusalCode, path: &[&str], message: impl Into<String>) -> Self {
        Refusal::new(code, "", message).below(path).into()
    }
}

impl From<Refusal> for StepError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(vec![refusal])
    }
}

impl From<Failure> for StepError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusals) => Self::Refused(refusals),
            Failure::Unavailable(why) => Self::Evaluator(why),
        }
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
