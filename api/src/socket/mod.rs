//! GraphQL over WebSocket: the protocol `graphql-transport-ws`, as the library graphql-ws speaks it.
//!
//! `http` hands upgrades over. A socket is one task that reads and writes; each of its operations is a task of its
//! own, and all of them share one bounded queue to the writer, so that a client that does not read costs
//! [`QUEUE_FRAMES_MAX`] frames and is dropped after [`SocketLimits::stall`](crate::endpoint::SocketLimits::stall). Closing codes are in `close`.
//!
//! A key comes in the upgrade's `Authorization` header or, where a browser cannot set one, in `connection_init`. No key
//! is taken, and then operations answer UNAUTHENTICATED; a wrong one closes the socket.

mod close;
mod connection;
mod frames;
mod operations;
mod writer;

use async_graphql::Executor;
use async_graphql_axum::GraphQLProtocol;
use axum::{
    extract::{FromRequestParts as _, Request, WebSocketUpgrade},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

pub use close::Close;

use crate::{auth::Presented, endpoint::Endpoint, operation::RequestId};

/// The protocol that is spoken, whatever else the client offers.
const PROTOCOL: &str = "graphql-transport-ws";
/// Most operations that run at a time on one socket.
pub const OPERATIONS_MAX: usize = 50;
/// Largest message of a client, in bytes. Larger inputs go by HTTP.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Frames that wait for the writer.
pub const QUEUE_FRAMES_MAX: usize = 32;
/// Buffers of a socket, in bytes: small, because there are thousands.
const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// Answers an upgrade.
pub(crate) async fn upgrade<E: Executor>(
    endpoint: Endpoint<E>,
    request: Request,
    id: &RequestId,
) -> Response {
    if !endpoint.origins.allow_socket(request.headers()) {
        tracing::warn!(request_id = %id, origin = ?request.headers().get("origin"), "a page of another site was refused a socket");
        return (StatusCode::FORBIDDEN, "Pages of this origin may not open sockets here.\n").into_response();
    }
    let presented = Presented::in_headers(request.headers());
    let (mut parts, _body) = request.into_parts();
    if let Err(status) = GraphQLProtocol::from_request_parts(&mut parts, &()).await {
        return (status, "Offer the WebSocket protocol graphql-transport-ws.\n").into_response();
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let sockets = endpoint.sockets.clone();
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| sockets.track_future(connection::serve(socket, endpoint, presented)))
}
