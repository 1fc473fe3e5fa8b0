//! What the processes that a program left do with the program's output.
//!
//! Reads `/proc` and changes nothing. What cannot be read counts as a process that has the output
//! open and does nothing with it.

use std::fs;
use std::os::fd::AsFd;

use rustix::fs::fstat;
use rustix::process::Pid;

use super::tree;

/// The pipes that a program writes to.
pub(super) struct OutputPipes {
    /// As `/proc/PID/fd` names them.
    names: [String; 2],
}

/// What processes that have the output open have done so far.
pub(super) struct Activity {
    holders: usize,
    /// Bytes that they have written anywhere.
    written: u64,
    /// Whether one of them computes or waits for a disk.
    is_running: bool,
}

impl OutputPipes {
    /// The pipes at these two descriptors.
    pub(super) fn of(stdout: impl AsFd, stderr: impl AsFd) -> Self {
        let name = |pipe: &dyn Fn() -> rustix::io::Result<rustix::fs::Stat>| {
            pipe().map_or_else(|_| String::new(), |stat| format!("pipe:[{}]", stat.st_ino))
        };
        Self { names: [name(&|| fstat(&stdout)), name(&|| fstat(&stderr))] }
    }

    /// Looks at everything below this process.
    pub(super) fn activity(&self) -> Activity {
        let mut seen = Activity { holders: 0, written: 0, is_running: false };
        let mut next = tree::own_children();
        while let Some(pid) = next.pop() {
            next.extend(tree::children(pid));
            let Some(stat) = tree::process_stat(pid).filter(|stat| !stat.zombie && self.is_open_in(pid))
            else {
                continue;
            };
            seen.holders += 1;
            seen.written += written(pid);
            seen.is_running |= stat.running;
        }
        seen
    }

    /// Whether the process has one of the pipes open.
    fn is_open_in(&self, pid: Pid) -> bool {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return true };
        let targets = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.into_iter().any(|target| self.names.iter().any(|name| target.as_os_str() == name.as_str()))
    }
}

impl Activity {
    /// Whether no process has the output open any more.
    pub(super) const fn is_over(&self) -> bool {
        self.holders == 0
    }

    /// Whether something was done since `before`.
    pub(super) const fn is_busier_than(&self, before: &Self) -> bool {
        self.is_running || self.written != before.written || self.holders != before.holders
    }
}

fn written(pid: Pid) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: "));
    line.and_then(|count| count.parse().ok()).unwrap_or_default()
}
