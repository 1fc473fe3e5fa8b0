//! The body of a request, bounded in bytes and time.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use futures::StreamExt as _;

/// Largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// A larger one is read to its end and thrown away up to here, because most clients only read an answer after they
/// have sent everything.
const DISCARDED_BYTES_MAX: usize = 64 * BODY_BYTES_MAX;
/// Longest that a body may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(20);

/// Why there is no body: a status and a sentence.
pub(super) type NoBody = (StatusCode, String);

/// Reads the whole body.
pub(super) async fn read(body: Body) -> Result<Vec<u8>, NoBody> {
    tokio::time::timeout(ARRIVAL_MAX, collect(body)).await.unwrap_or_else(|_elapsed| {
        Err((
            StatusCode::REQUEST_TIMEOUT,
            format!("The body did not arrive within {} s.", ARRIVAL_MAX.as_secs()),
        ))
    })
}

async fn collect(body: Body) -> Result<Vec<u8>, NoBody> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| (StatusCode::BAD_REQUEST, "The body broke off.".to_owned()))?;
        seen += chunk.len();
        if seen <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
        if seen > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if seen > BODY_BYTES_MAX {
        let message = format!("The body is larger than {BODY_BYTES_MAX} bytes.");
        return Err((StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    Ok(bytes)
}
