//! Keeps idle shims ready and assigns them to requests.
//!
//! A thread of its own owns the forker and talks to it. The runtime only takes idle shims from a
//! queue.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper};
use tokio::sync::{Mutex, mpsc};

use super::{
    SpawnRequest, StartError,
    forker::{Forker, IdleShim},
    pool_thread::{PoolThread, Request},
    running::{self, Running},
    shim_handle::{LeaseNumber, ShimHandles},
};

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

impl ShimPool {
    /// Begins to fork shims, and makes this process a subreaper. Every start is refused until the
    /// first [`Self::extend_deadline`].
    pub fn new(settings: Settings) -> Result<Self, StartError> {
        set_child_subreaper(Some(getpid())).map_err(StartError::failed)?;
        let (requests, inbox) = channel();
        let (ready, idle) = mpsc::unbounded_channel();
        let forker = Forker::start(&settings.program).map_err(StartError::failed)?;
        let thread = PoolThread::new(settings.program.clone(), forker, settings.idle.max(1), ready);
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
