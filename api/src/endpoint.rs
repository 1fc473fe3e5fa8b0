//! The state that the transports of `/graphql` share: engine, allowed origins, shares of clients,
//! open sockets and their limits.

use std::{net::IpAddr, time::Duration};

use async_graphql::Executor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::Access,
    client_address::TrustedProxies,
    client_connection::ClientConnection,
    error::ApiError,
    operation::Engine,
    origin::Origins,
    shares::{self, Holder, ShareGuard, Shares},
};

/// Time limit for the body of a request to arrive.
pub const BODY_ARRIVAL_MAX: Duration = Duration::from_secs(20);

/// The shared state of the handlers of `/graphql`.
#[derive(Debug, Clone)]
pub struct Endpoint<E> {
    /// Runs the operations.
    pub engine: Engine<E>,
    /// Sites whose pages may open sockets and read responses.
    pub origins: Origins,
    /// What each address and key may take.
    pub shares: Shares,
    /// The proxies that say for whom a request is.
    pub proxies: TrustedProxies,
    /// Time limit for the body of a request to arrive.
    pub body_arrival_max: Duration,
    /// Cancelled on shutdown, so that streams end and sockets close with 1001.
    pub shutdown: CancellationToken,
    /// Tracks open sockets, so that shutdown can wait for them.
    pub sockets: TaskTracker,
    /// Time limits of sockets.
    pub socket_limits: crate::endpoint::SocketLimits,
}

impl<E: Executor> Endpoint<E> {
    /// Creates an endpoint for this engine.
    pub fn new(engine: Engine<E>, origins: Origins) -> Self {
        Self {
            engine,
            origins,
            shares: Shares::default(),
            proxies: TrustedProxies::none(),
            body_arrival_max: BODY_ARRIVAL_MAX,
            shutdown: CancellationToken::new(),
            sockets: TaskTracker::new(),
            socket_limits: crate::endpoint::SocketLimits::default(),
        }
    }

    /// Counts a request or an operation, or refuses it because its holder has its share.
    pub(crate) fn count(&self, access: &Access, address: Option<IpAddr>) -> Result<(), ApiError> {
        Holder::of(access, address).map_or(Ok(()), |holder| self.shares.request(holder))
    }

    /// Counts a socket or an event stream until it is dropped. Refuses it if its holder has its
    /// share.
    pub(crate) fn count_stream(
        &self,
        access: &Access,
        address: Option<IpAddr>,
    ) -> Result<Option<ShareGuard>, ApiError> {
        let Some(holder) = Holder::of(access, address) else { return Ok(None) };
        self.shares.socket(holder).map(Some).ok_or_else(|| shares::too_many_sockets(holder))
    }

    /// Moves a connection to the share of the key that it has signed in with.
    pub(crate) fn count_connection(
        &self,
        connection: &ClientConnection,
        access: &Access,
    ) -> Result<(), ApiError> {
        let key = access.caller().map(|caller| Holder::Key(caller.credential.key()));
        let has_room = key.is_none_or(|key| connection.sign_in(key, &self.shares));
        if has_room { Ok(()) } else { Err(shares::too_many_connections()) }
    }
}

/// Time limits of a socket. The defaults are documented, tests use shorter ones.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// Time for `connection_init` to arrive.
    pub init: Duration,
    /// Time for a client to sign in. Then a socket without a key is closed, unless an operation is
    /// running.
    pub sign_in: Duration,
    /// Interval of pings.
    pub ping_every: Duration,
    /// Maximum time without any message from the client, including pongs.
    pub idle: Duration,
    /// Maximum time that the client reads nothing while frames are waiting.
    pub stall: Duration,
    /// Time limit of the closing handshake.
    pub farewell: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            init: Duration::from_secs(3),
            sign_in: Duration::from_secs(10),
            ping_every: Duration::from_secs(15),
            idle: Duration::from_secs(45),
            stall: Duration::from_secs(10),
            farewell: Duration::from_secs(2),
        }
    }
}
