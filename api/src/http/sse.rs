//! GraphQL over server-sent events in distinct connections mode: one operation per request, events
//! `next` and then `complete`.
//!
//! For networks that break WebSockets. A refused operation is sent as a `next` with errors and a
//! `complete`, because an `EventSource` never shows the body of a refused request. A client that
//! stops reading stops the stream. Only the socket's buffers hold data for it, and the connection's
//! guard closes it in the end.

use std::{convert::Infallible, time::Duration};

use async_graphql::Executor;
use axum::response::{
    IntoResponse as _, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures::{FutureExt as _, StreamExt as _, future, stream};

use tokio_util::sync::CancellationToken;

use super::StreamGuards;
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
    let mut being_sent = None;
    let (engine, proof, id) =
        (endpoint.engine.clone(), guards.watch.as_ref().map(CredentialWatch::proof), id.clone());
    let last = async move {
        let Some(proof) = proof.filter(|_| ended.is_cancelled()) else { return stream::iter(Vec::new()) };
        let why = engine.why_ended(proof).await;
        stream::iter(vec![next(&engine.refuse(&why, &id)), complete()])
    };
    let events = results
        .then(|answer| answer.write(next))
        .map(move |(event, slot)| {
            // Replaced when the next event is asked for, because this one has been sent then.
            let _sent = std::mem::replace(&mut being_sent, slot);
            event
        })
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
    ([("x-accel-buffering", "no")], Sse::new(events).keep_alive(keep_alive)).into_response()
}

fn next(result: &async_graphql::Response) -> Event {
    Event::default().event("next").data(Written(result).to_text())
}

fn complete() -> Event {
    Event::default().event("complete").data("")
}
