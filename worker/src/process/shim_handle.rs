//! Sends control messages to running shims. Sending never waits, so that the heartbeat's thread can
//! move all deadlines while the runtime is busy.

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

/// How long a shim that kills may take to report. After that the worker kills the shim and its
/// tree.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// The connection to one shim. The shim kills its tree when this is dropped.
#[derive(Debug)]
pub(super) struct ShimHandle {
    number: u64,
    channel: Arc<UnixStream>,
    overdue: watch::Sender<Option<Instant>>,
    all: Arc<ShimHandles>,
}

/// Numbers the worker's leases, from 0. Jobs claimed under one must not run under the next, because
/// other workers may hold them by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseNumber(u64);

/// The connections to all running shims.
#[derive(Debug, Default)]
pub(super) struct ShimHandles {
    state: Mutex<State>,
    renewed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lease: u64,
    /// Nanoseconds of CLOCK_BOOTTIME; 0, which has passed, until the worker has a lease.
    deadline: u64,
    next: u64,
    /// Of shims of the current lease.
    channels: HashMap<u64, Arc<UnixStream>>,
}

impl ShimHandles {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits until a lease's deadline is in the future. Returns the lease.
    pub(super) async fn lease(&self) -> LeaseNumber {
        loop {
            // Before the check, so that no renewal is missed after it.
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

    /// When programs of this lease die unless it is renewed. `None` if the lease has ended.
    pub(super) fn deadline(&self, lease: LeaseNumber) -> Option<u64> {
        let state = self.state();
        (state.lease == lease.0).then_some(state.deadline)
    }

    /// Sends the new deadline to every running shim. A full socket means a suspended shim. When it
    /// resumes, it finds an old deadline and kills its tree, as it should.
    pub(super) fn extend(&self, deadline: u64) {
        let mut state = self.state();
        state.deadline = deadline;
        for channel in state.channels.values() {
            send_control(channel, &Control::Deadline(deadline));
        }
        self.renewed.notify_waiters();
    }

    /// Begins the next lease. Programs of the current one are killed, and their shims never get a
    /// later deadline, even if they have not noticed yet that theirs has passed.
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
    /// Registers a shim that has just read a request with the deadline `sent`. The receiver gets
    /// the time by which the shim must have reported its end.
    pub(super) fn new(
        all: &Arc<ShimHandles>,
        channel: Arc<UnixStream>,
        lease: LeaseNumber,
        sent: u64,
    ) -> (Self, watch::Receiver<Option<Instant>>) {
        let (overdue, receiver) = watch::channel(None);
        let mut state = all.state();
        state.next += 1;
        let number = state.next;
        // Since the request was built, the deadline may have moved or the lease may have ended.
        if state.lease == lease.0 {
            state.channels.insert(number, Arc::clone(&channel));
            if state.deadline != sent {
                send_control(&channel, &Control::Deadline(state.deadline));
            }
        } else {
            send_control(&channel, &Control::Kill {});
        }
        drop(state);
        (Self { number, channel, overdue, all: Arc::clone(all) }, receiver)
    }

    /// Asks the program to end. The shim kills after the grace period.
    pub(super) fn terminate(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        send_control(&self.channel, &Control::Terminate { grace_ms });
        self.expect_end(grace);
    }

    /// Has the shim kill everything.
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
        // The supervisor still reads from the socket. The shim sees that the worker's half is
        // closed, and kills.
        shutdown(&*self.channel, Shutdown::Write).ok();
        self.expect_end(Duration::ZERO);
    }
}

/// Sends without waiting. A control message is small enough that a socket takes it whole or not at
/// all.
fn send_control(channel: &UnixStream, control: &Control) {
    if let Ok(frame) = encode(control) {
        send(channel, &frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
    }
}
