//! The payload of every deletion, and the conversion of a catalogue result into a payload's fields.

use async_graphql::{Context, Error, ID, Result, SimpleObject};
use callboard::{evaluator::Unavailable, refusal::Refusal, steps::StepError};

use super::{
    job_loaders::outage,
    user_error::{UserError, user_errors},
};
use crate::{
    audit::note_refusal,
    error::{ApiError, Code},
};

/// Seconds after which what was not evaluated may be asked for again.
const RETRY_AFTER: u64 = 1;

/// Returned by every mutation that deletes an object.
#[derive(Debug, SimpleObject)]
pub struct DeletePayload {
    /// The id of the deleted object. Null when the input was refused.
    pub deleted_id: Option<ID>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

impl DeletePayload {
    /// Creates the payload for the deletion of `id`.
    pub fn of(ctx: &Context<'_>, id: ID, done: Result<(), StepError>) -> Result<Self> {
        let (done, user_errors) = settle(ctx, done)?;
        Ok(Self { deleted_id: done.map(|()| id), user_errors })
    }
}

/// Splits the result of a mutation into the two fields of its payload, and records a refusal.
/// Outages, bugs and a busy evaluator are returned as errors.
pub fn settle<T>(ctx: &Context<'_>, done: Result<T, StepError>) -> Result<(Option<T>, Vec<UserError>)> {
    match done {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(StepError::Refused(refusals)) => Ok((None, refuse(ctx, refusals))),
        Err(StepError::Store(error)) => Err(outage(error)),
        Err(StepError::Evaluator(why)) => Err(unevaluated(&why)),
    }
}

/// The error of what was not evaluated, which says nothing of what the caller gave.
pub fn unevaluated(why: &Unavailable) -> Error {
    let message = match why {
        Unavailable::Busy | Unavailable::NotLight => {
            "The server is busy evaluating commands. Nothing was changed. Try again in a second."
        }
        Unavailable::Failed(why) => {
            tracing::error!(why, "could not evaluate what a caller gave");
            "What you gave could not be evaluated at the moment. Nothing was changed. Try again."
        }
    };
    ApiError::new(Code::Unavailable, message).with_retry_after(RETRY_AFTER).into()
}

/// The `userErrors` of a mutation that is refused, which the audit records without their messages:
/// a message may quote what was given.
pub fn refuse(ctx: &Context<'_>, refusals: impl IntoIterator<Item = Refusal>) -> Vec<UserError> {
    let errors = user_errors(refusals);
    note_refusal(ctx, || {
        let place = |error: &UserError| format!("{} {}", error.code.as_str(), error.path.join("."));
        errors.iter().map(place).collect::<Vec<_>>().join(", ")
    });
    errors
}
