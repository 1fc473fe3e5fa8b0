//! What mutations answer: the object, or what the caller can mend; and the payload of every delete.

use async_graphql::{ID, SimpleObject};
use callboard::{steps::CatalogueError, store::StoreError};

use super::user_error::{UserError, user_errors};

/// The answer to a delete.
#[derive(Debug, SimpleObject)]
pub struct DeletePayload {
    /// Id of what is gone; null when nothing was deleted.
    pub deleted_id: Option<ID>,
    /// Why nothing was deleted; empty when it was.
    pub user_errors: Vec<UserError>,
}

impl DeletePayload {
    /// After a verb that deletes `id`.
    pub fn of(id: ID, done: Result<(), CatalogueError>) -> Result<Self, StoreError> {
        let (done, user_errors) = settle(done)?;
        Ok(Self { deleted_id: done.map(|()| id), user_errors })
    }
}

/// What a verb answered, as the two fields of a payload. Outages and bugs go up.
pub fn settle<T>(done: Result<T, CatalogueError>) -> Result<(Option<T>, Vec<UserError>), StoreError> {
    match done {
        Ok(value) => Ok((Some(value), Vec::new())),
        Err(CatalogueError::Refused(refusals)) => Ok((None, user_errors(refusals))),
        Err(CatalogueError::Store(error)) => Err(error),
    }
}
