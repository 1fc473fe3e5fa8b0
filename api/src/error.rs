//! Top-level errors: bugs, authentication, limits and outages. What a caller can mend is a `userError` instead.
//!
//! Resolvers return [`ApiError`] or let a [`StoreError`] fall through with `?`; the transports write the code and
//! the request's id into the answer ([`classify`], called by `operation::finish` only). The text of an error that
//! has no code of ours never reaches a client.

use std::sync::Arc;

use async_graphql::{ServerError, Value};
use axum::http::StatusCode;
use callboard::store::StoreError;

/// The value of `extensions.code`; the contract lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is not of the right form.
    BadRequest,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document does not fit the schema.
    ValidationFailed,
    /// `after` or `before` is not a cursor of this list.
    BadCursor,
    /// No key, or one that is unknown, expired or revoked.
    Unauthenticated,
    /// The key's role does not allow it.
    Forbidden,
    /// A stream of something that is not there.
    NotFound,
    /// Over a bound on size, depth or cost.
    TooComplex,
    /// Too many at a time.
    RateLimited,
    /// Postgres or Redis is away, or it took too long.
    Unavailable,
    /// A bug of ours.
    Internal,
}

impl Code {
    /// As clients see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::ParseFailed => "PARSE_FAILED",
            Self::ValidationFailed => "VALIDATION_FAILED",
            Self::BadCursor => "BAD_CURSOR",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::TooComplex => "TOO_COMPLEX",
            Self::RateLimited => "RATE_LIMITED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// The status of an answer that has nothing but errors, as `application/graphql-response+json`.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest
            | Self::ParseFailed
            | Self::ValidationFailed
            | Self::BadCursor
            | Self::NotFound
            | Self::TooComplex => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Reads what [`ApiError::to_server_error`] wrote.
    pub fn of(error: &ServerError) -> Option<Self> {
        let Some(Value::String(code)) = error.extensions.as_ref()?.get("code") else {
            return None;
        };
        [
            Self::BadRequest,
            Self::ParseFailed,
            Self::ValidationFailed,
            Self::BadCursor,
            Self::Unauthenticated,
            Self::Forbidden,
            Self::NotFound,
            Self::TooComplex,
            Self::RateLimited,
            Self::Unavailable,
            Self::Internal,
        ]
        .into_iter()
        .find(|each| each.as_str() == code)
    }
}

/// An error that the client may read as it is. Use `?` on it in any resolver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind.
    pub code: Code,
    /// One sentence that says what is wrong and what to do.
    pub message: String,
}

impl ApiError {
    /// An error with this code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// For an operation that never got as far as a resolver: no path, code written.
    pub fn to_server_error(&self) -> ServerError {
        coded(self.code, ServerError::new(&self.message, None))
    }
}

/// Writes the code into the error.
pub fn coded(code: Code, mut error: ServerError) -> ServerError {
    error.extensions.get_or_insert_with(Default::default).set("code", code.as_str());
    error
}

/// What an error of the executor is to the outside: its code, and the text that a client may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What kind.
    pub code: Code,
    /// Replaces the error's own text; `None` leaves it as it is.
    pub message: Option<&'static str>,
}

/// Decides what an error is. Whatever is not known to be harmless is INTERNAL and loses its text.
pub fn classify(error: &ServerError) -> Verdict {
    if let Some(code) = Code::of(error) {
        return Verdict { code, message: None };
    }
    if let Some(known) = error.source::<ApiError>() {
        return Verdict { code: known.code, message: None };
    }
    // From a DataLoader an error comes shared, because it is of a whole batch.
    let shared = error.source::<Arc<StoreError>>().map(Arc::as_ref);
    if let Some(store) = error.source::<StoreError>().or(shared) {
        return classify_store(store);
    }
    if error.source.is_none() {
        if let Some(code) = code_of_framework_text(&error.message, !error.path.is_empty()) {
            return Verdict { code, message: None };
        }
        if error.path.is_empty() {
            return Verdict { code: Code::ValidationFailed, message: None };
        }
    }
    Verdict {
        code: Code::Internal,
        message: Some("Something went wrong on our side. The request's id finds it in the log."),
    }
}

const fn classify_store(error: &StoreError) -> Verdict {
    match error {
        StoreError::Unavailable(_) => Verdict {
            code: Code::Unavailable,
            message: Some("The database cannot be reached right now. Try again."),
        },
        StoreError::Contended(_) => Verdict {
            code: Code::Unavailable,
            message: Some("The database was too busy with the same rows. Nothing was changed. Try again."),
        },
        StoreError::CommitUnknown(_) => Verdict {
            code: Code::Unavailable,
            message: Some(
                "The connection to the database broke while the change was being committed: whether it happened is \
                 not known. With an idempotencyKey the same request can be sent again safely; otherwise look first.",
            ),
        },
        StoreError::Constraint { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Migrate(_)
        | StoreError::Outdated { .. }
        | StoreError::Unexpected(_) => Verdict {
            code: Code::Internal,
            message: Some("Something went wrong on our side. The request's id finds it in the log."),
        },
    }
}

/// Errors that async-graphql makes itself have no code and no type, only these texts (a test holds them).
fn code_of_framework_text(text: &str, was_run: bool) -> Option<Code> {
    const TOO_COMPLEX: [&str; 4] = [
        "Query is too complex.",
        "Query is nested too deep.",
        "The recursion depth of the query",
        "The number of directives on the field",
    ];
    // A value that fits its place by form but not by content, found when the resolver reads its argument.
    const BAD_VALUE: [&str; 3] =
        ["Failed to parse \"", "Expected input type \"", "Invalid value for argument"];
    if TOO_COMPLEX.iter().any(|known| text.starts_with(known)) {
        Some(Code::TooComplex)
    } else if was_run && BAD_VALUE.iter().any(|known| text.starts_with(known)) {
        Some(Code::BadRequest)
    } else {
        None
    }
}
