//! What every request passes first: whose it is, whether its address has its share, and whether it
//! can be read in one way only.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use http_body::{Frame, SizeHint};

use super::ambiguous;
use crate::{
    client_address::{TrustedProxies, ViaProxy},
    client_connection::{Answering, ClientConnection},
    error::{ApiError, Code},
    shares::{self, Holder, Shares},
};

/// Paths whose requests are not charged to the address. Requests to `/graphql` are counted there,
/// when it is known whose they are. The others are what load balancers ask for, and a refusal would
/// look as if the server were down.
const NOT_COUNTED: [&str; 3] = ["/graphql", "/healthz", "/readyz"];

/// Whom the server believes, and how much each may take.
#[derive(Debug, Clone)]
pub struct ClientPolicy {
    /// The shares of addresses and keys.
    pub shares: Shares,
    /// The proxies that say for whom a request is.
    pub proxies: TrustedProxies,
}

impl ClientPolicy {
    /// Finds out whose a request is. Returns the refusal if its address has its share, or if the
    /// request is ambiguous.
    pub(super) fn admit(&self, request: &mut Request) -> Result<(), Box<Response>> {
        let Some(peer) = ClientConnection::of(request.extensions()).peer() else { return Ok(()) };
        let address = self.proxies.client(peer.ip(), request.headers());
        request.extensions_mut().insert(address);
        if self.proxies.trusts(peer.ip()) {
            request.extensions_mut().insert(ViaProxy);
        }
        let ambiguous = ambiguous::reason(request);
        let is_counted = ambiguous.is_some() || !NOT_COUNTED.contains(&request.uri().path());
        let counted = if is_counted { self.shares.request(Holder::at(address.0)) } else { Ok(()) };
        let ambiguous = ambiguous.map_or(Ok(()), |why| Err(ApiError::new(Code::BadRequest, why)));
        counted.and(ambiguous).map_err(|refused| Box::new(shares::refusal(&refused)))
    }
}

/// The body of a response. Once it is sent, the connection awaits another request.
pub(super) fn followed(body: Body, answering: Answering) -> Body {
    Body::new(Followed { body, _answering: answering })
}

struct Followed {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
