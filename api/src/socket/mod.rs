//! GraphQL over WebSocket with the protocol `graphql-transport-ws`, compatible with the library
//! graphql-ws.
//!
//! A socket is one task that reads and writes. Each of its operations is a task of its own. All of
//! them share one bounded queue to the writer, so a client that does not read holds at most
//! [`QUEUE_FRAMES_MAX`] frames and is dropped after [`Limits::stall`].
//!
//! A key comes in the upgrade's `Authorization` header or, since browsers cannot set it, in
//! `connection_init`, and a session in the upgrade's cookie. Without either the socket is accepted
//! and operations return UNAUTHENTICATED. A wrong key closes the socket with the reason, and so
//! does the end of its key or session.

mod close;
mod connection;
mod frames;
mod operations;
mod writer;

use std::sync::Arc;

use async_graphql::Executor;
use async_graphql_axum::GraphQLProtocol;
use axum::{
    extract::{FromRequestParts as _, Request, WebSocketUpgrade},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

pub use close::Close;

use crate::{
    auth::{Access, Client, Presented, Transport},
    client_address::{ClientAddress, ViaProxy},
    client_connection::ClientConnection,
    endpoint::Endpoint,
    inbox::SMALL_BYTES_MAX,
    operation::RequestId,
    shares,
};
use connection::Origin;

/// The only supported protocol.
const PROTOCOL: &str = "graphql-transport-ws";
/// Maximum number of concurrent operations on one socket.
pub const OPERATIONS_MAX: usize = 50;
/// Largest message from a client that is carried out, in bytes. Larger inputs must be sent over
/// HTTP.
pub const MESSAGE_BYTES_MAX: usize = SMALL_BYTES_MAX;
/// Largest message that is received, in bytes, as over HTTP. One above [`MESSAGE_BYTES_MAX`] is
/// received only to refuse its operation by its id. A still larger one closes the socket.
pub const RECEIVED_BYTES_MAX: usize = 1024 * 1024;
/// Largest message of a client that has not signed in, in bytes. A larger one closes the socket.
pub const UNSIGNED_BYTES_MAX: usize = 16 * 1024;
/// Largest payload of a `ping` message that its `pong` repeats, in bytes of JSON. The answer to a
/// larger one has none.
pub const PING_PAYLOAD_BYTES_MAX: usize = 1024;
/// What may come with the largest message: the heads of its frames and the beginning of the next.
const FRAMING_BYTES: usize = 16 * 1024;
/// Maximum number of frames that wait for the writer.
pub const QUEUE_FRAMES_MAX: usize = 32;
/// Most bytes of answers that wait for the writer, together with the one that is sent.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// Sizes of a socket's buffers, in bytes. They are small, because there are thousands of sockets.
const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;

/// Responds to an upgrade request.
pub(crate) async fn upgrade<E: Executor>(
    endpoint: Arc<Endpoint<E>>,
    request: Request,
    id: &RequestId,
) -> Response {
    let is_via_proxy = ViaProxy::of(request.extensions());
    let address = ClientAddress::of(request.extensions());
    // It is counted by its address until it signs in, which may be by its first message only.
    if let Err(refused) = endpoint.count(&Access::Anonymous, address) {
        return shares::refusal(&refused);
    }
    if !endpoint.origins.allow_socket(request.headers(), is_via_proxy) {
        tracing::warn!(request_id = %id, origin = ?request.headers().get("origin"), "refused a socket from a page of another site");
        return (StatusCode::FORBIDDEN, "Pages from this origin may not open sockets.\n").into_response();
    }
    let headers = request.headers();
    let cookie_refusal = endpoint.origins.cookie_refusal(headers, is_via_proxy);
    let client = Client::of_request(headers, address, Transport::Socket, cookie_refusal);
    let presented = Presented::in_headers(headers, &client);
    let connection = ClientConnection::of(request.extensions());
    let (mut parts, _body) = request.into_parts();
    if let Err(status) = GraphQLProtocol::from_request_parts(&mut parts, &()).await {
        return (status, "Offer the WebSocket protocol graphql-transport-ws.\n").into_response();
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let share = match endpoint.count_stream(&Access::Anonymous, address) {
        Ok(share) => share,
        Err(refused) => return shares::refusal(&refused),
    };
    let sockets = endpoint.sockets.clone();
    connection.become_socket();
    connection.inbox().bind(UNSIGNED_BYTES_MAX);
    let origin = Origin { client, connection, share };
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(RECEIVED_BYTES_MAX)
        .max_frame_size(RECEIVED_BYTES_MAX)
        .on_upgrade(move |socket| {
            sockets.track_future(connection::serve(socket, endpoint, presented, origin))
        })
}
