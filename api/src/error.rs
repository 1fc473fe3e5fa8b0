//! Top-level errors for bugs, authentication, limits and outages. Errors that the caller can fix
//! are `userErrors` instead.
//!
//! Resolvers return [`ApiError`], or pass a [`StoreError`] up with `?`. [`classify`] decides which
//! code and text a client sees. The text of an error without one of our codes never reaches a
//! client.

use std::sync::Arc;

use async_graphql::{ServerError, Value};
use axum::http::StatusCode;
use callboard::store::StoreError;

/// The value of `extensions.code`. The contract lists the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is malformed.
    BadRequest,
    /// The document is not valid GraphQL.
    ParseFailed,
    /// The document does not match the schema.
    ValidationFailed,
    /// `after` or `before` is not a cursor of this list.
    BadCursor,
    /// The key is missing, unknown, expired or revoked.
    Unauthenticated,
    /// The key's role does not allow the operation.
    Forbidden,
    /// The object of a stream does not exist.
    NotFound,
    /// The document exceeds a limit on size, depth or cost.
    TooComplex,
    /// Too many operations run at once.
    RateLimited,
    /// Postgres or Redis is unreachable, or the operation timed out.
    Unavailable,
    /// A bug in Callboard.
    Internal,
}

impl Code {
    /// The code as clients see it.
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

    /// HTTP status of a response that contains only errors, for
    /// `application/graphql-response+json`.
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

    /// Returns the code that [`ApiError::to_server_error`] wrote, or `None` if the error has none.
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

/// An error whose text clients may read. Resolvers return it with `?`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The error's code.
    pub code: Code,
    /// One sentence that says what is wrong and what to do.
    pub message: String,
    /// Seconds after which the same request may succeed: the header `Retry-After`, and
    /// `extensions.retryAfter`.
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// Creates an error with this code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// Says after how many seconds the same request may succeed.
    #[must_use]
    pub fn with_retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// Converts the error for an operation that reached no resolver. The code is set and the path
    /// is empty.
    pub fn to_server_error(&self) -> ServerError {
        let mut error = coded(self.code, ServerError::new(&self.message, None));
        self.extend(&mut error);
        error
    }

    /// Adds what else the error tells beside its code.
    pub(crate) fn extend(&self, error: &mut ServerError) {
        if let Some(seconds) = self.retry_after {
            error.extensions.get_or_insert_default().set("retryAfter", seconds);
        }
    }
}

/// The seconds of `extensions.retryAfter`.
pub(crate) fn retry_after(error: &ServerError) -> Option<u64> {
    let Some(Value::Number(seconds)) = error.extensions.as_ref()?.get("retryAfter") else { return None };
    seconds.as_u64()
}

/// Sets the error's code.
pub fn coded(code: Code, mut error: ServerError) -> ServerError {
    error.extensions.get_or_insert_with(Default::default).set("code", code.as_str());
    error
}

/// The code and text that clients see for an error of the executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// The code to report.
    pub code: Code,
    /// Replaces the error's own text. `None` keeps it.
    pub message: Option<&'static str>,
}

/// Classifies an error of the executor. An error that is not known to be harmless becomes INTERNAL
/// and loses its text.
pub fn classify(error: &ServerError) -> Classified {
    if let Some(code) = Code::of(error) {
        return Classified { code, message: None };
    }
    if let Some(known) = error.source::<ApiError>() {
        return Classified { code: known.code, message: None };
    }
    if let Some(store) = store_error(error) {
        return classify_store(store);
    }
    if error.source.is_none() {
        if let Some(classified) = classify_framework_text(&error.message, !error.path.is_empty()) {
            return classified;
        }
        if error.path.is_empty() {
            return Classified { code: Code::ValidationFailed, message: None };
        }
    }
    Classified {
        code: Code::Internal,
        message: Some("An internal error occurred. Look up the request id in the server's log."),
    }
}

/// The store's error that a resolver returned, if it is one.
pub fn store_error(error: &ServerError) -> Option<&StoreError> {
    // A DataLoader shares one error among all keys of a batch.
    let shared = || error.source::<Arc<StoreError>>().map(Arc::as_ref);
    error.source::<StoreError>().or_else(shared)
}

const fn classify_store(error: &StoreError) -> Classified {
    match error {
        StoreError::Unavailable(_) => Classified {
            code: Code::Unavailable,
            message: Some("The database is unreachable or busy at the moment. Try again."),
        },
        StoreError::Contended(_) => Classified {
            code: Code::Unavailable,
            message: Some(
                "The database gave up, because a statement took too long or waited for a lock. Nothing was changed. Try again.",
            ),
        },
        StoreError::CommitUnknown(_) => Classified {
            code: Code::Unavailable,
            message: Some(
                "The database connection broke during the commit, so the change may or may not have been \
                 made. With an idempotencyKey, send the same request again. Otherwise check first.",
            ),
        },
        StoreError::Constraint { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Migrate(_)
        | StoreError::Outdated { .. }
        | StoreError::Unexpected(_) => Classified {
            code: Code::Internal,
            message: Some("An internal error occurred. Look up the request id in the server's log."),
        },
    }
}

/// What async-graphql says when an operation exceeds one of `query_limits`, and our text with the
/// limit where its own has none. A test compares the numbers.
pub(crate) const TOO_COMPLEX: [(&str, Option<&str>); 3] = [
    (
        "Query is nested too deep.",
        Some("The operation nests fields more than 20 levels deep. Ask for the inner objects by their ids."),
    ),
    ("The recursion depth of the query", None),
    ("The number of directives on the field", None),
];

/// async-graphql's own errors have no code and no type, only these texts. A test checks them.
fn classify_framework_text(text: &str, was_run: bool) -> Option<Classified> {
    // A value of the right form but with bad content, found when the resolver reads its argument.
    const BAD_VALUE: [&str; 3] =
        ["Failed to parse \"", "Expected input type \"", "Invalid value for argument"];
    if let Some((_, message)) = TOO_COMPLEX.iter().find(|(known, _)| text.starts_with(known)) {
        Some(Classified { code: Code::TooComplex, message: *message })
    } else if was_run && BAD_VALUE.iter().any(|known| text.starts_with(known)) {
        Some(Classified { code: Code::BadRequest, message: None })
    } else {
        None
    }
}
