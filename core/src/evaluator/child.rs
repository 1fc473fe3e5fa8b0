//! The child that does evaluations, one after the other, and ends when one takes too much.
//!
//! It reads orders from standard input and writes results to standard output until its parent
//! closes them.

use std::{
    io::{self, Read as _, Write as _},
    process::ExitCode,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::{
    process::{Resource, Rlimit, nice, setrlimit},
    time::{ClockId, clock_gettime},
};

use super::process::{DONE, FAILED, LAST, MESSAGE_BYTES_MAX, READY, TOO_MUCH};
use crate::command::evaluation::Evaluations;

/// The argument with which a program runs [`main`].
pub const ARGUMENT: &str = "evaluate";
/// Most processor time of one evaluation. Real templates take about 0.25 ms.
pub const CPU_MAX: Duration = Duration::from_millis(250);
/// Most memory of a child, its stack included.
pub const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Stack of the thread that evaluates. Deeply nested values are compared and dropped recursively.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Processor time of an evaluation after which its child ends, because it may hold much memory.
const KEPT_MAX: Duration = Duration::from_millis(50);
/// How much its parent and other programs come before a child.
const NICENESS: i32 = 10;
/// How often the processor time is looked at.
const CHECK_EVERY: Duration = Duration::from_millis(10);

/// Runs as a child that evaluates, until its parent closes standard input.
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    let (orders, received) = mpsc::sync_channel::<Vec<u8>>(1);
    let (done, results) = mpsc::sync_channel(1);
    let evaluate = move || {
        let mut evaluations = Evaluations::default();
        for order in received {
            if done.send(evaluations.run(&order)).is_err() {
                return;
            }
        }
    };
    limit_memory()?;
    thread::Builder::new().stack_size(STACK_BYTES).spawn(evaluate)?;
    confine()?;
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    stdout.write_all(&[READY])?;
    stdout.flush()?;
    let mut write = |status: u8, result: &[u8]| {
        let length = u32::try_from(result.len()).map_err(io::Error::other)?;
        stdout.write_all(&length.to_be_bytes())?;
        stdout.write_all(&[status])?;
        stdout.write_all(result)?;
        stdout.flush()
    };
    loop {
        let mut length = [0; 4];
        stdin.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut order = vec![0; length];
        stdin.read_exact(&mut order)?;
        let since = processor_time();
        orders.send(order).map_err(io::Error::other)?;
        let result = loop {
            match results.recv_timeout(CHECK_EVERY) {
                Ok(result) => break result,
                Err(RecvTimeoutError::Timeout) if processor_time().saturating_sub(since) <= CPU_MAX => {}
                Err(RecvTimeoutError::Timeout) => return write(TOO_MUCH, &[]),
                Err(RecvTimeoutError::Disconnected) => return write(FAILED, b"the evaluation panicked"),
            }
        };
        match result {
            Ok(result) if processor_time().saturating_sub(since) > KEPT_MAX => return write(LAST, &result),
            Ok(result) => write(DONE, &result)?,
            Err(error) => write(FAILED, error.to_string().as_bytes())?,
        }
    }
}

/// Time of all threads on the processors.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or(Duration::MAX)
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

fn limit_memory() -> io::Result<()> {
    // Not the address space, of which the allocator reserves more than it uses.
    limit(Resource::Data, MEMORY_BYTES_MAX)
}

/// Gives up what an evaluation does not need: its share of the processors, new files and sockets,
/// writing to files, starting processes, core dumps, and being looked at by other processes.
fn confine() -> io::Result<()> {
    nice(NICENESS)?;
    limit(Resource::Nofile, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nproc, 0)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            process::{DumpableBehavior, set_dumpable_behavior},
            thread::{set_name, set_no_new_privs},
        };
        set_no_new_privs(true)?;
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        set_name(c"callboard-eval")?;
    }
    Ok(())
}
