//! What the command of a job keeps from VIEWERs: inputs, results, logs, messages and artifacts.

use async_graphql::{Context, Result};
use callboard::{command_kind::Kind, compose::ComposedCommand, ids::JobId};

use super::{Failure, JobContext, Progress};
use crate::{
    auth::{Caller, Role},
    error::{ApiError, Code},
};

/// What stands for a text that is kept back.
pub const KEPT_BACK: &str = "***";

/// Whether the job's contents are kept from the caller. Only VIEWERs cost a lookup, which is
/// batched.
pub async fn is_kept_back(ctx: &Context<'_>, job: JobId) -> Result<bool> {
    if !is_viewer(ctx) {
        return Ok(false);
    }
    Ok(JobContext::of(ctx)?.readers.private(job).await?.is_some())
}

/// Whether the caller may only read.
pub fn is_viewer(ctx: &Context<'_>) -> bool {
    Caller::of(ctx).is_none_or(|caller| caller.role < Role::Operator)
}

/// The error for a stream of contents that are kept from the caller.
pub(super) fn forbidden() -> ApiError {
    let message = "The command of this job keeps its log from VIEWERs. This requires an OPERATOR key.";
    ApiError::new(Code::Forbidden, message)
}

/// A composed command of which only the kind is shown.
pub fn hidden_command(kind: Kind) -> ComposedCommand {
    ComposedCommand {
        kind,
        program: None,
        arguments: Vec::new(),
        environment: std::collections::BTreeMap::new(),
        http: None,
        display: KEPT_BACK.to_owned(),
    }
}

impl Failure {
    /// The failure without its message, which may quote what the job printed.
    #[must_use]
    pub fn without_message(self) -> Self {
        Self { message: KEPT_BACK.to_owned(), ..self }
    }
}

impl Progress {
    /// The progress without its message.
    #[must_use]
    pub(super) fn without_message(self) -> Self {
        Self { message: self.message.map(|_| KEPT_BACK.to_owned()), ..self }
    }
}
