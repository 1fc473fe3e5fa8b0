//! Sends a request to a shim, and the handle to the program that it runs.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretSlice};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{
    Exit, RefusalCode, SpawnRequest, StartError,
    cleanup::Cleanup,
    forker::IdleShim,
    shim_handle::ShimHandle,
    shim_pool::ShimPool,
    supervisor::{Supervisor, TrackedShim},
};
use crate::shim::shared_files;

/// A running program. Dropping this kills it and everything that it started.
#[derive(Debug)]
pub struct Running {
    /// Its standard output, which ends when the last process that holds it has ended.
    pub stdout: pipe::Receiver,
    /// Its standard error.
    pub stderr: pipe::Receiver,
    /// Its process id, for display only, because ids are reused.
    pub pid: i32,
    handle: ProcessHandle,
}

/// A running program without its output. Dropping this kills it and everything that it started.
#[derive(Debug)]
pub struct ProcessHandle {
    shim_handle: ShimHandle,
    end: End,
    _stdin: Option<StdinWriter>,
}

#[derive(Debug)]
enum End {
    Awaited(oneshot::Receiver<Exit>),
    Known(Exit),
}

impl Running {
    /// Standard output, standard error, and the handle, for reading and waiting at the same time.
    pub fn split(self) -> (pipe::Receiver, pipe::Receiver, ProcessHandle) {
        (self.stdout, self.stderr, self.handle)
    }

    /// See [`ProcessHandle::terminate`].
    pub fn terminate(&self, grace: Duration) {
        self.handle.terminate(grace);
    }

    /// See [`ProcessHandle::kill`].
    pub fn kill(&self) {
        self.handle.kill();
    }

    /// See [`ProcessHandle::wait`].
    pub async fn wait(&mut self) -> Exit {
        self.handle.wait().await
    }
}

impl ProcessHandle {
    /// Sends SIGTERM to the program's process group, and kills the whole tree after the grace
    /// period.
    pub fn terminate(&self, grace: Duration) {
        self.shim_handle.terminate(grace);
    }

    /// Kills the whole tree.
    pub fn kill(&self) {
        self.shim_handle.kill();
    }

    /// Waits until no process is left and everything is cleaned up. Cancel safe.
    pub async fn wait(&mut self) -> Exit {
        let exit = match &mut self.end {
            End::Known(exit) => return exit.clone(),
            End::Awaited(end) => end.await,
        };
        let exit =
            exit.unwrap_or_else(|_| Exit::shim_lost(Some("the shim's supervisor has ended".to_owned())));
        self.end = End::Known(exit.clone());
        exit
    }
}

/// Sends the request to a shim, and waits until the program runs.
pub(super) async fn start(shim_pool: &ShimPool, request: SpawnRequest) -> Result<Running, StartError> {
    let Some(deadline) = shim_pool.shim_handles.deadline(request.lease) else {
        let message = "the lease under which the job was claimed has ended".to_owned();
        return Err(StartError::Refused { code: RefusalCode::DeadlinePassed, message });
    };
    let frame = request.frame(deadline)?;
    let assigned = assign(shim_pool, frame.expose_secret()).await?;
    drop(frame);
    let group = request.run_as.and_then(|_| shared_files::group_of(&assigned.stdout));
    let stdout = pipe::Receiver::from_owned_fd(assigned.stdout).map_err(StartError::failed)?;
    let stderr = pipe::Receiver::from_owned_fd(assigned.stderr).map_err(StartError::failed)?;
    let stdin_writer = StdinWriter::start(assigned.stdin, request.stdin, request.keep_stdin_open)?;
    let (shim_handle, overdue) =
        ShimHandle::new(&shim_pool.shim_handles, Arc::clone(&assigned.channel), request.lease, deadline);
    let cleanup =
        Cleanup { temporary_directory: request.temporary_directory, profile: request.profile, group };
    let (started, first) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    // A task of its own, so that it supervises to the end even if the caller stops waiting.
    tokio::spawn(Supervisor::new(assigned.channel, assigned.shim, overdue, cleanup).run(started, ended));
    let pid = first.await.map_err(|_| StartError::failed("the shim's supervisor has ended"))??;
    let handle = ProcessHandle { shim_handle, end: End::Awaited(end), _stdin: stdin_writer };
    Ok(Running { stdout, stderr, pid, handle })
}

/// A shim that has read its request, and this process' ends of the program's descriptors.
struct AssignedShim {
    shim: TrackedShim,
    channel: Arc<UnixStream>,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// Sends the request to an idle shim. A shim that dies before it has read all of it has run
/// nothing, so the next one gets it.
async fn assign(shim_pool: &ShimPool, frame: &[u8]) -> Result<AssignedShim, StartError> {
    let mut failure = StartError::failed("every idle shim had exited");
    for _ in 0..=shim_pool.settings.idle {
        let IdleShim { handle, channel, stdin, stdout, stderr } = shim_pool.take().await?;
        let shim = TrackedShim::new(handle, shim_pool.requests.clone());
        if shim.has_ended() {
            continue;
        }
        let channel = StdUnixStream::from(channel);
        channel.set_nonblocking(true).map_err(StartError::failed)?;
        let mut channel = UnixStream::from_std(channel).map_err(StartError::failed)?;
        match channel.write_all(frame).await {
            Ok(()) => return Ok(AssignedShim { shim, channel: Arc::new(channel), stdin, stdout, stderr }),
            Err(error) => failure = StartError::failed(error),
        }
    }
    Err(failure)
}

/// Writes to a program's standard input in the background. Then closes it, or holds it open until
/// dropped.
#[derive(Debug)]
struct StdinWriter(JoinHandle<()>);

impl StdinWriter {
    fn start(stdin: OwnedFd, bytes: SecretSlice<u8>, keep_open: bool) -> Result<Option<Self>, StartError> {
        if bytes.expose_secret().is_empty() && !keep_open {
            return Ok(None); // which closes it
        }
        let mut stdin = pipe::Sender::from_owned_fd(stdin).map_err(StartError::failed)?;
        Ok(Some(Self(tokio::spawn(async move {
            // An error means that the program does not read its input, which it need not.
            stdin.write_all(bytes.expose_secret()).await.ok();
            drop(bytes);
            if keep_open {
                std::future::pending::<()>().await;
            }
        }))))
    }
}

impl Drop for StdinWriter {
    fn drop(&mut self) {
        self.0.abort();
    }
}
