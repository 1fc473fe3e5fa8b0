//! Reads the body of a request, limited in size and time.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use futures::StreamExt as _;

/// Largest accepted body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// A larger body is read and discarded up to this size, because most clients read a response only
/// after they have sent everything.
const DISCARDED_BYTES_MAX: usize = 64 * BODY_BYTES_MAX;
/// The status and message for a body that could not be read.
pub(super) type NoBody = (StatusCode, String);

pub(super) async fn read(body: Body, arrival_max: Duration) -> Result<Vec<u8>, NoBody> {
    tokio::time::timeout(arrival_max, collect(body)).await.unwrap_or_else(|_elapsed| {
        Err((
            StatusCode::REQUEST_TIMEOUT,
            format!("The body did not arrive within {} s.", arrival_max.as_secs_f32()),
        ))
    })
}

async fn collect(body: Body) -> Result<Vec<u8>, NoBody> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| (StatusCode::BAD_REQUEST, "The body is incomplete.".to_owned()))?;
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
