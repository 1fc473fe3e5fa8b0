//! What a client of a socket may send before its message is complete.
//!
//! The library keeps the parts of a message until the last one, and there may be 20,000 sockets. So
//! the bytes are counted where they are read from the connection. A client that has not signed in
//! gets little room. Of messages above [`SMALL_BYTES_MAX`] only [`LARGE_AT_A_TIME`] are received at
//! a time. The others wait in the network.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

/// Largest message that needs no permit, in bytes.
pub const SMALL_BYTES_MAX: usize = 256 * 1024;
/// Maximum number of larger messages that are received at a time.
pub(crate) const LARGE_AT_A_TIME: usize = 64;
/// The bound of a connection that is no socket: HTTP has its own.
const UNBOUND: usize = usize::MAX;

/// The room of one connection, shared by what reads from it and by its socket.
#[derive(Debug, Clone)]
pub struct Inbox(Arc<State>);

#[derive(Debug)]
struct State {
    /// Maximum of `unread`, in bytes.
    bound: AtomicUsize,
    /// Bytes of the message that is not complete yet.
    unread: AtomicUsize,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self(Arc::new(State {
            bound: AtomicUsize::new(UNBOUND),
            unread: AtomicUsize::new(0),
            permit: Mutex::default(),
        }))
    }
}

impl Inbox {
    /// Bounds every message from now on, in bytes.
    pub(crate) fn bind(&self, bound: usize) {
        self.0.bound.store(bound, Ordering::Relaxed);
    }

    /// Whether a message is longer than its bound.
    pub(crate) fn is_over(&self) -> bool {
        self.0.unread.load(Ordering::Relaxed) > self.0.bound.load(Ordering::Relaxed)
    }

    /// Gives the room of a complete message back.
    pub(crate) fn empty(&self) {
        self.0.unread.store(0, Ordering::Relaxed);
        *self.0.permit.lock() = None;
    }

    /// Gives the room of a control frame back, which may stand between the parts of a message.
    pub(crate) fn forget(&self, bytes: usize) {
        let less = |unread: usize| Some(unread.saturating_sub(bytes));
        let _before = self.0.unread.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn count(&self, bytes: usize) {
        if self.0.bound.load(Ordering::Relaxed) != UNBOUND {
            self.0.unread.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// The side of an [`Inbox`] that reads.
#[derive(Debug)]
pub(crate) struct Intake {
    inbox: Inbox,
    permits: PollSemaphore,
}

impl Intake {
    pub(crate) fn new(permits: Arc<Semaphore>) -> Self {
        Self { inbox: Inbox::default(), permits: PollSemaphore::new(permits) }
    }

    pub(crate) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Ready when more may be read. Fails if the message is longer than its bound.
    pub(crate) fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.inbox.is_over() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long")));
        }
        let is_large = self.inbox.0.unread.load(Ordering::Relaxed) > SMALL_BYTES_MAX;
        if is_large && self.inbox.0.permit.lock().is_none() {
            // The semaphore is never closed, so this always gets a permit.
            let permit = ready!(self.permits.poll_acquire(context));
            *self.inbox.0.permit.lock() = permit;
        }
        Poll::Ready(Ok(()))
    }

    /// Counts bytes that were read.
    pub(crate) fn count(&self, bytes: usize) {
        self.inbox.count(bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::poll_fn};

    use super::*;

    async fn room(intake: &mut Intake) -> io::Result<()> {
        poll_fn(|context| intake.poll_room(context)).await
    }

    #[tokio::test]
    async fn messages_are_bounded_and_large_ones_wait_for_each_other() {
        let permits = Arc::new(Semaphore::new(1));
        let [mut one, mut other] = [Intake::new(Arc::clone(&permits)), Intake::new(permits)];
        one.count(1 << 30);
        room(&mut one).await.unwrap();
        for intake in [&mut one, &mut other] {
            intake.inbox().bind(2 * SMALL_BYTES_MAX);
            intake.count(SMALL_BYTES_MAX + 1);
        }
        room(&mut one).await.unwrap();
        assert!(room(&mut other).now_or_never().is_none(), "one large message at a time");
        one.inbox().empty();
        room(&mut other).await.unwrap();

        one.inbox().bind(100);
        for _ in 0..1000 {
            one.count(16);
            one.inbox().forget(16);
        }
        one.count(100);
        room(&mut one).await.unwrap();
        one.count(1);
        assert!(one.inbox().is_over());
        room(&mut one).await.unwrap_err();
    }
}
