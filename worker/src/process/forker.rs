//! The worker's end of the forker (`crate::shim`): starts it, and has it fork. Called by the shim_pool's thread.

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

/// How long an answer may take before the forker counts as broken. Longer than its own limit for clearing.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The forkers and shims of this process, those of other nurseries included: children of ours that are no strays.
static LIVE_CHILDREN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Whether this is a forker or a shim of this process.
pub(super) fn is_listed(pid: Pid) -> bool {
    LIVE_CHILDREN.lock().contains(&pid)
}

/// To be called when a shim has ended.
pub(super) fn unlist(pid: Pid) {
    LIVE_CHILDREN.lock().retain(|&listed| listed != pid);
}

/// A shim that waits for its order, and our ends of everything it holds.
#[derive(Debug)]
pub(super) struct IdleShim {
    pub(super) handle: Arc<OwnedFd>,
    pub(super) channel: OwnedFd,
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// The running forker.
pub(super) struct Forker {
    child: Child,
    socket: OwnedFd,
}

impl Forker {
    /// Starts the worker's own program anew, as a forker. It gets an empty environment: the worker's may hold
    /// secrets.
    pub(super) fn start(program: &Path) -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        set_socket_timeout(&ours, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
        let mut live_children = LIVE_CHILDREN.lock(); // held until it is on it, lest another shim_pool takes it for a stray
        let child = Command::new(program)
            // Not the worker's name: who kills workers by name must not hit what cleans up after them.
            .arg0("callboard-shim")
            .arg("shim")
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        live_children.push(Pid::from_child(&child));
        Ok(Self { child, socket: ours })
    }

    /// Has a shim forked. Returns its process id as well.
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

    /// Has everything killed that killed shims have left. False: not everything would die in time.
    pub(super) fn clear(&self) -> Result<bool, Errno> {
        link::send(self.socket.as_fd(), link::CLEAR, &[])?;
        Ok(self.answer()?.0 == link::DONE)
    }

    fn answer(&self) -> Result<(i32, Vec<OwnedFd>), Errno> {
        link::receive(self.socket.as_fd())?.ok_or(Errno::PIPE)
    }

    /// Gets rid of a forker that does not answer.
    pub(super) fn kill(mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        unlist(Pid::from_child(&self.child));
    }

    /// Lets the forker go, and waits until it has seen its last shim off.
    pub(super) fn dismiss(mut self) {
        drop(self.socket);
        self.child.wait().ok();
        unlist(Pid::from_child(&self.child));
    }
}
