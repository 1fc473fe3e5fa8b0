//! A process that ends with the scope that started it.

use std::{
    process::{Child as Process, Command, ExitStatus},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::{eventually, must};

/// A process that belongs to one test and is killed when this is dropped.
///
/// It stays in the test's process group, so that a test runner that kills the test kills it too.
#[derive(Debug)]
pub struct Child(Process);

impl Child {
    /// Starts the program. Panics if it does not exist.
    pub fn spawn(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        Self(must(command.spawn().with_context(|| format!("cannot start {}", program.display()))))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The process, for its standard streams where they are pipes.
    pub fn streams(&mut self) -> &mut Process {
        &mut self.0
    }

    /// Sends a signal. Does nothing if the process is known to have ended.
    pub fn signal(&mut self, signal: Signal) {
        if let (Ok(None), Ok(pid)) = (self.0.try_wait(), pid_of(&self.0)) {
            // It may have ended since the check, but its id stays its own until it is waited for.
            kill_process(pid, signal).ok();
        }
    }

    /// Waits for its end and returns its status. Panics once the limit has passed.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        eventually(limit, || {
            let ended = self.0.try_wait().ok().flatten();
            async move { ended }
        })
        .await
    }

    /// Whether it is running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Returns the process id in the type that signals need.
pub(crate) fn pid_of(process: &Process) -> anyhow::Result<Pid> {
    let raw = i32::try_from(process.id())?;
    Pid::from_raw(raw).context("a process has no id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ends_with_its_scope() {
        let mut child = Child::spawn(Command::new("sleep").arg("1000"));
        assert!(child.is_running());
        let pid = Pid::from_raw(child.pid() as i32).unwrap();
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[tokio::test]
    async fn can_be_asked_to_end() {
        let mut child = Child::spawn(Command::new("sleep").arg("1000"));
        child.signal(Signal::TERM);
        assert!(!child.ended(Duration::from_secs(5)).await.success());
        child.signal(Signal::TERM);
    }
}
