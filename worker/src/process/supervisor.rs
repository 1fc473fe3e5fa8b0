//! Follows one shim from its order to its end. One task per running attempt; called by `running`.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::time::Timespec;
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::{Exit, StartError, cleanup::Cleanup, shim_pool::Request};
use crate::shim::protocol::{Inbox, Status};

/// A shim that exists. The shim_pool is told when it no longer does.
#[derive(Debug)]
pub(super) struct TrackedShim {
    pub(super) handle: Arc<OwnedFd>,
    pub(super) requests: Sender<Request>,
}

impl TrackedShim {
    pub(super) fn new(handle: Arc<OwnedFd>, requests: Sender<Request>) -> Self {
        Self { handle, requests }
    }

    /// Whether it is dead, without waiting.
    pub(super) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&now)) == Ok(1)
    }
}

impl Drop for TrackedShim {
    fn drop(&mut self) {
        self.requests.send(Request::Ended(Arc::clone(&self.handle))).ok(); // the shim_pool may have closed
    }
}

pub(super) struct Supervisor {
    channel: Arc<UnixStream>,
    inbox: Inbox,
    shim: TrackedShim,
    /// By when the shim has to have reported, once it was told to kill.
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

    /// Tells how the start went, then how the run ended. Whoever asked may have given up.
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
                Err(StartError::failed("it was killed"))
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

    /// Waits for the shim's next word. `None`: it is dead, or nothing that can be trusted any more.
    async fn next_status(&mut self) -> Option<Status> {
        let mut is_killed = false;
        loop {
            match self.inbox.next() {
                Ok(Some(status)) => return Some(status),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "a shim does not make sense and is killed");
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
                    tracing::error!("a shim does not end and is killed");
                    self.kill();
                    is_killed = true;
                }
            }
        }
    }

    fn kill(&self) {
        pidfd_send_signal(&self.shim.handle, Signal::KILL).ok(); // an error: it is dead already
    }
}

/// Waits for bytes. False: there will never be any more.
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

/// Waits until the moment has passed, which may still be set or moved.
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
