//! GraphQL over server-sent events in distinct connections mode: one operation per request, events
//! `next` and then `complete`.
//!
//! For networks that break WebSockets. A refused operation is sent as a `next` with errors and a
//! `complete`, because an `EventSource` never shows the body of a refused request. A client that
//! stops reading stops the stream. Only the socket's buffers hold data for it, and the connection's
//! guard closes it in the end. A large event has to be read at a pace.

use std::{convert::Infallible, time::Duration};

use async_graphql::Executor;
use axum::{
    body::Body,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{FutureExt as _, StreamExt as _, future, stream};

use tokio_util::sync::CancellationToken;

use super::{StreamGuards, paced_body::PacedBody};
use crate::{
    auth::CredentialWatch,
    endpoint::Endpoint,
    operation::{ReadyOperation, RequestId, Written},
};

/// Interval of keep-alive comments while nothing else is sent.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(12);

/// Writes the stream of an operation, or of the one response that refuses it.
pub(super) fn stream<E: Executor>(
    endpoint: &Endpoint<E>,
    prepared: Result<ReadyOperation, async_graphql::Response>,
    guards: StreamGuards,
    id: &RequestId,
) -> Response {
    let shutdown = endpoint.shutdown.clone();
    let ended = guards.watch.as_ref().map_or_else(CancellationToken::new, |watch| watch.ended().clone());
    // No `complete` on shutdown, because clients reconnect when the stream breaks off.
    let over = {
        let ended = ended.clone();
        async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = ended.cancelled() => {}
            }
        }
    };
    let results = match prepared {
        Ok(prepared) => endpoint.engine.stream(prepared, id.clone()).left_stream(),
        Err(refused) => stream::once(future::ready(refused.into())).right_stream(),
    };
    let (engine, proof, id) =
        (endpoint.engine.clone(), guards.watch.as_ref().map(CredentialWatch::proof), id.clone());
    let last = async move {
        let Some(proof) = proof.filter(|_| ended.is_cancelled()) else { return stream::iter(Vec::new()) };
        let why = engine.why_ended(proof).await;
        stream::iter(vec![next(&engine.refuse(&why, &id)), complete()])
    };
    let events = stream::unfold((Box::pin(results), None), |(mut results, sent)| async move {
        // The last event has been sent. Its slot must not wait for the next one, which may never
        // come or may need a slot itself.
        drop(sent);
        let (event, slot) = results.next().await?.write(next).await;
        Some((event, (results, slot)))
    });
    let events = events
        .chain(stream::once(future::ready(complete())))
        .take_until(Box::pin(over))
        // When the key or the session has ended, the client is told, because it would reconnect in
        // vain.
        .chain(last.flatten_stream())
        .map(move |event| {
            let _until_the_end = &guards;
            Ok::<_, Infallible>(event)
        });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_EVERY);
    // Asks reverse proxies (nginx) not to buffer events.
    ([("x-accel-buffering", "no")], Sse::new(events).keep_alive(keep_alive))
        .into_response()
        .map(|events| Body::new(PacedBody::of_events(events)))
}

fn next(result: &async_graphql::Response) -> Event {
    Event::default().event("next").data(Written(result).to_text())
}

fn complete() -> Event {
    Event::default().event("complete").data("")
}
