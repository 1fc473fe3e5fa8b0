//! What every request passes, and the route `/graphql`: upgrades go to the sockets, everything else
//! to HTTP.

use std::sync::Arc;

use async_graphql::Executor;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware,
    response::Response,
    routing::any,
};

use super::client_policy::{ClientPolicy, followed};
use crate::{
    client_connection::ClientConnection, endpoint::Endpoint, http, operation::RequestId, origin::with_cors,
    socket, web,
};

impl<E: Executor> Endpoint<E> {
    /// The route `/graphql`.
    pub fn router(self) -> Router {
        Router::new().route("/graphql", any(handle::<E>)).with_state(Arc::new(self))
    }
}

async fn handle<E: Executor>(State(endpoint): State<Arc<Endpoint<E>>>, request: Request) -> Response {
    with_cors(&endpoint.origins, request, |request| respond(&endpoint, request)).await
}

async fn respond<E: Executor>(endpoint: &Arc<Endpoint<E>>, request: Request) -> Response {
    let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| endpoint.engine.draw_id());
    if wants_socket(request.headers()) {
        return Box::pin(socket::upgrade(Arc::clone(endpoint), request, &id)).await;
    }
    http::respond(endpoint, request, &id).await
}

fn wants_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The middleware of all routes. Gives every request an id and returns it in a header, refuses what
/// the policy does not admit, secures every response, and tells the connection how long the request
/// is being answered.
///
/// One instead of one for each, because axum clones and boxes all that is below a middleware for
/// every request.
pub(super) async fn pass(
    State(policy): State<ClientPolicy>,
    mut request: Request,
    next: middleware::Next,
) -> Response {
    let answering = ClientConnection::of(request.extensions()).answer();
    let id = RequestId::draw(callboard::clock::IdSource);
    request.extensions_mut().insert(id.clone());
    let mut response = match policy.admit(&mut request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    };
    web::secure(response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response.map(|body| followed(body, answering))
}
