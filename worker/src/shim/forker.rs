//! The process that forks shims for one worker. It is the subreaper above them: what a killed shim leaves behind
//! comes to it, and since its only rightful children are shims, everything else is to be killed.
//!
//! Called by `shim::main`. It must never learn anything of an attempt (a forked shim would inherit it), never
//! start a thread, and never end before its last shim.

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

/// How long one answer to [`link::CLEAR`] may take; the worker asks again.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look again for what cannot be waited for, while ending.
const EXIT_PAUSE: Duration = Duration::from_millis(20);

struct Shim {
    pid: Pid,
    handle: OwnedFd,
}

struct Forker {
    worker: OwnedFd,
    shims: Vec<Shim>,
}

/// What a turn of the forker's loop ends with.
enum Pass {
    /// Go on.
    Served,
    /// This process is a new shim now.
    Forked(Inherited),
    /// The worker has let go.
    HungUp,
}

pub(super) fn run() -> ExitCode {
    let Ok(worker) = set_up() else { return ExitCode::FAILURE };
    let mut forker = Forker { worker, shims: Vec::new() };
    loop {
        match forker.pass() {
            Ok(Pass::Served) => {}
            Ok(Pass::Forked(inherited)) => {
                drop(forker); // the worker's socket and the other shims' handles are none of our business
                kernel::exit(attempt::run(inherited));
            }
            Ok(Pass::HungUp) | Err(_) => break,
        }
    }
    forker.wait_for_all();
    ExitCode::SUCCESS
}

/// Leaves the worker's session, takes the socket off descriptor 0, and closes this process to prying eyes.
fn set_up() -> Result<OwnedFd, Errno> {
    kernel::close_inherited();
    kernel::reset_signals();
    setsid()?;
    chdir("/")?;
    set_child_subreaper(Some(Pid::INIT))?; // any pid means "yes"
    // So that killing workers by name does not take the shims along, which have to clean up after them.
    set_name(c"callboard-shim")?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let worker = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    dup2_stdin(open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
    Ok(worker)
}

impl Forker {
    /// Waits for the worker or for the end of a shim, and deals with it.
    fn pass(&mut self) -> Result<Pass, Errno> {
        let mut sources = vec![PollFd::new(&self.worker, PollFlags::IN)];
        sources.extend(self.shims.iter().map(|shim| PollFd::new(&shim.handle, PollFlags::IN)));
        match poll(&mut sources, None) {
            Err(Errno::INTR) => return Ok(Pass::Served),
            answer => answer?,
        };
        let called = !sources[0].revents().is_empty();
        let ended = sources[1..].iter().any(|source| !source.revents().is_empty());
        if ended && self.reap() {
            self.clear(CLEAR_TIMEOUT);
        }
        if called { self.serve() } else { Ok(Pass::Served) }
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
                    // It is our child and not yet waited for, so the id cannot have been given away.
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

    /// Reaps the shims that have ended. True: one of them did not end in order, so something may be left of it.
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

    /// Kills every child that is not a shim. False: some would not die in time.
    fn clear(&self, timeout: Duration) -> bool {
        let leftover = |pid| !self.shims.iter().any(|shim| shim.pid == pid);
        tree::clear(leftover, |_, _| {}, timeout).is_some()
    }

    /// The worker is gone. The shims see that too, and kill what they have; we wait for them, and kill what shims
    /// that were killed together with the worker have left.
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
