//! Writes responses: status, content type, and the body with its keys in the executor's order.

use async_graphql::{Executor, ServerError};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{accept::Media, paced_body::PacedBody};
use crate::{
    error::{ApiError, Code, retry_after},
    operation::{Answer, Engine, RequestId, Written, is_request_error},
};

const GRAPHQL_JSON: HeaderValue =
    HeaderValue::from_static("application/graphql-response+json; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A body without the key `data`, which the specification reserves for operations that were run.
#[derive(Serialize)]
struct Refusal<'a> {
    errors: &'a [ServerError],
}

/// Writes the response of an operation in the client's media type.
pub(super) async fn write(media: Media, result: Answer) -> Response {
    let is_refused = is_request_error(&result);
    let code = result.errors.first().and_then(Code::of).unwrap_or(Code::Internal);
    let retry_after = result.errors.iter().find_map(retry_after);
    let is_limited = result.errors.iter().any(|error| Code::of(error) == Some(Code::RateLimited));
    let mut response = if is_refused {
        refusal(&result.errors)
    } else {
        let headers = result.http_headers.clone();
        let (text, slot) = result.write(|response| Written(response).to_text()).await;
        let mut response = Response::new(Body::new(PacedBody::of_answer(text, slot)));
        *response.headers_mut() = headers;
        response
    };
    let content_type = match media {
        Media::GraphqlJson => GRAPHQL_JSON,
        Media::Json | Media::EventStream => JSON,
    };
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    if is_refused && media == Media::GraphqlJson {
        *response.status_mut() = code.status();
    }
    // Proxies and clients slow down by the status, whatever the media type.
    if let Some(seconds) = retry_after {
        if is_limited {
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        }
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if is_refused && code == Code::Unauthenticated {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Writes the response to a malformed request, with this status whatever the media type.
pub(super) fn malformed<E: Executor>(
    engine: &Engine<E>,
    status: StatusCode,
    message: &str,
    id: &RequestId,
) -> Response {
    let refused = engine.refuse(&ApiError::new(Code::BadRequest, message), id);
    let mut response = refusal(&refused.errors);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::REQUEST_TIMEOUT {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Writes the response to an unsupported method.
pub(super) fn wrong_method<E: Executor>(
    engine: &Engine<E>,
    message: &str,
    allow: &'static str,
    id: &RequestId,
) -> Response {
    let mut response = malformed(engine, StatusCode::METHOD_NOT_ALLOWED, message, id);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn refusal(errors: &[ServerError]) -> Response {
    // Serialisation cannot fail, because errors consist of strings, numbers and lists.
    serde_json::to_string(&Refusal { errors }).unwrap_or_default().into_response()
}
