//! The thread of a shim pool, which owns the forker and talks to it.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, getpid};
use rustix::time::Timespec;
use tokio::sync::{mpsc, oneshot};

use super::forker::{self, Forker, IdleShim};
use crate::shim::tree;

/// Pause after a failed fork.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long one try to kill leftovers may take in the worker itself.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// What the runtime asks of the pool's thread. The queue is bounded by the number of attempts.
#[derive(Debug)]
pub(super) enum Request {
    /// A shim was taken: fork another.
    Another,
    /// The shim with this pidfd has ended.
    Ended(Arc<OwnedFd>),
    /// A shim was killed: kill its leftovers. The reply is false if something is still alive.
    Clear(oneshot::Sender<bool>),
}

struct Shim {
    pid: Pid,
    handle: Arc<OwnedFd>,
    /// The number of its forker.
    generation: u64,
}

impl Shim {
    /// Reaps it if it is this process' child, which it is when its forker is dead.
    fn reap(self) {
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&second)).ok();
        tree::reap(Some(self.pid)).ok(); // an error means that it is no child of this process
        forker::unlist(self.pid);
    }
}

pub(super) struct PoolThread {
    program: PathBuf,
    forker: Option<Forker>,
    /// The shims that are not known to have ended.
    shims: Vec<Shim>,
    generation: u64,
    wanted: usize,
    ready: mpsc::UnboundedSender<IdleShim>,
}

impl PoolThread {
    pub(super) fn new(
        program: PathBuf,
        forker: Forker,
        wanted: usize,
        ready: mpsc::UnboundedSender<IdleShim>,
    ) -> Self {
        Self { program, forker: Some(forker), shims: Vec::new(), generation: 0, wanted, ready }
    }

    /// Handles requests until all senders are dropped. Then waits until all shims have exited.
    pub(super) fn run(mut self, inbox: &Receiver<Request>) {
        loop {
            self.refill();
            let request = if self.wanted == 0 {
                inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inbox.recv_timeout(RETRY_PAUSE)
            };
            match request {
                Ok(Request::Another) => self.wanted += 1,
                Ok(Request::Ended(handle)) => self.forget(&handle),
                Ok(Request::Clear(reply)) => {
                    reply.send(self.clear()).ok(); // the caller may be gone
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(forker) = self.forker.take() {
            forker.dismiss();
        }
        for shim in self.shims {
            shim.reap();
        }
    }

    /// Forks shims until none is wanted, or until a fork fails.
    fn refill(&mut self) {
        while self.wanted > 0 {
            let Some(forker) = &self.forker else {
                match Forker::start(&self.program) {
                    Ok(forker) => self.forker = Some(forker),
                    Err(error) => {
                        tracing::error!(%error, "the forker cannot be started");
                        return;
                    }
                }
                self.generation += 1;
                continue;
            };
            match forker.fork() {
                Ok((pid, shim)) => {
                    let (handle, generation) = (Arc::clone(&shim.handle), self.generation);
                    self.shims.push(Shim { pid, handle, generation });
                    self.wanted -= 1;
                    if self.ready.send(shim).is_err() {
                        return; // the pool is closing
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "no shim can be forked; a new forker is started");
                    self.drop_forker();
                    return;
                }
            }
        }
    }

    /// Kills a forker that does not answer or is dead. Its shims go on as children of this process.
    fn drop_forker(&mut self) {
        if let Some(forker) = self.forker.take() {
            forker.kill();
        }
    }

    /// Forgets a shim that has ended, and reaps it if its forker is dead.
    fn forget(&mut self, handle: &Arc<OwnedFd>) {
        let Some(place) = self.shims.iter().position(|shim| Arc::ptr_eq(&shim.handle, handle)) else {
            return;
        };
        let shim = self.shims.swap_remove(place);
        if shim.generation != self.generation || self.forker.is_none() {
            shim.reap();
        } else {
            forker::unlist(shim.pid);
        }
    }

    /// Kills the leftovers of killed shims. They are children of the forker, or of this process if
    /// the forker was killed too.
    fn clear(&mut self) -> bool {
        let by_forker = match self.forker.as_ref().map(Forker::clear) {
            None => true,
            Some(Ok(done)) => done,
            Some(Err(_)) => {
                self.drop_forker();
                true
            }
        };
        // Other children of this process, if any, are in its own session, and shims are not.
        // `getsid` does not do, because in a container the session's leader may be outside and have
        // the id 0 here.
        let own_session = tree::process_stat(getpid()).map(|own| own.session);
        let leftover = |pid| {
            !forker::is_listed(pid)
                && tree::process_stat(pid).is_some_and(|stat| Some(stat.session) != own_session)
        };
        tree::clear(leftover, |_, _| {}, &mut HashSet::new(), CLEAR_TIMEOUT) && by_forker
    }
}
