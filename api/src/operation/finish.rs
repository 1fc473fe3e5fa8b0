//! Completes every response: adds codes and the request id to errors, and removes texts that are
//! not for clients.
//!
//! Bugs and outages are logged here, once.

use async_graphql::{Response, ServerError, Value};

use super::RequestId;
use crate::{
    error::{ApiError, Code, classify, coded},
    graphql::roots::DESCRIPTION,
};

/// Maximum number of errors in a response to an operation that was not run. A document can cause
/// thousands.
const ERRORS_MAX: usize = 50;
/// Longest error message, in characters. Some messages repeat the value that they are about.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Creates the response for an operation that was not run.
pub fn refusal(error: ServerError, id: &RequestId) -> Response {
    finish(Response::from_errors(vec![error]), id)
}

/// Creates the response for an operation that was refused with one of our errors.
pub(super) fn refusal_of(error: &ApiError, id: &RequestId) -> Response {
    refusal(error.to_server_error(), id)
}

/// Whether the operation was not run, which shows in errors without a path and no data.
pub fn is_request_error(response: &Response) -> bool {
    response.is_err()
        && response.data == Value::Null
        && response.errors.iter().all(|error| error.path.is_empty())
}

pub(super) fn finish(mut response: Response, id: &RequestId) -> Response {
    if is_request_error(&response) {
        response.errors.truncate(ERRORS_MAX);
    }
    response.errors = response.errors.into_iter().map(|error| finish_error(error, id)).collect();
    response
}

/// Puts the schema's description in place of the one that async-graphql gives every schema. A test
/// checks its text.
pub(super) fn describe_schema(data: &mut Value) {
    const OF_EVERY_SCHEMA: &str = "A GraphQL Schema defines the capabilities of a GraphQL server. It exposes \
        all available types and directives on the server, as well as the entry points for query, mutation, \
        and subscription operations.";
    let Value::Object(fields) = data else { return };
    for field in fields.values_mut() {
        let Value::Object(fields) = field else { continue };
        for value in fields.values_mut() {
            if matches!(value, Value::String(text) if text == OF_EVERY_SCHEMA) {
                *value = Value::String(DESCRIPTION.to_owned());
            }
        }
    }
}

fn finish_error(mut error: ServerError, id: &RequestId) -> ServerError {
    let classified = classify(&error);
    match classified.code {
        Code::Internal => {
            tracing::error!(request_id = %id, path = ?error.path, error = error.message, "an operation failed");
        }
        Code::Unavailable => {
            tracing::warn!(request_id = %id, path = ?error.path, error = error.message, "an operation could not be carried out");
        }
        Code::BadRequest
        | Code::ParseFailed
        | Code::ValidationFailed
        | Code::BadCursor
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::TooComplex
        | Code::RateLimited => {}
    }
    if let Some(message) = classified.message {
        message.clone_into(&mut error.message);
    } else if let Some((end, _)) = error.message.char_indices().nth(MESSAGE_CHARS_MAX) {
        error.message.truncate(end);
        error.message.push('…');
    }
    let known = error.source::<ApiError>().cloned();
    let mut error = coded(classified.code, error);
    if let Some(known) = known {
        known.extend(&mut error);
    }
    error.extensions.get_or_insert_default().set("requestId", id.as_str());
    error
}
