//! What the listener knows about a connection, and the services that use it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use axum::{extract::ConnectInfo, http::Extensions};
use parking_lot::Mutex;

use crate::{
    inbox::Inbox,
    shares::{Holder, ShareGuard, Shares},
};

/// The next request has not arrived as a whole.
const AWAITS: u8 = 0;
/// A request is being answered.
const ANSWERS: u8 = 1;
/// The connection is a socket now.
const SOCKET: u8 = 2;

/// A connection, as everybody sees it who serves it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ClientConnection(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// `None` for a connection that a test accepts itself.
    peer: Option<SocketAddr>,
    inbox: Inbox,
    phase: AtomicU8,
    /// Requests whose heads were complete.
    heads: AtomicU64,
    /// The connection's place, in the share of its address until it has signed in, and then in that
    /// of its key. `None` for the connections of a proxy, which has many clients.
    place: Mutex<Option<(Holder, ShareGuard)>>,
}

impl ClientConnection {
    pub(crate) fn new(peer: SocketAddr, inbox: Inbox, place: Option<(Holder, ShareGuard)>) -> Self {
        Self(Arc::new(State {
            peer: Some(peer),
            inbox,
            phase: AtomicU8::new(AWAITS),
            heads: AtomicU64::new(0),
            place: Mutex::new(place),
        }))
    }

    /// The connection of a request. A request of a test has none.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        let found = extensions.get::<ConnectInfo<Self>>();
        found.map_or_else(Self::default, |ConnectInfo(connection)| connection.clone())
    }

    /// The other end.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// What its client may send before a message is complete.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }

    /// Moves the connection's place to the share of the key that its client has signed in with.
    /// Returns whether there is room. If there is none, the place stays where it is.
    pub(crate) fn sign_in(&self, key: Holder, shares: &Shares) -> bool {
        let mut place = self.0.place.lock();
        match place.as_mut() {
            Some((holder, held)) if *holder != key => match shares.connection(key) {
                Some(taken) => {
                    (*holder, *held) = (key, taken);
                    true
                }
                None => false,
            },
            Some(_) | None => true,
        }
    }

    /// Whether the head of a request is due.
    pub(crate) fn awaits_head(&self) -> bool {
        self.0.phase.load(Ordering::Relaxed) == AWAITS
    }

    /// How many heads were complete.
    pub(crate) fn heads(&self) -> u64 {
        self.0.heads.load(Ordering::Relaxed)
    }

    /// The head of a request is complete. It is being answered until the guard is dropped.
    pub(crate) fn answer(&self) -> Answering {
        self.0.heads.fetch_add(1, Ordering::Relaxed);
        self.0.phase.store(ANSWERS, Ordering::Relaxed);
        Answering(self.clone())
    }

    /// No more heads are due, because the connection becomes a socket.
    pub(crate) fn become_socket(&self) {
        self.0.phase.store(SOCKET, Ordering::Relaxed);
    }
}

/// The answer to a request is not complete yet.
#[derive(Debug)]
pub(crate) struct Answering(ClientConnection);

impl Drop for Answering {
    fn drop(&mut self) {
        // A socket stays one, so this fails then.
        let phase = &self.0.0.phase;
        let _was = phase.compare_exchange(ANSWERS, AWAITS, Ordering::Relaxed, Ordering::Relaxed);
    }
}
