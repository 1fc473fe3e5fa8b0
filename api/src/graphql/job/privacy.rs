//! What the command of a job keeps from VIEWERs: inputs, results, logs, messages and artifacts.

use std::sync::Arc;

use async_graphql::{Context, Result};
use callboard::{audit::Object, command_kind::Kind, compose::ComposedCommand, ids::JobId};
use futures::{Stream, StreamExt as _, stream};

use super::{Failure, JobContext, Progress};
use crate::{
    audit::{AuditLog, actor_in},
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

/// A stream of a job's contents, which ends with FORBIDDEN before the first item that is kept from
/// the caller. The command may become private at any time, so a VIEWER costs a lookup for each
/// item, which is batched over all streams.
pub(super) fn while_shown<S>(
    ctx: &Context<'_>,
    job: JobId,
    items: S,
) -> Result<impl Stream<Item = Result<S::Item>> + Send + use<S>>
where
    S: Stream + Send + 'static,
    S::Item: Send,
{
    if !is_viewer(ctx) {
        return Ok(items.map(Ok).left_stream());
    }
    let readers = Arc::clone(&JobContext::of(ctx)?.readers);
    let refusals = (ctx.data_opt::<AuditLog>().cloned(), actor_in(ctx), ctx.field().name().to_owned());
    let shown = stream::unfold(Some(Box::pin(items)), move |items| {
        let (readers, (log, actor, field)) = (Arc::clone(&readers), refusals.clone());
        async move {
            let mut items = items?;
            let item = items.next().await?;
            match readers.private(job).await {
                Ok(None) => Some((Ok(item), Some(items))),
                Ok(Some(())) => {
                    let error = forbidden();
                    if let Some(log) = log {
                        let object = Object::new("job", &job, None);
                        log.refused(&actor, &field, object, error.message.clone());
                    }
                    Some((Err(error.into()), None))
                }
                // The item is asked for again.
                Err(outage) => Some((Err(outage), Some(items))),
            }
        }
    });
    Ok(shown.right_stream())
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
