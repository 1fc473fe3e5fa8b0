//! GraphQL over HTTP as specified, on one URL with server-sent events and the WebSocket upgrade.
//!
//! The method and `Accept` select the transport, `envelope` reads requests and `response` writes
//! responses. Batches, uploads, and anything that an HTML form of another site could send are
//! refused.

mod accept;
mod body;
mod envelope;
mod paced_body;
mod response;
mod sse;

use async_graphql::Executor;
use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::Response,
};

pub use body::BODY_BYTES_MAX;

use crate::{
    auth::{Access, Client, CredentialWatch, Presented},
    client_address::{ClientAddress, ViaProxy},
    client_connection::ClientConnection,
    endpoint::Endpoint,
    error::{ApiError, Code, retry_after},
    operation::{Kind, ReadyOperation, RequestId},
    shares::{self, ShareGuard},
};
use accept::Media;

/// Responds to a request that is not an upgrade to a WebSocket.
pub(crate) async fn respond<E: Executor>(
    endpoint: &Endpoint<E>,
    request: Request,
    id: &RequestId,
) -> Response {
    let Some(media) = accept::choose(request.headers()) else {
        let message = "Accept application/graphql-response+json, application/json or text/event-stream.";
        return response::malformed(&endpoint.engine, StatusCode::NOT_ACCEPTABLE, message, id);
    };
    let mut response = operate(endpoint, request, media, id).await;
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
    let (is_get, headers) = (request.method() == Method::GET, request.headers());
    let address = ClientAddress::of(request.extensions());
    let cookie_refusal = endpoint.origins.cookie_refusal(headers, ViaProxy::of(request.extensions()));
    let client = Client::of_request(headers, address, media.transport(), cookie_refusal);
    let presented = Presented::in_headers(headers, &client);
    let connection = ClientConnection::of(request.extensions());
    let mut reader = Reader { media, guards: StreamGuards::default(), id };
    // Strangers are counted before anything is done for them: before the body is read, and before
    // what they show is looked up.
    let is_stranger = !engine.has_accepted(&presented);
    if is_stranger && let Err(refused) = endpoint.count(&Access::Anonymous, address) {
        return shares::refusal(&refused);
    }
    let incoming = match envelope::read(request, endpoint.body_arrival_max).await {
        Ok(envelope) => envelope.into_request(),
        Err(refused) => return refused.into_response(engine, id),
    };
    let admitted = engine.admit(&presented, &client).await;
    let access = admitted.as_ref().unwrap_or(&Access::Anonymous);
    if let Err(refused) = endpoint.count_connection(&connection, access) {
        return shares::refusal(&refused);
    }
    let is_counted = is_stranger && access.caller().is_none();
    if !is_counted && let Err(refused) = endpoint.count(access, address) {
        return shares::refusal(&refused);
    }
    let access = match admitted {
        Ok(access) => access,
        Err(error) => return reader.respond(endpoint, Err(engine.refuse(&error, id))).await,
    };
    let prepared = match engine.prepare(incoming.data(presented), &access, client, id) {
        Ok(prepared) => prepared,
        Err(response) => return reader.respond(endpoint, Err(*response)).await,
    };
    if is_get && prepared.kind == Kind::Mutation {
        return response::wrong_method(engine, "A mutation must be sent by POST.", "POST", id);
    }
    if prepared.kind == Kind::Subscription && media != Media::EventStream {
        let message =
            "A subscription requires a WebSocket (graphql-transport-ws) or `Accept: text/event-stream`.";
        let refused = engine.refuse(&ApiError::new(Code::BadRequest, message), id);
        return reader.respond(endpoint, Err(refused)).await;
    }
    if media == Media::EventStream {
        match endpoint.count_stream(&access, address) {
            Ok(share) => {
                reader.guards = StreamGuards { watch: engine.watch(&access), _share: share };
            }
            Err(refused) => return shares::refusal(&refused),
        }
    }
    reader.respond(endpoint, Ok(prepared)).await
}

/// What an event stream has for as long as it is open.
#[derive(Debug, Default)]
struct StreamGuards {
    /// The key or the session of its client.
    watch: Option<CredentialWatch>,
    /// Its place in the share of its holder.
    _share: Option<ShareGuard>,
}

/// The client of a request: its media type, and what its stream keeps.
struct Reader<'a> {
    media: Media,
    guards: StreamGuards,
    id: &'a RequestId,
}

impl Reader<'_> {
    /// Runs a prepared operation, or reports why it was refused, in the client's media type.
    async fn respond<E: Executor>(
        self,
        endpoint: &Endpoint<E>,
        prepared: Result<ReadyOperation, async_graphql::Response>,
    ) -> Response {
        match (self.media, prepared) {
            // An event would hide that the client must wait.
            (Media::EventStream, Err(refused)) if must_wait(&refused) => {
                response::write(Media::GraphqlJson, refused.into()).await
            }
            (Media::EventStream, prepared) => sse::stream(endpoint, prepared, self.guards, self.id),
            (Media::GraphqlJson | Media::Json, Ok(prepared)) => {
                response::write(self.media, endpoint.engine.run(prepared, self.id).await).await
            }
            (Media::GraphqlJson | Media::Json, Err(refused)) => {
                response::write(self.media, refused.into()).await
            }
        }
    }
}

fn must_wait(refused: &async_graphql::Response) -> bool {
    refused.errors.iter().any(|error| retry_after(error).is_some())
}
