//! A response, and whether the command expected it.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use callboard::{
    clock,
    limit::response::{BODY_CHARS_MAX, ServiceResponse, wait},
};
use reqwest::{
    Response, Url,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    body::{Body, BodyKind, bytes_max},
    emit,
    masks::Masks,
    problem::Problem,
};

/// Most bytes of all headers that are kept.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// Most characters of the body, and most bytes of the headers, in a failure's message.
const EXCERPT_CHARS_MAX: usize = 500;
const HEADERS_TEXT_BYTES_MAX: usize = 2 * 1024;
/// Parts of the names of headers by which a service's operators find a request.
const REQUEST_IDS: [&str; 6] = ["request-id", "requestid", "correlation-id", "trace", "cf-ray", "amz-id"];

/// The job's result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpResponse {
    status: u16,
    /// By lower-case name. Repeated ones are joined with `, `, and `set-cookie`, whose values
    /// contain commas, with a line break.
    headers: BTreeMap<String, String>,
    /// JSON if the response is JSON, and else text.
    body: Value,
    is_truncated: bool,
}

/// A response that was read.
#[derive(Debug)]
pub(super) struct Received {
    response: HttpResponse,
    retry_after: Option<Duration>,
    /// Why its body ends early.
    broken_off: Option<Problem>,
}

impl Received {
    /// Reads a response of `url` to its end or its bound, or as far as it came. Nothing of it is
    /// cut before its secrets are masked.
    pub(super) async fn read(mut response: Response, url: &Url, masks: &Masks) -> Self {
        let status = response.status().as_u16();
        let kind = kind(response.headers());
        let (headers, are_cut) = kept(response.headers(), masks);
        let redactor = &masks.text;
        let limits = text_headers(response.headers());
        let (max, mut bytes, mut is_cut) = (bytes_max(redactor), Vec::new(), false);
        let mut broken_off = None;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => {
                    broken_off = Some(Problem::broken_off(&error, url));
                    is_cut = true;
                    break;
                }
            };
            let room = max - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_cut = true;
                break;
            }
        }
        let Body { value: body, is_truncated, mut notes } = Body::read(bytes, is_cut, &kind, redactor);
        if let Some(problem) = &broken_off {
            notes.insert(0, sentence(&problem.message));
        }
        if are_cut {
            notes.push(format!("Headers beyond {HEADERS_BYTES_MAX} bytes were left out."));
        }
        for text in notes {
            emit(json!({ "type": "warning", "text": text }));
        }
        let response = HttpResponse { status, headers, body, is_truncated };
        let text: String = response.text().chars().take(BODY_CHARS_MAX).collect();
        // Whatever service it belongs to.
        let retry_after =
            wait(&ServiceResponse { status, headers: &limits, body: Some(&text), at: clock::now() });
        Self { response, retry_after, broken_off }
    }

    /// The body as text.
    pub(super) fn text(&self) -> Cow<'_, str> {
        self.response.text()
    }

    /// The result if the status is expected, or else the problem, which names the headers by which
    /// the request can be found.
    ///
    /// A status says what the request has done, also if the response breaks off after it. So a
    /// request that `changes` something is not sent again, and what was read is its result. One
    /// that changes nothing was made for the body, and another attempt may read all of it.
    pub(super) fn judged(
        self,
        is_expected: bool,
        not_followed: Option<&str>,
        changes: bool,
    ) -> Result<HttpResponse, Problem> {
        let Self { response, retry_after, broken_off } = self;
        let status = response.status;
        if is_expected {
            return match broken_off {
                Some(problem) if !changes => Err(problem),
                Some(_) | None => Ok(response),
            };
        }
        let excerpt: String = response.body.to_string().chars().take(EXCERPT_CHARS_MAX).collect();
        let headers = response.headers_text();
        let why = not_followed.map_or(String::new(), |why| format!(" {why}"));
        let message = format!("Status {status}: {excerpt}.{why} Headers: {headers}");
        // A server that asks to wait says that the same request may succeed later.
        let is_retryable = status >= 500 || matches!(status, 408 | 425 | 429) || retry_after.is_some();
        Err(Problem::new("HTTP_STATUS", message, is_retryable).after(retry_after))
    }
}

impl HttpResponse {
    fn text(&self) -> Cow<'_, str> {
        self.body.as_str().map_or_else(|| self.body.to_string().into(), Cow::Borrowed)
    }

    /// The headers as text, those with ids first.
    fn headers_text(&self) -> String {
        let mut headers: Vec<(&String, &String)> =
            self.headers.iter().filter(|(name, _)| name.as_str() != SET_COOKIE.as_str()).collect();
        headers.sort_by_key(|(name, _)| !REQUEST_IDS.iter().any(|part| name.contains(part)));
        let mut text = String::new();
        for (name, value) in headers {
            let one = format!("{name}: {value}");
            if text.len() + one.len() > HEADERS_TEXT_BYTES_MAX {
                break;
            }
            text.push_str(if text.is_empty() { "" } else { "; " });
            text.push_str(&one);
        }
        text
    }
}

fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    format!("{}.", first.chain(letters).collect::<String>())
}

/// A header's value. What is not UTF-8 is Latin-1, as HTTP had it first.
pub(super) fn text(value: &[u8]) -> String {
    std::str::from_utf8(value).map_or_else(|_| value.iter().copied().map(char::from).collect(), str::to_owned)
}

/// The value of a header, with repeated ones joined.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    values.join(if *name == SET_COOKIE { b"\n".as_slice() } else { b", " })
}

/// The headers without secrets, and whether some were left out.
fn kept(headers: &HeaderMap, masks: &Masks) -> (BTreeMap<String, String>, bool) {
    let (mut kept, mut bytes) = (BTreeMap::new(), 0);
    for name in headers.keys() {
        let value = masks.of_bytes(&joined(headers, name));
        let name = masks.names.redact(name.as_str()).into_owned();
        bytes += name.len() + value.len();
        if bytes > HEADERS_BYTES_MAX {
            return (kept, true);
        }
        kept.insert(name, value);
    }
    (kept, false)
}

fn kind(headers: &HeaderMap) -> BodyKind {
    let content_type = headers.get(CONTENT_TYPE).map(|value| text(value.as_bytes())).unwrap_or_default();
    let codings = text(&joined(headers, &CONTENT_ENCODING));
    let codings = codings.split(',').map(|coding| coding.trim().to_ascii_lowercase());
    BodyKind { content_type, codings: codings.filter(|coding| !coding.is_empty()).collect() }
}

/// Every header, with repeated ones joined.
fn text_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.keys().map(|name| (name.as_str().to_owned(), text(&joined(headers, name)))).collect()
}
