//! The payload of every deletion, and the conversion of a catalogue result into a payload's fields.

use std::sync::Arc;

use async_graphql::{Context, ID, SimpleObject};
use callboard::{refusal::Refusal, steps::StepError, store::StoreError};

use super::user_error::{UserError, user_errors};
use crate::audit::note_refusal;

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
    pub fn of(ctx: &Context<'_>, id: ID, done: Result<(), StepError>) -> Result<Self, Arc<StoreError>> {
        let (done, user_errors) = settle(ctx, done)?;
        Ok(Self { deleted_id: done.map(|()| id), user_errors })
    }
}

/// Splits the result of a mutation into the two fields of its payload, and records a refusal.
/// Outages and bugs are returned as errors.
pub fn settle<T>(
    ctx: &Context<'_>,
    done: Result<T, StepError>,
) -> Result<(Option<T>, Vec<UserError>), Arc<StoreError>> {
    match done {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(StepError::Refused(refusals)) => Ok((None, refuse(ctx, refusals))),
        Err(StepError::Store(error)) => Err(error),
    }
}

/// The `userErrors` of a mutation that is refused, which the audit records without their messages:
/// a message may quote what was given.
pub fn refuse(ctx: &Context<'_>, refusals: impl IntoIterator<Item = Refusal>) -> Vec<UserError> {
    let errors = user_errors(refusals);
    note_refusal(ctx, || {
        let place = |error: &UserError| format!("{:?} {}", error.code, error.path.join("."));
        errors.iter().map(place).collect::<Vec<_>>().join(", ")
    });
    errors
}
