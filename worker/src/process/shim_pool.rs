//! Keeps idle shims ready and assigns them to requests.
//!
//! A thread of its own owns the forker and talks to it. The runtime only takes idle shims from a
//! queue.

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

/// Pause after a failed fork.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long one try to kill leftovers may take in the worker itself.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of a shim pool.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program that becomes a forker when it is run with `shim`: the worker's own.
    pub program: PathBuf,
    /// Idle shims that are kept ready, at least 1.
    pub idle: usize,
    /// How long a start may take, until the program runs.
    pub start_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        // Through /proc, because the file may have been replaced by a newer version.
        Self { program: "/proc/self/exe".into(), idle: 2, start_timeout: Duration::from_secs(30) }
    }
}

/// Starts programs. Cheap to clone. The shims end with the last clone.
#[derive(Clone, Debug)]
pub struct ShimPool {
    pub(super) settings: Arc<Settings>,
    pub(super) shim_handles: Arc<ShimHandles>,
    pub(super) requests: Sender<Request>,
    idle: Arc<Mutex<mpsc::UnboundedReceiver<IdleShim>>>,
}

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

impl ShimPool {
    /// Begins to fork shims, and makes this process a subreaper. Every start is refused until the
    /// first [`Self::extend_deadline`].
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

    /// Starts a program. If this fails, nothing of it runs.
    pub async fn start(&self, request: SpawnRequest) -> Result<Running, StartError> {
        match tokio::time::timeout(self.settings.start_timeout, running::start(self, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(StartError::failed("no shim was ready in time")),
        }
    }

    /// Moves the time at which every program dies unless it is moved again. `boottime_ns` is in
    /// nanoseconds on the clock of [`super::boottime_now`], before the end of the worker's lease.
    ///
    /// Never waits, and may be called from any thread.
    pub fn extend_deadline(&self, boottime_ns: u64) {
        self.shim_handles.extend(boottime_ns);
    }

    /// The current lease, for attempts that are claimed from now on. Waits while its deadline has
    /// passed, for example because this process was stopped, until it is renewed or another lease
    /// begins.
    pub async fn lease(&self) -> LeaseNumber {
        self.shim_handles.lease().await
    }

    /// Begins another lease after the current one was lost. Kills what was started under the lost
    /// lease, and refuses requests of it from now on. `boottime_ns` is the new lease's deadline.
    pub fn begin_another_lease(&self, boottime_ns: u64) {
        self.shim_handles.begin_again(boottime_ns);
    }

    /// Takes an idle shim.
    pub(super) async fn take(&self) -> Result<IdleShim, StartError> {
        let shim = self.idle.lock().await.recv().await;
        self.requests.send(Request::Another).map_err(StartError::failed)?;
        shim.ok_or_else(|| StartError::failed("the shim pool has closed"))
    }
}

/// A forked shim.
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

/// The state of the pool's thread.
struct PoolThread {
    program: PathBuf,
    forker: Option<Forker>,
    /// The shims that are not known to have ended.
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

    /// Forks the wanted number of shims, or as many as are possible now.
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
        tree::clear(leftover, |_, _| {}, CLEAR_TIMEOUT).is_some() && by_forker
    }
}
