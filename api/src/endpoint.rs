//! What the transports of `/graphql` share: the engine, the origins that may use it, open sockets and their limits.

use std::time::Duration;

use async_graphql::Executor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{operation::Engine, origin::Origins};

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
    pub socket_limits: crate::endpoint::SocketLimits,
}

impl<E: Executor> Endpoint<E> {
    /// An endpoint for this engine.
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

/// Time limits of a socket. The default is what the documentation says; tests wait less.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// `connection_init` must come within this.
    pub init: Duration,
    /// A ping goes out this often.
    pub ping_every: Duration,
    /// A client that was silent for this long, pongs included, is gone.
    pub idle: Duration,
    /// A client that takes nothing for this long is gone.
    pub stall: Duration,
    /// The closing handshake may take this long.
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
