//! Waits for what ends a running program: its own exit, the worker's request, the worker's death,
//! or the deadline. Then lets what the program has left end by itself for a bounded time.
//!
//! It must read what the worker has sent before it checks the deadline, because a shim that was not
//! scheduled for a while finds renewals in its socket.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use super::attempt::exit_status;
use super::output_holders::{self, OutputPipes};
use super::protocol::{Control, ExitStatus, Inbox};
use super::tree;

const NANOSECONDS: u64 = 1_000_000_000;

/// Orphans that the shim has adopted are reaped at the latest after this.
const REAPING_PERIOD: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// After a program has exited, a process that it left and that still has the program's output open
/// (`exec > >(sed ...)`) may go on while it writes or computes. This is how long it may do neither.
const QUIET_NANOSECONDS: u64 = 2 * NANOSECONDS;
/// How long such processes may go on altogether.
const WRITING_NANOSECONDS: u64 = 10 * NANOSECONDS;
/// How long processes that a program left may take to end after SIGTERM.
const LEFTOVER_GRACE_NANOSECONDS: u64 = NANOSECONDS;
/// Pause between two looks at what a program left.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

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

/// How far the end has come. Times are nanoseconds on CLOCK_BOOTTIME.
enum Phase {
    /// The program runs, and the worker has not asked it to end.
    Running,
    /// The program's group was sent SIGTERM, and its grace ends at `until`.
    Asked { until: u64 },
    /// The program has exited by itself. What it left is still writing its output.
    Writing { activity: output_holders::Activity, quiet_until: u64, until: u64 },
    /// Everything that is left was sent SIGTERM, and is killed at `until`.
    Leaving { until: u64 },
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
    output: OutputPipes,
    deadline: u64,
    phase: Phase,
    /// The program's exit status, and whether the worker had asked it to end by then.
    exit: Option<(ExitStatus, bool)>,
    /// What the program left and SIGTERM was sent to, each with its start time.
    asked_leftovers: HashSet<(Pid, u64)>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        channel: &'a UnixStream,
        inbox: Inbox,
        child: Pid,
        output: OutputPipes,
        deadline: u64,
    ) -> Result<Self, Errno> {
        // The child has not been waited for, so its id cannot have been reused.
        let handle = pidfd_open(child, PidfdFlags::empty())?;
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
        let (phase, asked_leftovers) = (Phase::Running, HashSet::new());
        let watch = Self {
            channel,
            inbox,
            child,
            handle,
            timer,
            output,
            deadline,
            phase,
            exit: None,
            asked_leftovers,
        };
        watch.set_timer()?;
        Ok(watch)
    }

    /// Returns why the watch is over, and the leftovers of the program that were sent SIGTERM.
    pub(super) fn run(mut self) -> (WatchEnd, HashSet<(Pid, u64)>) {
        let end = loop {
            if let Some(end) = self.pass() {
                break end;
            }
        };
        // A program that has exited has ended in its own way, whatever happened to what it left,
        // and also if that was in the same moment as the end of the watch.
        self.reap();
        let end = self.exit.map_or(end, |(status, asked)| WatchEnd::Exited { status, asked });
        (end, self.asked_leftovers)
    }

    fn pass(&mut self) -> Option<WatchEnd> {
        let is_empty = self.reap();
        if let Some((status, asked)) = self.exit
            && (is_empty || self.is_over(boottime_now()))
        {
            return Some(WatchEnd::Exited { status, asked });
        }
        self.wait();
        // The clock is read first, so that everything sent before `now` is read before `now` is
        // checked.
        let now = boottime_now();
        if let Some(end) = self.read_controls() {
            return Some(end);
        }
        if now >= self.deadline {
            return Some(WatchEnd::Deadline);
        }
        match self.phase {
            Phase::Asked { until } if now >= until => Some(WatchEnd::Overdue),
            Phase::Running | Phase::Asked { .. } | Phase::Writing { .. } | Phase::Leaving { .. } => None,
        }
    }

    /// Reaps all children that have exited. Returns whether no child is left.
    fn reap(&mut self) -> bool {
        loop {
            match tree::reap(None) {
                Ok(Some((pid, status))) if pid == self.child => {
                    self.exit = Some((exit_status(status), matches!(self.phase, Phase::Asked { .. })));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.begin_end_of_leftovers();
                    return false;
                }
                Err(_) => return true, // CHILD: no child is left
            }
        }
    }

    /// Begins to end what the program left, if the program has just exited.
    fn begin_end_of_leftovers(&mut self) {
        let now = boottime_now();
        match self.phase {
            Phase::Asked { until } if self.exit.is_some() => self.leave(until),
            Phase::Running if self.exit.is_some() => {
                let activity = self.output.activity();
                let (quiet_until, until) = (now + QUIET_NANOSECONDS, now + WRITING_NANOSECONDS);
                self.phase = Phase::Writing { activity, quiet_until, until };
            }
            Phase::Running | Phase::Asked { .. } | Phase::Writing { .. } | Phase::Leaving { .. } => {}
        }
    }

    /// Sends SIGTERM to everything that is left.
    fn leave(&mut self, until: u64) {
        for signal in [Signal::TERM, Signal::CONT] {
            let mut signalled = HashSet::new();
            tree::signal_trees(tree::own_children(), signal, &mut signalled);
            self.asked_leftovers.extend(signalled);
        }
        self.phase = Phase::Leaving { until };
    }

    /// Whether what the program left has had its time.
    fn is_over(&mut self, now: u64) -> bool {
        match &mut self.phase {
            Phase::Running | Phase::Asked { .. } => false,
            Phase::Writing { activity, quiet_until, until } => {
                let latest = self.output.activity();
                if latest.is_busier_than(activity) {
                    *quiet_until = now + QUIET_NANOSECONDS;
                }
                let is_done = latest.is_over() || now >= *quiet_until || now >= *until;
                *activity = latest;
                if is_done {
                    self.leave(now + LEFTOVER_GRACE_NANOSECONDS);
                }
                false
            }
            Phase::Leaving { until } => now >= *until,
        }
    }

    /// Waits for something to happen.
    fn wait(&self) {
        let mut sources =
            vec![PollFd::new(self.channel, PollFlags::IN), PollFd::new(&self.timer, PollFlags::IN)];
        let mut timeout = LOOK;
        if self.exit.is_none() {
            sources.push(PollFd::new(&self.handle, PollFlags::IN));
            timeout = REAPING_PERIOD;
        }
        // An error is an interruption by a signal. The loop checks everything either way.
        poll(&mut sources, Some(&timeout)).ok();
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

    /// Sends SIGTERM to the program's process group, as a terminal or `timeout` would. Processes
    /// that left the group do not get it before the program has exited, because a runner closes its
    /// browser in an orderly way, which saves its cookies.
    fn terminate(&mut self, grace_ms: u64) {
        let until = boottime_now().saturating_add(grace_ms.saturating_mul(1_000_000));
        // A program that has exited before it is asked has not been asked.
        self.reap();
        if self.exit.is_some() {
            return self.leave(until);
        }
        self.phase = Phase::Asked { until };
        for signal in [Signal::TERM, Signal::CONT] {
            // A stopped process handles the first only after the second. The group's first process
            // has not been waited for, so its id cannot have been reused.
            kill_process_group(self.child, signal).ok();
        }
    }

    fn set_timer(&self) -> Result<(), Errno> {
        let due = match self.phase {
            Phase::Asked { until } | Phase::Leaving { until } => until.min(self.deadline),
            Phase::Running | Phase::Writing { .. } => self.deadline,
        };
        let due = due.max(1);
        let it_value = Timespec { tv_sec: (due / NANOSECONDS) as i64, tv_nsec: (due % NANOSECONDS) as i64 };
        let time = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &time).map(drop)
    }
}
