//! Finds and kills process trees. Called by the shim for its attempt's tree, and by the forker and the worker for
//! what a killed shim left to them.
//!
//! Everything rests on one property of subreapers: whatever a descendant does (fork twice, open a session, stop
//! itself), when its parent dies it becomes *our* child. So: kill all that can be seen, wait, look again, until
//! there is no child left. A process group or a session would not do; Chromium and its crash handler leave both.
//!
//! It must never signal a process that is not a descendant. Process ids are reused, therefore every signal goes
//! through a pidfd, and the parent is looked up after the pidfd was opened.

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

/// How long to wait between two looks, at first: about what the kernel needs to end a small process.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// And at most, when nothing more happens (a process in an uninterruptible wait).
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// How often to look for more to stop before killing those that are.
const STOPPING_ROUNDS: usize = 100;

/// What `/proc/PID/stat` says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    /// Its parent's process id.
    pub(crate) parent: i32,
    /// Its session's id.
    pub(crate) session: i32,
    /// When it was started, in clock ticks since the machine was: together with its id, this is its name for good.
    pub(crate) start: u64,
    /// Dead, and not yet waited for.
    pub(crate) zombie: bool,
}

/// Looks a process up.
pub(crate) fn process_stat(pid: Pid) -> Option<ProcessStat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &str) -> Option<ProcessStat> {
    // The name comes second, in parentheses, and may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let _group = fields.next()?;
    let session = fields.next()?.parse().ok()?;
    Some(ProcessStat { parent, session, start: fields.nth(15)?.parse().ok()?, zombie })
}

/// The children of all of a process' threads, as far as the kernel can list them while they change.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        let listed = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.extend(listed.split_ascii_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)));
    }
    children
}

/// Sends a signal to those of `roots` that are children of this process, and to everything below them; to each
/// process once, as long as `signalled` is the same. Returns whether there was somebody to tell.
fn signal_trees(roots: Vec<Pid>, signal: Signal, signalled: &mut HashSet<(Pid, u64)>) -> bool {
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

/// Waits for a dead child, without blocking: that one, or any. `Ok(None)` says that none is dead yet, `CHILD` that
/// there is none at all.
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

/// Kills and reaps every child that `ours` names, and all below, until none is left or `timeout` is over. Whoever
/// is still there then cannot be killed (an uninterruptible wait in the kernel).
///
/// All are stopped before the first is killed: what is stopped cannot multiply, and unlike the dead it does not make
/// room for others under a limit of processes.
///
/// `reaped` is signalled how each child died. Returns how many were alive, or `None` when timeout was over.
pub(crate) fn clear(
    ours: impl Fn(Pid) -> bool,
    mut reaped: impl FnMut(Pid, WaitStatus),
    timeout: Duration,
) -> Option<u32> {
    let (mut stopped, mut killed) = (HashSet::new(), HashSet::new());
    let mut pause = FIRST_PAUSE;
    let began = Instant::now();
    let roots = || -> Vec<Pid> { children(getpid()).into_iter().filter(|&pid| ours(pid)).collect() };
    loop {
        for _ in 0..STOPPING_ROUNDS {
            if !signal_trees(roots(), Signal::STOP, &mut stopped) {
                break;
            }
        }
        let roots = roots();
        if roots.is_empty() {
            return Some(killed.len() as u32);
        }
        let mut progress = signal_trees(roots.clone(), Signal::KILL, &mut killed);
        for root in roots {
            if let Ok(Some((_, status))) = reap(Some(root)) {
                reaped(root, status);
                progress = true;
            }
        }
        if began.elapsed() > timeout {
            return None;
        }
        pause = if progress { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        sleep(pause);
    }
}

/// Runs before the others where that is allowed (root): a tree that forks wildly must not starve its killer.
pub(crate) fn raise_priority() {
    setpriority_process(None, -20).ok();
}

/// Sleeps, or less: a child's end wakes us.
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
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "12 (a) Z 1 (b) S 7 12 9 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 98";
        let expected = ProcessStat { parent: 7, session: 9, start: 4711, zombie: false };
        assert_eq!(parse_stat(stat), Some(expected));
    }
}
