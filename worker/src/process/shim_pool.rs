//! Keeps shims ready and hands them out. A thread of its own, which lives as long as the process, owns the forker
//! and talks to it; the runtime only takes ready shims from a queue.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, getpid, set_child_subreaper};
use rustix::time::Timespec;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    SpawnRequest, StartError,
    forker::{self, Forker, IdleShim},
    running::{self, Running},
    shim_handle::{LeaseNumber, ShimHandles},
};
use crate::shim::tree;

/// How long to wait before trying again when no shim can be forked.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long one round of killing leftovers may take in the worker itself.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// How a shim_pool works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program that is a forker when called with `shim`: the worker's own.
    pub program: PathBuf,
    /// Shims kept ready.
    pub idle: usize,
    /// How long a start may take, from asking for a shim to the program running.
    pub start_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        // Through /proc, since the file may have been replaced by a newer version by now.
        Self { program: "/proc/self/exe".into(), idle: 2, start_timeout: Duration::from_secs(30) }
    }
}

/// Where programs are started from. Cheap to clone; the shims go away with the last clone.
#[derive(Clone, Debug)]
pub struct ShimPool {
    pub(super) settings: Arc<Settings>,
    pub(super) shim_handles: Arc<ShimHandles>,
    pub(super) requests: Sender<Request>,
    idle: Arc<Mutex<mpsc::UnboundedReceiver<IdleShim>>>,
}

/// What the runtime asks of the shim_pool's thread. The queue is as long as there are attempts.
#[derive(Debug)]
pub(super) enum Request {
    /// A shim was taken; make another.
    Another,
    /// The shim with this pidfd has ended.
    Ended(Arc<OwnedFd>),
    /// A shim was killed: kill what it left. The reply is false if something would not die.
    Clear(oneshot::Sender<bool>),
}

impl ShimPool {
    /// Begins to fork shims, and makes this process the one to which orphans come. Until [`Self::extend_deadline`] is
    /// called for the first time, every start is refused.
    pub fn new(settings: Settings) -> Result<Self, StartError> {
        set_child_subreaper(Some(getpid())).map_err(StartError::failed)?;
        let (requests, inbox) = channel();
        let (ready, idle) = mpsc::unbounded_channel();
        let forker = Forker::start(&settings.program).map_err(StartError::failed)?;
        let thread = PoolThread {
            program: settings.program.clone(),
            forker: Some(forker),
            shims: Vec::new(),
            generation: 0,
            wanted: settings.idle.max(1),
            ready,
        };
        std::thread::Builder::new()
            .name("shim_pool".to_owned())
            .spawn(move || thread.run(&inbox))
            .map_err(StartError::failed)?;
        let idle = Arc::new(Mutex::new(idle));
        Ok(Self { settings: Arc::new(settings), shim_handles: Arc::default(), requests, idle })
    }

    /// Runs a program. When this returns, it runs, or nothing of it does.
    pub async fn start(&self, request: SpawnRequest) -> Result<Running, StartError> {
        match tokio::time::timeout(self.settings.start_timeout, running::start(self, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(StartError::failed("no shim was ready in time")),
        }
    }

    /// Moves the moment at which every program dies unless it is moved again. `boottime_ns` is on the clock of
    /// [`super::boottime_now`], in nanoseconds; it has to come before the end of the worker's lease.
    ///
    /// Never waits, and may be called from any thread.
    pub fn extend_deadline(&self, boottime_ns: u64) {
        self.shim_handles.extend(boottime_ns);
    }

    /// The present lease, for the orders of attempts that are claimed from now on. Waits while there is none, or none that is
    /// known to last: after the machine or this process was stopped for a while, until the lease is renewed or another begins.
    pub async fn lease(&self) -> LeaseNumber {
        self.shim_handles.lease().await
    }

    /// The worker's lease was lost, and it has another: kills what was started under the first, starts nothing that was
    /// won under it, and sets the deadline of what comes.
    pub fn begin_another_lease(&self, boottime_ns: u64) {
        self.shim_handles.begin_again(boottime_ns);
    }

    /// Takes a shim that waits for its order.
    pub(super) async fn take(&self) -> Result<IdleShim, StartError> {
        let shim = self.idle.lock().await.recv().await;
        self.requests.send(Request::Another).map_err(StartError::failed)?;
        shim.ok_or_else(|| StartError::failed("the shim_pool has closed"))
    }
}

/// A shim that was forked.
struct Shim {
    pid: Pid,
    handle: Arc<OwnedFd>,
    /// Which forker, counted, it comes from.
    generation: u64,
}

impl Shim {
    /// Reaps it, if it is our child since its forker is dead.
    fn reap(self) {
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&second)).ok();
        tree::reap(Some(self.pid)).ok(); // an error: it was never ours
        forker::unlist(self.pid);
    }
}

/// The state of the shim_pool's thread.
struct PoolThread {
    program: PathBuf,
    forker: Option<Forker>,
    /// The shims that have not ended, as far as we know.
    shims: Vec<Shim>,
    generation: u64,
    wanted: usize,
    ready: mpsc::UnboundedSender<IdleShim>,
}

impl PoolThread {
    fn run(mut self, inbox: &Receiver<Request>) {
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
                    reply.send(self.clear()).ok(); // whoever asked may have given up
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

    /// Has as many shims forked as are wanted, if that is possible now.
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
                        return; // the shim_pool is closing
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

    /// Gets rid of a forker that does not answer, or is dead. Its shims become our children, and go on.
    fn drop_forker(&mut self) {
        if let Some(forker) = self.forker.take() {
            forker.kill();
        }
    }

    /// Forgets a shim that has ended. When its forker is dead, it is our child, and ours to reap.
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

    /// Kills what killed shims have left: to their forker, or to us if that was killed too.
    fn clear(&mut self) -> bool {
        let by_forker = match self.forker.as_ref().map(Forker::clear) {
            None => true,
            Some(Ok(done)) => done,
            Some(Err(_)) => {
                self.drop_forker();
                true
            }
        };
        // The worker's other children, should it have any, are in its own session; shims and all below are not. Not
        // by `getsid`: in a container, whoever opened the session may be outside, and it has no id here but 0.
        let own_session = tree::process_stat(getpid()).map(|own| own.session);
        let leftover = |pid| {
            !forker::is_listed(pid)
                && tree::process_stat(pid).is_some_and(|stat| Some(stat.session) != own_session)
        };
        tree::clear(leftover, |_, _| {}, CLEAR_TIMEOUT).is_some() && by_forker
    }
}
