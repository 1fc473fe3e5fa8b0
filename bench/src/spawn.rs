//! The machine's own limit for W6: how many processes can be started and awaited per second.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::anyhow;

use crate::measurement::Measurement;

/// Starts a program `count` times (rounded up), with one thread per processor. The standard library
/// uses `posix_spawn`.
pub(crate) fn spawn(name: &str, program: &str, count: usize) -> anyhow::Result<Measurement> {
    let threads = std::thread::available_parallelism()?.get();
    let each = count.div_ceil(threads);
    let since = Instant::now();
    std::thread::scope(|scope| {
        let starter = || (0..each).try_for_each(|_| start(program));
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(starter)).collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    Ok(Measurement::rate(name, each * threads, since.elapsed()))
}

fn start(program: &str) -> anyhow::Result<()> {
    let status =
        Command::new(program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(anyhow!("{program} failed")) }
}
