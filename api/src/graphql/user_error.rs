//! The `userErrors` of mutations: what was wrong with the input and where.
//!
//! Made from the core's refusals. Never used for bugs or outages.

use async_graphql::{
    Enum, SimpleObject,
    resolver_utils::{EnumItem, EnumType as _},
};
use callboard::refusal::{Refusal, RefusalCode};

/// Most problems of one input that are returned.
const ERRORS_MAX: usize = 1000;

/// A problem with the input that the caller can fix. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct UserError {
    /// The kind of problem.
    pub code: UserErrorCode,
    /// One sentence for people. The wording may change, so programs should use `code` and `path`.
    pub message: String,
    /// Path into the input, such as `["input", "proxyIds", "0"]`. `["input"]` is the input as a
    /// whole. Of a query without `input` it begins with the argument. What follows `commandId` is a
    /// path within that command.
    pub path: Vec<String>,
}

/// Why an input was refused. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// An object that the input names does not exist.
    NotFound,
    /// The value is malformed or out of bounds.
    Invalid,
    /// The name or path is already used.
    Taken,
    /// Another object still uses this one.
    InUse,
    /// The object changed since the version that the caller read.
    StaleVersion,
    /// The idempotency key was used for a different request.
    IdempotencyConflict,
    /// The template does not compose: an unknown variable, a missing input, or a secret where
    /// secrets are not allowed. What a job lacks for a saved command is refused at the field that
    /// gives it: `profileId`, `proxyId`, `serviceIds` or below `input`.
    NotComposable,
    /// The state does not allow it, such as cancelling a finished job.
    NotAllowedInState,
    /// The limit named in the message is exceeded.
    TooMany,
}

impl UserErrorCode {
    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        let is_it = |item: &&EnumItem<Self>| item.value == self;
        Self::items().iter().find(is_it).map_or("", |item| item.name)
    }
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
        let Refusal { code, message, path, lacks: _ } = refusal.below(&["input"]);
        Self { code: code.into(), message, path }
    }
}

/// Converts all refusals of a mutation.
pub fn user_errors(refusals: impl IntoIterator<Item = Refusal>) -> Vec<UserError> {
    let mut refusals = refusals.into_iter();
    let mut errors: Vec<UserError> = refusals.by_ref().take(ERRORS_MAX).map(UserError::from).collect();
    match refusals.count() {
        0 => {}
        more => {
            let message = format!("There are {more} more problems, which show once these are mended.");
            errors.push(Refusal::new(RefusalCode::TooMany, "", message).into());
        }
    }
    errors
}

/// Converts the refusals of a query whose arguments are fields of their own: the path begins with
/// the argument.
pub fn argument_errors(refusals: impl IntoIterator<Item = Refusal>) -> Vec<UserError> {
    let of_argument =
        |Refusal { code, message, path, lacks: _ }| UserError { code: code.into(), message, path };
    refusals.into_iter().map(of_argument).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_anyone_reads_is_counted() {
        let refused = |count: usize| user_errors((0..count).map(|_| Refusal::invalid("labels", "is empty")));
        assert_eq!(refused(ERRORS_MAX).len(), ERRORS_MAX);
        let errors = refused(ERRORS_MAX + 7);
        assert_eq!(errors.len(), ERRORS_MAX + 1);
        let last = errors.last().unwrap();
        assert!(last.message.contains("7 more problems"), "{last:?}");
    }

    #[test]
    fn the_path_begins_with_input() {
        let error = UserError::from(Refusal::new(RefusalCode::NotFound, "proxyIds.0", "no such proxy"));
        assert_eq!(error.path, ["input", "proxyIds", "0"]);
        assert_eq!(error.code, UserErrorCode::NotFound);
        assert_eq!(UserError::from(Refusal::invalid("", "empty")).path, ["input"]);
    }
}
