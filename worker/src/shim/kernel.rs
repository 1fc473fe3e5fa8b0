//! The system calls that neither the standard library nor rustix wraps safely.
//!
//! They are sound because the forker and the shims have one thread each.
#![expect(unsafe_code, reason = "fork, signal, getrusage and the like have no safe wrapper")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

/// Which side of a fork this is.
pub(super) enum Forked {
    /// The parent, with its new child.
    Parent(Pid),
    /// The new process.
    Child,
}

/// What all reaped children have used.
pub(super) struct Usage {
    /// Peak resident memory of the largest single process, in bytes.
    pub(super) peak_memory_bytes: u64,
    /// CPU time of all of them together, in milliseconds.
    pub(super) cpu_ms: u64,
}

/// Forks this process.
pub(super) fn fork() -> Result<Forked, Errno> {
    // SAFETY: the process has one thread (`shim::main` runs before anything could start another),
    // so the child finds no lock held by a thread that it does not have.
    let answer = unsafe { libc::fork() };
    match (answer, Pid::from_raw(answer)) {
        (0, _) => Ok(Forked::Child),
        (1.., Some(child)) => Ok(Forked::Parent(child)),
        (_, _) => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)),
    }
}

/// Exits at once, without exit handlers, because a forked shim must not run the forker's.
pub(super) fn exit(code: u8) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Closes every descriptor above the standard three. The process that started the worker may have
/// left some open, and every program would inherit them.
pub(super) fn close_inherited() {
    // SAFETY: called at the very start of `main`, before anything here owns a descriptor above 2.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

extern "C" fn wake(_signal: libc::c_int) {}

/// Gives signals their default disposition, because programs inherit ignored ones (a worker started
/// by `nohup` or by a shell's `&` ignores some).
///
/// SIGCHLD, SIGTERM, SIGINT and SIGHUP get a handler that does nothing, and programs do not inherit
/// handlers. Service managers send the last three to every process of a unit, but a shim exits only
/// when its worker closes the socket.
pub(super) fn reset_signals() {
    let handler = wake as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
    for signal in 1..=libc::SIGRTMAX() {
        let disposition = match signal {
            libc::SIGCHLD | libc::SIGTERM | libc::SIGINT | libc::SIGHUP => handler,
            libc::SIGPIPE => libc::SIG_IGN, // std gives programs the default back
            _ => libc::SIG_DFL,
        };
        // SAFETY: the handler does nothing, so it is safe at any time. Signals that cannot be
        // changed (KILL, STOP, those the C library keeps) are refused with an error, which is fine.
        unsafe { libc::signal(signal, disposition) };
    }
}

/// What the children that were reaped so far have used.
pub(super) fn children_usage() -> Usage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a valid, writable `rusage`, which is also valid when all zero.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let milliseconds =
        |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000 + time.tv_usec.unsigned_abs() / 1_000;
    Usage {
        peak_memory_bytes: usage.ru_maxrss.unsigned_abs() * 1024,
        cpu_ms: milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
    }
}

/// Has the command run as this user, with these groups: its own, and others.
pub(super) fn run_as(command: &mut Command, user: Uid, group: Gid, others: Vec<Gid>) {
    let become_user = move || {
        set_thread_groups(&others)?;
        set_thread_gid(group)?;
        set_thread_uid(user)?;
        Ok(())
    };
    // SAFETY: runs in the forked child, which has one thread, and makes system calls only.
    unsafe { command.pre_exec(become_user) };
}

/// A kind of System V object.
#[derive(Clone, Copy)]
pub(super) enum IpcObject {
    /// Shared memory.
    Memory,
    /// A set of semaphores.
    Semaphores,
    /// A queue of messages.
    Messages,
}

/// Removes a System V object. It may be gone already.
pub(super) fn remove_ipc(object: IpcObject, id: i32) {
    // SAFETY: IPC_RMID takes no argument and touches no memory of this process.
    unsafe {
        match object {
            IpcObject::Memory => libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()),
            IpcObject::Semaphores => libc::semctl(id, 0, libc::IPC_RMID),
            IpcObject::Messages => libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()),
        }
    };
}
