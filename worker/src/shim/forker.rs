//! The process that forks shims for one worker, and is the subreaper above them.
//!
//! What a killed shim leaves becomes its child. Its only other children are shims, so it kills
//! every child that is not a shim. It must never hold data of an attempt, because a forked shim
//! would inherit it, never start a thread, and never exit before its last shim.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Resource, Rlimit, chdir, pidfd_open, set_child_subreaper,
    set_dumpable_behavior, setrlimit, setsid,
};
use rustix::stdio::dup2_stdin;
use rustix::thread::set_name;

use super::attempt::{self, Inherited};
use super::kernel::{self, Forked};
use super::{link, tree};

/// How long one answer to [`link::CLEAR`] may take. The worker asks again.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause between two looks for leftovers while exiting.
const EXIT_PAUSE: Duration = Duration::from_millis(20);

struct Shim {
    pid: Pid,
    handle: OwnedFd,
}

struct Forker {
    worker: OwnedFd,
    shims: Vec<Shim>,
}

/// The result of one pass of the forker's loop.
enum Pass {
    /// The loop goes on.
    Served,
    /// This process is a newly forked shim.
    Forked(Inherited),
    /// The worker has closed the socket.
    HungUp,
}

pub(super) fn run() -> ExitCode {
    let Ok(worker) = set_up() else { return ExitCode::FAILURE };
    let mut forker = Forker { worker, shims: Vec::new() };
    loop {
        match forker.pass() {
            Ok(Pass::Served) => {}
            Ok(Pass::Forked(inherited)) => {
                drop(forker); // the worker's socket and the other shims' handles
                kernel::exit(attempt::run(inherited));
            }
            Ok(Pass::HungUp) | Err(_) => break,
        }
    }
    forker.wait_for_all();
    ExitCode::SUCCESS
}

/// Leaves the worker's session, moves the socket off descriptor 0, and makes this process
/// unreadable to others of its user.
fn set_up() -> Result<OwnedFd, Errno> {
    kernel::close_inherited();
    kernel::reset_signals();
    setsid()?;
    chdir("/")?;
    set_child_subreaper(Some(Pid::INIT))?; // any pid means "yes"
    // Killing workers by name must not hit the shims, which clean up after them.
    set_name(c"callboard-shim")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let worker = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    dup2_stdin(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    Ok(worker)
}

impl Forker {
    /// Waits for a request or for the end of a shim, and handles it.
    fn pass(&mut self) -> Result<Pass, Errno> {
        let mut sources = vec![PollFd::new(&self.worker, PollFlags::IN)];
        sources.extend(self.shims.iter().map(|shim| PollFd::new(&shim.handle, PollFlags::IN)));
        match poll(&mut sources, None) {
            Err(Errno::INTR) => return Ok(Pass::Served),
            answer => answer?,
        };
        let asked = !sources[0].revents().is_empty();
        let ended = sources[1..].iter().any(|source| !source.revents().is_empty());
        if ended && self.reap() {
            self.clear(CLEAR_TIMEOUT);
        }
        if asked { self.serve() } else { Ok(Pass::Served) }
    }

    fn serve(&mut self) -> Result<Pass, Errno> {
        let Some((request, descriptors)) = link::receive(self.worker.as_fd())? else {
            return Ok(Pass::HungUp);
        };
        if request == link::FORK {
            let Ok([channel, stdin, stdout, stderr]) = <[OwnedFd; 4]>::try_from(descriptors) else {
                return self.reply(link::FAILED);
            };
            return match kernel::fork() {
                Ok(Forked::Child) => Ok(Pass::Forked(Inherited { channel, stdin, stdout, stderr })),
                Ok(Forked::Parent(pid)) => {
                    // The child has not been waited for, so its id cannot have been reused.
                    let handle = pidfd_open(pid, PidfdFlags::empty())?;
                    link::send(self.worker.as_fd(), pid.as_raw_pid(), &[handle.as_fd()])?;
                    self.shims.push(Shim { pid, handle });
                    Ok(Pass::Served)
                }
                Err(_) => self.reply(link::FAILED),
            };
        }
        let cleared = self.clear(CLEAR_TIMEOUT);
        self.reply(if cleared { link::DONE } else { link::FAILED })
    }

    fn reply(&self, number: i32) -> Result<Pass, Errno> {
        link::send(self.worker.as_fd(), number, &[])?;
        Ok(Pass::Served)
    }

    /// Reaps shims that have exited. Returns true if one of them may have left something.
    fn reap(&mut self) -> bool {
        let mut disorder = false;
        self.shims.retain(|shim| match tree::reap(Some(shim.pid)) {
            Ok(Some((_, status))) => {
                disorder |= status.exit_status() != Some(0);
                false
            }
            Ok(None) => true,
            Err(_) => false,
        });
        disorder
    }

    /// Kills every child that is not a shim. Returns false if one is still alive after `timeout`.
    fn clear(&self, timeout: Duration) -> bool {
        let leftover = |pid| !self.shims.iter().any(|shim| shim.pid == pid);
        tree::clear(leftover, |_, _| {}, &mut HashSet::new(), timeout)
    }

    /// Waits until all shims have exited, which they do because the worker is gone. Kills the
    /// leftovers of shims that were killed together with the worker.
    fn wait_for_all(&mut self) {
        loop {
            self.reap();
            self.clear(EXIT_PAUSE);
            if self.shims.is_empty() && tree::children(rustix::process::getpid()).is_empty() {
                return;
            }
            tree::sleep(EXIT_PAUSE);
        }
    }
}
