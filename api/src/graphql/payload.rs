//! The payload of every deletion, and the conversion of a catalogue result into a payload's fields.

use std::sync::Arc;

use async_graphql::{ID, SimpleObject};
use callboard::{steps::StepError, store::StoreError};

use super::user_error::{UserError, user_errors};

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
    pub fn of(id: ID, done: Result<(), StepError>) -> Result<Self, Arc<StoreError>> {
        let (done, user_errors) = settle(done)?;
        Ok(Self { deleted_id: done.map(|()| id), user_errors })
    }
}

/// Splits a result of the catalogue into the two fields of a payload. Outages and bugs are returned
/// as errors.
pub fn settle<T>(done: Result<T, StepError>) -> Result<(Option<T>, Vec<UserError>), Arc<StoreError>> {
    match done {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(StepError::Refused(refusals)) => Ok((None, user_errors(refusals))),
        Err(StepError::Store(error)) => Err(error),
    }
}
