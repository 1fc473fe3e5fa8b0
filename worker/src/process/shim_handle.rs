//! The worker's hold on its running shims: tiny messages that never wait, so that the lease thread can move every
//! deadline while the runtime is busy.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use tokio::net::UnixStream;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::boottime_now;
use crate::shim::protocol::{Control, encode};

/// How long a shim that was told to kill may take to report, before it is killed itself and its tree by us.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The line to one shim. The shim kills its tree when this is let go of.
#[derive(Debug)]
pub(super) struct ShimHandle {
    number: u64,
    channel: Arc<UnixStream>,
    overdue: watch::Sender<Option<Instant>>,
    all: Arc<ShimHandles>,
}

/// Which of the worker's leases, counted; the first by default. A worker whose lease was lost begins another one; what
/// was won under the first must not run on under the second, because it is somebody else's by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseNumber(u64);

/// The state to all running shims.
#[derive(Debug, Default)]
pub(super) struct ShimHandles {
    state: Mutex<State>,
    renewed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lease: u64,
    /// CLOCK_BOOTTIME in nanoseconds; 0, which is long ago, until the worker has a lease.
    deadline: u64,
    next: u64,
    /// Those of the present lease.
    channels: HashMap<u64, Arc<UnixStream>>,
}

impl ShimHandles {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The present lease, once its deadline is ahead.
    pub(super) async fn lease(&self) -> LeaseNumber {
        loop {
            // Before the look, so that nothing is missed after it.
            let renewed = self.renewed.notified();
            {
                let state = self.state();
                if state.deadline > boottime_now() {
                    return LeaseNumber(state.lease);
                }
            }
            renewed.await;
        }
    }

    /// By when a program of this lease has to be dead, as things are; none when the lease is over.
    pub(super) fn deadline(&self, lease: LeaseNumber) -> Option<u64> {
        let state = self.state();
        (state.lease == lease.0).then_some(state.deadline)
    }

    /// Tells every running shim its new deadline. A shim whose socket is full is stopped; when it goes on it
    /// finds an old deadline and kills, which is as it should be.
    pub(super) fn extend(&self, deadline: u64) {
        let mut state = self.state();
        state.deadline = deadline;
        for channel in state.channels.values() {
            send_control(channel, &Control::Deadline(deadline));
        }
        self.renewed.notify_waiters();
    }

    /// Ends the present lease: its programs are killed, and never hear of a later deadline, should they not have noticed yet
    /// that theirs has passed.
    pub(super) fn begin_again(&self, deadline: u64) {
        let mut state = self.state();
        state.lease += 1;
        state.deadline = deadline;
        for (_, channel) in state.channels.drain() {
            send_control(&channel, &Control::Kill {});
        }
        self.renewed.notify_waiters();
    }
}

impl ShimHandle {
    /// Takes hold of a shim that has just read an order of a lease, with the deadline `told`. The receiver learns by when the
    /// shim has to have reported its end.
    pub(super) fn new(
        all: &Arc<ShimHandles>,
        channel: Arc<UnixStream>,
        lease: LeaseNumber,
        told: u64,
    ) -> (Self, watch::Receiver<Option<Instant>>) {
        let (overdue, receiver) = watch::channel(None);
        let mut state = all.state();
        state.next += 1;
        let number = state.next;
        // The deadline may have moved, or the lease have ended, between the order and our being on the list.
        if state.lease == lease.0 {
            state.channels.insert(number, Arc::clone(&channel));
            if state.deadline != told {
                send_control(&channel, &Control::Deadline(state.deadline));
            }
        } else {
            send_control(&channel, &Control::Kill {});
        }
        drop(state);
        (Self { number, channel, overdue, all: Arc::clone(all) }, receiver)
    }

    /// Asks the program to end; after the grace, the shim kills.
    pub(super) fn terminate(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        send_control(&self.channel, &Control::Terminate { grace_ms });
        self.expect_end(grace);
    }

    /// Has everything killed.
    pub(super) fn kill(&self) {
        send_control(&self.channel, &Control::Kill {});
        self.expect_end(Duration::ZERO);
    }

    fn expect_end(&self, grace: Duration) {
        self.overdue.send_replace(Instant::now().checked_add(grace.saturating_add(REPORT_TIMEOUT)));
    }
}

impl Drop for ShimHandle {
    fn drop(&mut self) {
        self.all.state().channels.remove(&self.number);
        // The supervisor still reads from the socket; the shim sees our half closed, and kills.
        shutdown(&*self.channel, Shutdown::Write).ok();
        self.expect_end(Duration::ZERO);
    }
}

/// Sends without waiting. A control message is so small that a socket takes it whole or not at all.
fn send_control(channel: &UnixStream, control: &Control) {
    if let Ok(frame) = encode(control) {
        send(channel, &frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
    }
}
