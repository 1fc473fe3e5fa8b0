//! The worker's hold on its running shims: tiny messages that never wait, so that the lease thread can move every
//! deadline while the runtime is busy.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::{SendFlags, Shutdown, send, shutdown};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::shim::protocol::{Control, encode};

/// How long a shim that was told to kill may take to report, before it is killed itself and its tree by us.
const SHIM_PATIENCE: Duration = Duration::from_secs(10);

/// The line to one shim. The shim kills its tree when this is let go of.
#[derive(Debug)]
pub(super) struct Leash {
    number: u64,
    channel: Arc<UnixStream>,
    overdue: watch::Sender<Option<Instant>>,
    all: Arc<Leashes>,
}

/// The lines to all running shims.
#[derive(Debug, Default)]
pub(super) struct Leashes {
    /// CLOCK_BOOTTIME in nanoseconds; 0, which is long ago, until the worker has a lease.
    deadline: AtomicU64,
    next: AtomicU64,
    channels: Mutex<HashMap<u64, Arc<UnixStream>>>,
}

impl Leashes {
    pub(super) fn deadline(&self) -> u64 {
        self.deadline.load(Ordering::SeqCst)
    }

    /// Tells every running shim its new deadline. A shim whose socket is full is stopped; when it goes on it
    /// finds an old deadline and kills, which is as it should be.
    pub(super) fn extend(&self, deadline: u64) {
        self.deadline.store(deadline, Ordering::SeqCst);
        for channel in self.channels().values() {
            tell(channel, &Control::Deadline(deadline));
        }
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<u64, Arc<UnixStream>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leash {
    /// Takes hold of a shim that has just read an order with the deadline `told`. The receiver learns by when the
    /// shim has to have reported its end.
    pub(super) fn new(
        all: &Arc<Leashes>,
        channel: Arc<UnixStream>,
        told: u64,
    ) -> (Self, watch::Receiver<Option<Instant>>) {
        let number = all.next.fetch_add(1, Ordering::Relaxed);
        let (overdue, receiver) = watch::channel(None);
        let leash = Self { number, channel, overdue, all: Arc::clone(all) };
        all.channels().insert(number, Arc::clone(&leash.channel));
        // The deadline may have moved between the order and our being on the list.
        let deadline = all.deadline();
        if deadline != told {
            tell(&leash.channel, &Control::Deadline(deadline));
        }
        (leash, receiver)
    }

    /// Asks the program to end; after the grace, the shim kills.
    pub(super) fn terminate(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        tell(&self.channel, &Control::Terminate { grace_ms });
        self.expect_end(grace);
    }

    /// Has everything killed.
    pub(super) fn kill(&self) {
        tell(&self.channel, &Control::Kill {});
        self.expect_end(Duration::ZERO);
    }

    fn expect_end(&self, grace: Duration) {
        self.overdue.send_replace(Instant::now().checked_add(grace.saturating_add(SHIM_PATIENCE)));
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.all.channels().remove(&self.number);
        // The supervisor still reads from the socket; the shim sees our half closed, and kills.
        shutdown(&*self.channel, Shutdown::Write).ok();
        self.expect_end(Duration::ZERO);
    }
}

/// Sends without waiting. A control message is so small that a socket takes it whole or not at all.
fn tell(channel: &UnixStream, control: &Control) {
    if let Ok(frame) = encode(control) {
        send(channel, &frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
    }
}
