//! What a caller can mend, as mutations answer it in `userErrors`.
//!
//! Made from the core's refusals by every mutation; the codes are the contract's. Never used for bugs or outages.

use async_graphql::{Enum, SimpleObject};
use callboard::refusal::{Refusal, RefusalCode};

/// Something in the input that the caller can mend. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct UserError {
    /// What kind of problem.
    pub code: UserErrorCode,
    /// One sentence for people, which may change; programs look at `code` and `path`.
    pub message: String,
    /// Path into the input: `["input", "proxyIds", "0"]`. `["input"]` is the input as a whole.
    pub path: Vec<String>,
}

/// Why an input was refused. New codes may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// Something that the input names does not exist.
    NotFound,
    /// Out of bounds or of the wrong form.
    Invalid,
    /// The name or path is used already.
    Taken,
    /// Something else still needs it.
    InUse,
    /// The row changed since the version that the caller read.
    StaleVersion,
    /// Same idempotency key, other input.
    IdempotencyConflict,
    /// The template does not compose: unknown variable, missing input, secret where secrets may not stand.
    NotComposable,
    /// The state does not allow it, e.g. cancelling a finished job.
    NotAllowedInState,
    /// More than the bound that the message names.
    TooMany,
}

impl From<RefusalCode> for UserErrorCode {
    fn from(code: RefusalCode) -> Self {
        match code {
            RefusalCode::NotFound => Self::NotFound,
            RefusalCode::Invalid => Self::Invalid,
            RefusalCode::Taken => Self::Taken,
            RefusalCode::InUse => Self::InUse,
            RefusalCode::StaleVersion => Self::StaleVersion,
            RefusalCode::IdempotencyConflict => Self::IdempotencyConflict,
            RefusalCode::NotComposable => Self::NotComposable,
            RefusalCode::NotAllowedInState => Self::NotAllowedInState,
            RefusalCode::TooMany => Self::TooMany,
        }
    }
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, path } = refusal.below(&["input"]);
        Self { code: code.into(), message, path }
    }
}

/// All of a mutation's refusals.
pub fn user_errors(refusals: impl IntoIterator<Item = Refusal>) -> Vec<UserError> {
    refusals.into_iter().map(UserError::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_begins_with_input() {
        let error = UserError::from(Refusal::new(RefusalCode::NotFound, "proxyIds.0", "no such proxy"));
        assert_eq!(error.path, ["input", "proxyIds", "0"]);
        assert_eq!(error.code, UserErrorCode::NotFound);
        assert_eq!(UserError::from(Refusal::invalid("", "empty")).path, ["input"]);
    }
}
