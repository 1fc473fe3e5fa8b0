//! A shim's life, in a newly forked process: reads one request, runs one program, reports its end.
//!
//! The rule that nothing outlives its attempt rests on this file. The shim is the subreaper of
//! everything that the program starts, so it exits only when `wait` says that no child is left.
//! Then it cleans up and reports. It must never write to the program's output, and when the worker
//! closes the socket it must exit as soon as everything is killed.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Pid, WaitStatus, set_child_subreaper, setsid, umask};
use rustix::thread::set_no_new_privs;

use super::output_holders::OutputPipes;
use super::profile::{Denied, Profile};
use super::program;
use super::protocol::{
    Ending, ExitStatus, Exited, Inbox, MAX_SPAWN_BYTES, RefusalCode, SpawnMessage, Status, encode,
};
use super::shared_files::{self, Before};
use super::watch::{Watch, WatchEnd, boottime_now};
use super::{kernel, temporary, tree};

/// Killing has no timeout. Only a process in an uninterruptible wait takes long.
const FOREVER: Duration = Duration::from_hours(365 * 24);

/// The descriptors that a shim inherits.
pub(super) struct Inherited {
    /// Its socket to the worker.
    pub(super) channel: OwnedFd,
    /// For the program, like the next two.
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Runs one attempt. Returns the exit code: after anything but 0, the forker looks for leftovers.
pub(super) fn run(inherited: Inherited) -> u8 {
    let Inherited { channel, stdin, stdout, stderr } = inherited;
    let mut channel = UnixStream::from(channel);
    if set_up().is_err() {
        return 1;
    }
    let mut inbox = Inbox::default();
    let Some(frame) = next_spawn(&mut channel, &mut inbox) else { return 0 };
    let Ok(request) = serde_json::from_slice::<SpawnMessage<'_>>(&frame) else { return 1 };
    // Before the program gets the pipe.
    let group = request.run_as.and_then(|_| shared_files::group_of(&stdout));
    let held = match prepare(&request, group) {
        Ok(held) => held,
        Err(denied) => {
            report(&mut channel, &denial(denied));
            return 0;
        }
    };
    let output = OutputPipes::of(&stdout, &stderr);
    let stdio = [stdin, stdout, stderr];
    let spawned = program::check(&request).and_then(|()| program::spawn(&request, stdio, group));
    let status = match spawned {
        Ok(child) => {
            report(&mut channel, &Status::Started { pid: child.as_raw_pid() });
            let watch = Watch::new(&channel, inbox, child, output, request.deadline);
            Status::Exited(finish(watch.map(Watch::run), child, &request, held))
        }
        Err((code, message)) => {
            clean_up(&request, held);
            Status::Refused { code, message }
        }
    };
    report(&mut channel, &status);
    0
}

fn set_up() -> Result<(), Errno> {
    setsid()?;
    set_child_subreaper(Some(Pid::INIT))?; // any pid means "yes"
    // A setuid program could not be killed by a worker that is not root.
    set_no_new_privs(true)?;
    umask(Mode::RWXG | Mode::RWXO);
    Ok(())
}

/// Waits for the request. Returns `None` if the worker closes the socket without one.
fn next_spawn(channel: &mut UnixStream, inbox: &mut Inbox) -> Option<Vec<u8>> {
    let mut buffer = [0; 8 * 1024];
    loop {
        match channel.read(&mut buffer) {
            Ok(0) => return None,
            Ok(length) => inbox.push(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return None,
        }
        match inbox.take(MAX_SPAWN_BYTES) {
            Ok(Some(frame)) => return Some(frame),
            Ok(None) => {}
            Err(_) => return None,
        }
    }
}

/// Sends a status. The worker may be gone.
fn report(channel: &mut UnixStream, status: &Status) {
    if let Ok(frame) = encode(status) {
        channel.write_all(&frame).ok();
    }
}

/// What is held until the last process has ended. The temporary directory needs no handle, because
/// its name is the attempt's own.
struct HeldResources {
    profile: Option<Profile>,
    /// The group id of the attempt's own.
    group: Option<u32>,
    before: Before,
}

fn prepare(request: &SpawnMessage<'_>, group: Option<u32>) -> Result<HeldResources, Denied> {
    if boottime_now() >= request.deadline {
        let message = "the worker's lease has ended".to_owned();
        return Err(Denied::Refused(RefusalCode::DeadlinePassed, message));
    }
    let profile =
        request.profile.as_deref().map(|place| Profile::acquire(place, request.run_as)).transpose()?;
    temporary::create(&request.temporary_directory, request.run_as).map_err(|error| {
        let message = format!("{}: {error}", request.temporary_directory.display());
        Denied::Refused(RefusalCode::TemporaryDirectory, message)
    })?;
    Ok(HeldResources { profile, group, before: Before::look() })
}

fn denial(denied: Denied) -> Status {
    match denied {
        Denied::Busy => Status::Busy,
        Denied::Refused(code, message) => Status::Refused { code, message },
    }
}

/// Kills everything that is left, cleans up, and makes the report.
fn finish(
    end: Result<(WatchEnd, HashSet<(Pid, u64)>), Errno>,
    child: Pid,
    request: &SpawnMessage<'_>,
    held: HeldResources,
) -> Exited {
    let (end, mut left) = end.unwrap_or((WatchEnd::Killed, HashSet::new()));
    let exit = kill_all(child, &mut left);
    left.retain(|(pid, _)| *pid != child);
    let ending = match end {
        WatchEnd::Exited { status, asked: false } => Ending::Exited(status),
        WatchEnd::Exited { status, asked: true } => Ending::Terminated(status),
        WatchEnd::Overdue => Ending::Terminated(exit.unwrap_or(ExitStatus::Signal(9))),
        WatchEnd::Deadline => Ending::Deadline,
        WatchEnd::HungUp => Ending::Orphaned,
        WatchEnd::Killed => Ending::Killed,
    };
    let usage = kernel::children_usage();
    let residue = clean_up(request, held);
    Exited {
        ending,
        leftovers: left.len() as u32,
        peak_memory_bytes: usage.peak_memory_bytes,
        cpu_ms: usage.cpu_ms,
        residue,
    }
}

/// Kills and reaps until no child is left, and adds what was alive to `killed`. Returns the exit
/// status of the program's own process if it was among them.
fn kill_all(child: Pid, killed: &mut HashSet<(Pid, u64)>) -> Option<ExitStatus> {
    let mut exit = None;
    let mut note = |pid, status: WaitStatus| {
        if pid == child {
            exit = Some(exit_status(status));
        }
    };
    loop {
        match tree::reap(None) {
            Ok(Some((pid, status))) => note(pid, status),
            Ok(None) => {
                tree::raise_priority();
                tree::clear(|_| true, &mut note, killed, FOREVER);
            }
            Err(_) => return exit, // CHILD: no child is left
        }
    }
}

/// The exit status of a reaped process.
pub(super) fn exit_status(status: WaitStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, signal) => ExitStatus::Signal(signal.unwrap_or_default()),
    }
}

/// Removes what the program has left, and unlocks the profile. Returns what could not be removed,
/// as a sentence for the log.
fn clean_up(request: &SpawnMessage<'_>, held: HeldResources) -> Option<String> {
    let removed = temporary::remove(&request.temporary_directory);
    if let Some(profile) = held.profile {
        profile.release();
    }
    let removed = removed.map_err(|error| format!("{}: {error}", request.temporary_directory.display()));
    let shared = held.group.map_or(Ok(()), |group| shared_files::remove_since(group, &held.before));
    let shared = shared.map_err(|error| format!("what the program left outside its directory: {error}"));
    removed.and(shared).err()
}
