//! The worker's side of the forker process (`crate::shim`): starts it and requests forks.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use crate::shim::link;

/// A forker that has not answered after this time counts as broken. Longer than its own limit for
/// clearing.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The forkers and shims of all pools in this process, which are no leftovers.
static LIVE_CHILDREN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Whether this is a forker or a shim of this process.
pub(super) fn is_listed(pid: Pid) -> bool {
    LIVE_CHILDREN.lock().contains(&pid)
}

/// Takes a shim off the list. To be called when it has exited.
pub(super) fn unlist(pid: Pid) {
    LIVE_CHILDREN.lock().retain(|&listed| listed != pid);
}

/// A shim that waits for a request, and this process' ends of its descriptors.
#[derive(Debug)]
pub(super) struct IdleShim {
    pub(super) handle: Arc<OwnedFd>,
    pub(super) channel: OwnedFd,
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

pub(super) struct Forker {
    child: Child,
    socket: OwnedFd,
}

impl Forker {
    /// Starts the worker's own program as a forker. Its environment is empty, because the worker's
    /// may hold secrets.
    pub(super) fn start(program: &Path) -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        set_socket_timeout(&ours, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
        // Locked until the forker is listed, or another pool might take it for a leftover.
        let mut live_children = LIVE_CHILDREN.lock();
        let child = Command::new(program)
            // Killing workers by name must not hit the processes that clean up after them.
            .arg0("callboard-shim")
            .arg("shim")
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        live_children.push(Pid::from_child(&child));
        Ok(Self { child, socket: ours })
    }

    /// Forks a shim. Returns its process id too.
    pub(super) fn fork(&self) -> Result<(Pid, IdleShim), Errno> {
        let flags = SocketFlags::CLOEXEC;
        let (channel, their_channel) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let (their_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let theirs = [&their_channel, &their_stdin, &their_stdout, &their_stderr].map(AsFd::as_fd);
        link::send(self.socket.as_fd(), link::FORK, &theirs)?;
        let (number, handles) = self.answer()?;
        let (Some(pid), Ok([handle])) = (Pid::from_raw(number.max(0)), <[OwnedFd; 1]>::try_from(handles))
        else {
            return Err(Errno::AGAIN);
        };
        LIVE_CHILDREN.lock().push(pid);
        Ok((pid, IdleShim { handle: Arc::new(handle), channel, stdin, stdout, stderr }))
    }

    /// Kills everything that killed shims left. Returns false if something is still alive.
    pub(super) fn clear(&self) -> Result<bool, Errno> {
        link::send(self.socket.as_fd(), link::CLEAR, &[])?;
        Ok(self.answer()?.0 == link::DONE)
    }

    fn answer(&self) -> Result<(i32, Vec<OwnedFd>), Errno> {
        link::receive(self.socket.as_fd())?.ok_or(Errno::PIPE)
    }

    /// Kills a forker that does not answer.
    pub(super) fn kill(mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        unlist(Pid::from_child(&self.child));
    }

    /// Closes the socket to the forker, and waits until the forker has reaped its last shim and
    /// exited.
    pub(super) fn dismiss(mut self) {
        drop(self.socket);
        self.child.wait().ok();
        unlist(Pid::from_child(&self.child));
    }
}
