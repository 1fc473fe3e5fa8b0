//! GraphQL over HTTP by its specification, on one URL with server-sent events and the WebSocket upgrade.
//!
//! Mounted by `server`. Decides by method and `Accept` only; the form of a request is read in `envelope`, the form of
//! an answer written in `answer`. Never takes batches, uploads, or anything that a form of another site could send.

mod accept;
mod answer;
mod body;
mod envelope;
mod origin;
mod sse;

use async_graphql::Executor;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware,
    response::Response,
    routing::any,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use body::BODY_BYTES_MAX;
pub(crate) use envelope::Envelope;
pub use origin::Origins;

use crate::{
    auth::Presented,
    graphql::error::{ApiError, Code},
    operation::{Engine, Kind, Prepared, RequestId},
    socket,
};
use accept::Media;

/// What the handlers of `/graphql` need.
#[derive(Debug, Clone)]
pub struct Endpoint<E> {
    /// Runs the operations.
    pub engine: Engine<E>,
    /// Whose pages may open sockets and read answers.
    pub origins: Origins,
    /// Cancelled when the server goes down: streams end, sockets close with 1001.
    pub shutdown: CancellationToken,
    /// Knows every open socket, so that shutting down can wait for them.
    pub sockets: TaskTracker,
    /// Time limits of sockets.
    pub socket_limits: socket::Limits,
}

impl<E: Executor> Endpoint<E> {
    /// An endpoint for this engine.
    pub fn new(engine: Engine<E>, origins: Origins) -> Self {
        Self {
            engine,
            origins,
            shutdown: CancellationToken::new(),
            sockets: TaskTracker::new(),
            socket_limits: socket::Limits::default(),
        }
    }

    /// The route `/graphql`.
    pub fn router(self) -> Router {
        let origins = self.origins.clone();
        Router::new()
            .route("/graphql", any(handle::<E>))
            .with_state(self)
            .layer(middleware::from_fn_with_state(origins, origin::answer_browsers))
    }
}

async fn handle<E: Executor>(State(endpoint): State<Endpoint<E>>, request: Request) -> Response {
    let id = request.extensions().get::<RequestId>().cloned().unwrap_or_else(|| endpoint.engine.draw_id());
    if wants_socket(request.headers()) {
        return socket::upgrade(endpoint, request, &id).await;
    }
    let Some(media) = accept::choose(request.headers()) else {
        let message = "Accept application/graphql-response+json, application/json or text/event-stream.";
        return answer::malformed(&endpoint.engine, StatusCode::NOT_ACCEPTABLE, message, &id);
    };
    let mut response = operate(&endpoint, request, media, &id).await;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn operate<E: Executor>(
    endpoint: &Endpoint<E>,
    request: Request,
    media: Media,
    id: &RequestId,
) -> Response {
    let engine = &endpoint.engine;
    let (is_get, presented) = (request.method() == Method::GET, Presented::in_headers(request.headers()));
    let reader = Reader { media, presented, id };
    let incoming = match envelope::read(request).await {
        Ok(envelope) => envelope.into_request(),
        Err(refused) => return refused.into_response(engine, id),
    };
    let access = match engine.admit(presented).await {
        Ok(access) => access,
        Err(error) => return reader.respond(endpoint, Err(engine.refuse(&error, id))).await,
    };
    let prepared = match engine.prepare(incoming, &access, id) {
        Ok(prepared) => prepared,
        Err(response) => return reader.respond(endpoint, Err(*response)).await,
    };
    if is_get && prepared.kind == Kind::Mutation {
        return answer::wrong_method(engine, "A mutation must be sent by POST.", "POST", id);
    }
    if prepared.kind == Kind::Subscription && media != Media::EventStream {
        let message =
            "A subscription needs a WebSocket (graphql-transport-ws) or `Accept: text/event-stream`.";
        let refused = engine.refuse(&ApiError::new(Code::BadRequest, message), id);
        return reader.respond(endpoint, Err(refused)).await;
    }
    reader.respond(endpoint, Ok(prepared)).await
}

/// Who reads the answer, and how.
struct Reader<'a> {
    media: Media,
    presented: Presented,
    id: &'a RequestId,
}

impl Reader<'_> {
    /// Runs what was prepared, or tells why nothing was, in the form that the client reads.
    async fn respond<E: Executor>(
        &self,
        endpoint: &Endpoint<E>,
        outcome: Result<Prepared, async_graphql::Response>,
    ) -> Response {
        match (self.media, outcome) {
            (Media::EventStream, outcome) => sse::stream(endpoint, outcome, self.presented, self.id),
            (Media::GraphqlJson | Media::Json, Ok(prepared)) => {
                answer::write(self.media, endpoint.engine.answer(prepared, self.id).await)
            }
            (Media::GraphqlJson | Media::Json, Err(response)) => answer::write(self.media, response),
        }
    }
}

fn wants_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Gives a request its id, and the answer the header with it. For every route of the server.
pub async fn name_request(mut request: Request, next: middleware::Next) -> Response {
    let id = RequestId::draw(callboard::clock::IdSource);
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
