//! Waits for what ends a running program: its own exit, the worker's request, the worker's death,
//! or the deadline.
//!
//! It must read what the worker has sent before it checks the deadline, because a shim that was not
//! scheduled for a while finds renewals in its socket.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use super::attempt::exit_status;
use super::protocol::{Control, ExitStatus, Inbox};
use super::tree;

const NANOSECONDS: u64 = 1_000_000_000;

/// Orphans that the shim has adopted are reaped at the latest after this.
const REAPING_PERIOD: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Why the watch is over.
#[derive(Clone, Copy)]
pub(super) enum WatchEnd {
    /// The program exited; `asked` if the worker had asked it to.
    Exited { status: ExitStatus, asked: bool },
    /// The program was asked to end and did not within its grace period.
    Overdue,
    /// The worker asked to kill it.
    Killed,
    /// The worker's lease has ended.
    Deadline,
    /// The worker has closed the socket or died.
    HungUp,
}

/// Nanoseconds on CLOCK_BOOTTIME, which goes on while the machine is suspended.
pub fn boottime_now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * NANOSECONDS + now.tv_nsec.unsigned_abs()
}

pub(super) struct Watch<'a> {
    channel: &'a UnixStream,
    inbox: Inbox,
    child: Pid,
    handle: OwnedFd,
    timer: OwnedFd,
    deadline: u64,
    grace_end: Option<u64>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        channel: &'a UnixStream,
        inbox: Inbox,
        child: Pid,
        deadline: u64,
    ) -> Result<Self, Errno> {
        // The child has not been waited for, so its id cannot have been reused.
        let handle = pidfd_open(child, PidfdFlags::empty())?;
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        let watch = Self { channel, inbox, child, handle, timer, deadline, grace_end: None };
        watch.set_timer()?;
        Ok(watch)
    }

    pub(super) fn run(mut self) -> WatchEnd {
        loop {
            if let Some(status) = self.reap() {
                return WatchEnd::Exited { status, asked: self.grace_end.is_some() };
            }
            self.wait();
            // The clock is read first, so that everything sent before `now` is read before `now` is
            // checked.
            let now = boottime_now();
            if let Some(end) = self.read_controls() {
                return end;
            }
            if now >= self.deadline {
                return WatchEnd::Deadline;
            }
            if self.grace_end.is_some_and(|end| now >= end) {
                return WatchEnd::Overdue;
            }
        }
    }

    /// Reaps all children that have exited. Returns the program's status if it was among them.
    fn reap(&self) -> Option<ExitStatus> {
        let mut exit = None;
        while let Ok(Some((pid, status))) = tree::reap(None) {
            if pid == self.child {
                exit = Some(exit_status(status));
            }
        }
        exit
    }

    /// Waits for something to happen.
    fn wait(&self) {
        let mut sources = [
            PollFd::new(self.channel, PollFlags::IN),
            PollFd::new(&self.handle, PollFlags::IN),
            PollFd::new(&self.timer, PollFlags::IN),
        ];
        // An error is an interruption by a signal. The loop checks everything either way.
        poll(&mut sources, Some(&REAPING_PERIOD)).ok();
    }

    /// Reads and handles everything that the worker has sent.
    fn read_controls(&mut self) -> Option<WatchEnd> {
        let mut buffer = [0; 4096];
        loop {
            match recv(self.channel, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Some(WatchEnd::HungUp),
                Ok((_, length)) => self.inbox.push(&buffer[..length]),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return None,
                Err(_) => return Some(WatchEnd::HungUp),
            }
            loop {
                match self.inbox.next() {
                    Ok(Some(Control::Deadline(deadline))) => self.deadline = deadline,
                    Ok(Some(Control::Terminate { grace_ms })) => self.terminate(grace_ms),
                    Ok(Some(Control::Kill {})) => return Some(WatchEnd::Killed),
                    Ok(None) => break,
                    Err(_) => return Some(WatchEnd::HungUp),
                }
            }
            if self.set_timer().is_err() {
                return Some(WatchEnd::HungUp);
            }
        }
    }

    /// Sends SIGTERM to the program and not to its children, because a runner closes its browser in
    /// an orderly way, which saves its cookies.
    fn terminate(&mut self, grace_ms: u64) {
        self.grace_end = Some(boottime_now().saturating_add(grace_ms.saturating_mul(1_000_000)));
        pidfd_send_signal(&self.handle, Signal::TERM).ok();
        pidfd_send_signal(&self.handle, Signal::CONT).ok(); // a stopped process does not handle it
    }

    fn set_timer(&self) -> Result<(), Errno> {
        let due = self.grace_end.map_or(self.deadline, |end| end.min(self.deadline)).max(1);
        let it_value = Timespec { tv_sec: (due / NANOSECONDS) as i64, tv_nsec: (due % NANOSECONDS) as i64 };
        let time = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &time).map(drop)
    }
}
