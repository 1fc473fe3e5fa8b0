//! GraphQL over server-sent events, distinct connections: one operation a request; events `next`, then `complete`.
//!
//! For networks that break WebSockets. What cannot be run is told as a `next` with errors and a `complete`, because an
//! `EventSource` never sees the body of a refused request. A client that stops reading stops the stream: nothing is
//! kept for it but what fits the socket's buffers, and the connection's guard closes it in the end.

use std::{convert::Infallible, time::Duration};

use async_graphql::{Executor, Response as GraphqlAnswer};
use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{StreamExt as _, future, stream};

use crate::{
    auth::Presented,
    endpoint::Endpoint,
    operation::{Prepared, RequestId},
};

/// A comment is sent after this much silence.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(12);

/// The stream of an operation, or of the one answer that says why there is none.
pub(super) fn stream<E: Executor>(
    endpoint: &Endpoint<E>,
    outcome: Result<Prepared, GraphqlAnswer>,
    presented: Presented,
    id: &RequestId,
) -> Response {
    let (engine, shutdown) = (endpoint.engine.clone(), endpoint.shutdown.clone());
    // No `complete` when the server goes down or the key ends: a client that sees the stream break off connects again.
    let over = async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = engine.until_revoked(presented) => {}
        }
    };
    let answers = match outcome {
        Ok(prepared) => endpoint.engine.stream(prepared, id.clone()).left_stream(),
        Err(answer) => stream::once(future::ready(answer)).right_stream(),
    };
    let events = answers
        .map(|answer| Event::default().event("next").data(serde_json::to_string(&answer).unwrap_or_default()))
        .chain(stream::once(future::ready(Event::default().event("complete").data(""))))
        .map(Ok::<_, Infallible>)
        .take_until(Box::pin(over));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_EVERY);
    // Asks proxies (nginx) not to wait for more before they pass events on.
    ([("x-accel-buffering", "no")], Sse::new(events).keep_alive(keep_alive)).into_response()
}
