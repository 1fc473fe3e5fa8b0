//! The route `/graphql`: upgrades go to the sockets, everything else to HTTP.

use async_graphql::Executor;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware,
    response::Response,
    routing::any,
};

use super::client_policy::followed;
use crate::{client_connection::ClientConnection, endpoint::Endpoint, http, operation::RequestId, socket};

impl<E: Executor> Endpoint<E> {
    /// The route `/graphql`.
    pub fn router(self) -> Router {
        let origins = self.origins.clone();
        Router::new()
            .route("/graphql", any(handle::<E>))
            .with_state(self)
            .layer(middleware::from_fn_with_state(origins, crate::origin::apply_cors))
    }
}

async fn handle<E: Executor>(State(endpoint): State<Endpoint<E>>, request: Request) -> Response {
    let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| endpoint.engine.draw_id());
    if wants_socket(request.headers()) {
        return socket::upgrade(endpoint, request, &id).await;
    }
    http::respond(&endpoint, request, &id).await
}

fn wants_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Middleware that gives every request an id and returns it in a header, and tells the connection
/// how long the request is being answered.
pub(super) async fn name_request(mut request: Request, next: middleware::Next) -> Response {
    let answering = ClientConnection::of(request.extensions()).answer();
    let id = RequestId::draw(callboard::clock::IdSource);
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response.map(|body| followed(body, answering))
}
