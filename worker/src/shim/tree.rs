//! Finds and kills process trees: an attempt's tree, and the leftovers of a killed shim.
//!
//! This rests on one property of subreapers. Whatever a descendant does (fork twice, open a
//! session, stop itself), it becomes a child of the subreaper when its parent dies. So the loop
//! kills everything that it finds, waits and looks again, until no child is left. A process group
//! or a session would not do, because Chromium and its crash handler leave both.
//!
//! Code here must never signal a process that is not a descendant. Process ids are reused, so every
//! signal goes through a pidfd, and the parent is looked up after the pidfd was opened.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, pidfd_open, pidfd_send_signal,
    setpriority_process, wait, waitpid,
};
use rustix::thread::{NanosleepRelativeResult, nanosleep};
use rustix::time::Timespec;

/// First pause between two looks: about what the kernel needs to end a small process.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// Longest pause, when nothing more happens because a process is in an uninterruptible wait.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// How often to look for more processes to stop before killing the stopped ones.
const STOPPING_ROUNDS: usize = 100;

/// What `/proc/PID/stat` says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    /// Its parent's process id.
    pub(crate) parent: i32,
    /// Its session's id.
    pub(crate) session: i32,
    /// When it was started, in clock ticks since boot. Together with its id this is never reused.
    pub(crate) start: u64,
    /// Whether it has exited and was not waited for yet.
    pub(crate) zombie: bool,
    /// Whether it computes or waits for a disk.
    pub(crate) running: bool,
}

/// Reads `/proc/PID/stat`. Returns `None` if there is no such process.
pub(crate) fn process_stat(pid: Pid) -> Option<ProcessStat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &str) -> Option<ProcessStat> {
    // The name comes second, in parentheses, and may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let (zombie, running) = (matches!(state, "Z" | "X"), matches!(state, "R" | "D"));
    let parent = fields.next()?.parse().ok()?;
    let _group = fields.next()?;
    let session = fields.next()?.parse().ok()?;
    Some(ProcessStat { parent, session, start: fields.nth(15)?.parse().ok()?, zombie, running })
}

/// The children of all threads of a process. Best effort, because they change while the kernel
/// lists them.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        let listed = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(listed.split_ascii_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)));
    }
    children
}

/// The children of this process.
pub(super) fn own_children() -> Vec<Pid> {
    children(getpid())
}

/// Sends a signal to those `roots` that are children of this process, and to everything below them.
/// Skips processes in `signalled`, and adds to it. Returns whether it signalled any process.
pub(super) fn signal_trees(roots: Vec<Pid>, signal: Signal, signalled: &mut HashSet<(Pid, u64)>) -> bool {
    let before = signalled.len();
    let mut next: Vec<(Pid, Pid)> = roots.into_iter().map(|root| (root, getpid())).collect();
    while let Some((pid, parent)) = next.pop() {
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let Some(stat) = process_stat(pid).filter(|stat| stat.parent == parent.as_raw_pid()) else {
            continue;
        };
        if !stat.zombie
            && !signalled.contains(&(pid, stat.start))
            && pidfd_send_signal(&handle, signal).is_ok()
        {
            signalled.insert((pid, stat.start));
        }
        next.extend(children(pid).into_iter().map(|child| (child, pid)));
    }
    signalled.len() > before
}

/// Reaps one child without blocking: `which`, or any. Returns `Ok(None)` if none has exited yet,
/// and `CHILD` if there is no child.
pub(crate) fn reap(which: Option<Pid>) -> Result<Option<(Pid, WaitStatus)>, Errno> {
    loop {
        let answer = match which {
            Some(_) => waitpid(which, WaitOptions::NOHANG),
            None => wait(WaitOptions::NOHANG), // `waitpid(None)` would mean our own process group
        };
        if !matches!(answer, Err(Errno::INTR)) {
            return answer;
        }
    }
}

/// Kills and reaps every child for which `ours` is true, and everything below them, until none is
/// left or `timeout` has passed. A process that is left then is in an uninterruptible wait.
///
/// All are stopped before the first is killed. A stopped process cannot fork, and unlike a dead one
/// it makes no room for others under a limit of processes.
///
/// `reaped` gets the status of each child, and `killed` those that were alive, each with its start
/// time. Returns false after the timeout.
pub(crate) fn clear(
    ours: impl Fn(Pid) -> bool,
    mut reaped: impl FnMut(Pid, WaitStatus),
    killed: &mut HashSet<(Pid, u64)>,
    timeout: Duration,
) -> bool {
    let mut stopped = HashSet::new();
    let mut pause = FIRST_PAUSE;
    let began = Instant::now();
    let mut new = HashSet::new();
    let roots = || -> Vec<Pid> { own_children().into_iter().filter(|&pid| ours(pid)).collect() };
    loop {
        for _ in 0..STOPPING_ROUNDS {
            if !signal_trees(roots(), Signal::STOP, &mut stopped) {
                break;
            }
        }
        let roots = roots();
        if roots.is_empty() {
            killed.extend(new);
            return true;
        }
        let mut progress = signal_trees(roots.clone(), Signal::KILL, &mut new);
        for root in roots {
            if let Ok(Some((_, status))) = reap(Some(root)) {
                reaped(root, status);
                progress = true;
            }
        }
        if began.elapsed() > timeout {
            killed.extend(new);
            return false;
        }
        pause = if progress { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        sleep(pause);
    }
}

/// Gives this process the highest priority, where root may do that, so that a fork bomb cannot
/// starve it.
pub(crate) fn raise_priority() {
    setpriority_process(None, -20).ok();
}

/// Sleeps. The end of a child ends the sleep early.
pub(crate) fn sleep(pause: Duration) {
    let request = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: i64::from(pause.subsec_nanos()) };
    match nanosleep(&request) {
        NanosleepRelativeResult::Ok
        | NanosleepRelativeResult::Interrupted(_)
        | NanosleepRelativeResult::Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_parsed() {
        let stat = "12 (a) Z 1 (b) S 7 12 9 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 98";
        let expected = ProcessStat { parent: 7, session: 9, start: 4711, zombie: false, running: false };
        assert_eq!(parse_stat(stat), Some(expected));
    }
}
