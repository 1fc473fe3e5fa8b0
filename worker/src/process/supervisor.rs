//! Follows one shim from its request to its end. One task per running attempt.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::time::Timespec;
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::{Exit, StartError, cleanup::Cleanup, pool_thread::Request};
use crate::shim::protocol::{Inbox, Status};

/// A shim that was taken from the pool. Dropping this reports to the pool that the shim has ended.
#[derive(Debug)]
pub(super) struct TrackedShim {
    pub(super) handle: Arc<OwnedFd>,
    pub(super) requests: Sender<Request>,
}

impl TrackedShim {
    pub(super) const fn new(handle: Arc<OwnedFd>, requests: Sender<Request>) -> Self {
        Self { handle, requests }
    }

    /// Whether it has exited. Does not wait.
    pub(super) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&now)) == Ok(1)
    }
}

impl Drop for TrackedShim {
    fn drop(&mut self) {
        // An error means that the pool has closed.
        self.requests.send(Request::Ended(Arc::clone(&self.handle))).ok();
    }
}

pub(super) struct Supervisor {
    channel: Arc<UnixStream>,
    inbox: Inbox,
    shim: TrackedShim,
    /// When the shim must have reported, once it was asked to terminate or kill.
    overdue: watch::Receiver<Option<Instant>>,
    cleanup: Cleanup,
}

impl Supervisor {
    pub(super) fn new(
        channel: Arc<UnixStream>,
        shim: TrackedShim,
        overdue: watch::Receiver<Option<Instant>>,
        cleanup: Cleanup,
    ) -> Self {
        Self { channel, inbox: Inbox::default(), shim, overdue, cleanup }
    }

    /// Sends the result of the start, and then the exit. Either receiver may be gone.
    pub(super) async fn run(
        mut self,
        started: oneshot::Sender<Result<i32, StartError>>,
        ended: oneshot::Sender<Exit>,
    ) {
        let answer = match self.next_status().await {
            Some(Status::Started { pid }) => Ok(pid),
            Some(Status::Busy) => Err(StartError::ProfileBusy),
            Some(Status::Refused { code, message }) => Err(StartError::Refused { code, message }),
            Some(Status::Exited(_)) | None => {
                self.cleanup.run(&self.shim).await;
                Err(StartError::failed("the shim was killed"))
            }
        };
        let runs = answer.is_ok();
        started.send(answer).ok();
        if !runs {
            return;
        }
        let exit = match self.next_status().await {
            Some(Status::Exited(exited)) => Exit::reported(exited),
            Some(Status::Started { .. } | Status::Busy | Status::Refused { .. }) | None => {
                Exit::shim_lost(self.cleanup.run(&self.shim).await)
            }
        };
        ended.send(exit).ok();
    }

    /// Waits for the shim's next status. Returns `None` if it has exited or broken the protocol.
    async fn next_status(&mut self) -> Option<Status> {
        let mut is_killed = false;
        loop {
            match self.inbox.next() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "a shim broke the protocol and is killed");
                    self.kill();
                    return None;
                }
            }
            tokio::select! {
                open = receive(&self.channel, &mut self.inbox) => {
                    if !open {
                        return None;
                    }
                }
                () = passed(&mut self.overdue), if !is_killed => {
                    tracing::error!("a shim did not report its end in time and is killed");
                    self.kill();
                    is_killed = true;
                }
            }
        }
    }

    fn kill(&self) {
        // An error means that it has exited.
        pidfd_send_signal(&self.shim.handle, Signal::KILL).ok();
    }
}

/// Waits for bytes. Returns false if there will be no more.
async fn receive(channel: &UnixStream, inbox: &mut Inbox) -> bool {
    let mut buffer = [0; 1024];
    loop {
        if channel.readable().await.is_err() {
            return false;
        }
        match channel.try_read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                inbox.push(&buffer[..length]);
                return true;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}

/// Waits until the time has passed. It may be set or moved meanwhile.
async fn passed(moment: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let due = *moment.borrow_and_update();
        let changed = async {
            if moment.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        match due {
            None => changed.await,
            Some(due) => tokio::select! {
                () = sleep_until(due) => return,
                () = changed => {}
            },
        }
    }
}
