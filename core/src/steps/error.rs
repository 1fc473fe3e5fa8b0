//! Why a verb did nothing.

use crate::{
    refusal::{Refusal, RefusalCode, no_such_id},
    store::StoreError,
};

/// Why a verb did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The caller can mend it: everything that is wrong with the request, never empty.
    #[error("refused: {}", .0.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    /// Postgres failed, or a row is corrupt.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CatalogueError {
    /// The object itself is not there.
    pub(crate) fn no(noun: &str) -> Self {
        Self::refused(RefusalCode::NotFound, &["id"], no_such_id(noun))
    }

    /// A single refusal.
    pub(crate) fn refused(code: RefusalCode, path: &[&str], message: impl Into<String>) -> Self {
        Self::Refused(vec![Refusal::new(code, "", message).below(path)])
    }
}
