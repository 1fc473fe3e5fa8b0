//! The last hand on every answer: each error gets its code and the request's id, and loses any text that is not for
//! clients. Bugs and outages are logged here, once.

use async_graphql::{Response, ServerError, Value};

use super::RequestId;
use crate::error::{ApiError, Code, classify, coded};

/// Most errors of an operation that was not run; a document can have thousands.
const ERRORS_MAX: usize = 50;
/// Longest message, in characters; some repeat the value that they are about.
const MESSAGE_CHARS_MAX: usize = 1000;

/// An answer that says only why nothing was run.
pub fn refusal(error: ServerError, id: &RequestId) -> Response {
    finish(Response::from_errors(vec![error]), id)
}

/// The same for an error of ours.
pub(super) fn refusal_of(error: &ApiError, id: &RequestId) -> Response {
    refusal(error.to_server_error(), id)
}

/// Whether nothing was run: errors, none of which is about a field, and no data.
pub fn is_request_error(response: &Response) -> bool {
    response.is_err()
        && response.data == Value::Null
        && response.errors.iter().all(|error| error.path.is_empty())
}

/// Finishes an answer.
pub(super) fn finish(mut response: Response, id: &RequestId) -> Response {
    if is_request_error(&response) {
        response.errors.truncate(ERRORS_MAX);
    }
    response.errors = response.errors.into_iter().map(|error| finish_error(error, id)).collect();
    response
}

fn finish_error(mut error: ServerError, id: &RequestId) -> ServerError {
    let verdict = classify(&error);
    match verdict.code {
        Code::Internal => {
            tracing::error!(request_id = %id, path = ?error.path, error = error.message, "an operation failed");
        }
        Code::Unavailable => {
            tracing::warn!(request_id = %id, path = ?error.path, error = error.message, "an operation could not be done");
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
    if let Some(message) = verdict.message {
        message.clone_into(&mut error.message);
    } else if let Some((end, _)) = error.message.char_indices().nth(MESSAGE_CHARS_MAX) {
        error.message.truncate(end);
        error.message.push('…');
    }
    let mut error = coded(verdict.code, error);
    error.extensions.get_or_insert_default().set("requestId", id.as_str());
    error
}
