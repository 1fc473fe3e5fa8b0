//! The state that the transports of `/graphql` share: engine, allowed origins, open sockets and
//! their limits.

use std::time::Duration;

use async_graphql::Executor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{operation::Engine, origin::Origins};

/// The shared state of the handlers of `/graphql`.
#[derive(Debug, Clone)]
pub struct Endpoint<E> {
    /// Runs the operations.
    pub engine: Engine<E>,
    /// Sites whose pages may open sockets and read responses.
    pub origins: Origins,
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
            shutdown: CancellationToken::new(),
            sockets: TaskTracker::new(),
            socket_limits: crate::endpoint::SocketLimits::default(),
        }
    }
}

/// Time limits of a socket. The defaults are documented, tests use shorter ones.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// Time for `connection_init` to arrive.
    pub init: Duration,
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
            ping_every: Duration::from_secs(15),
            idle: Duration::from_secs(45),
            stall: Duration::from_secs(10),
            farewell: Duration::from_secs(2),
        }
    }
}
