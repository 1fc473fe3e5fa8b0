//! This process' side of a child that does evaluations.
//!
//! Both sides write a message as its length, in four bytes from the highest on, and its bytes.
//! Between the two, a result has one byte: [`DONE`], [`LAST`], [`FAILED`] or [`TOO_MUCH`]. Before
//! all of them, a child that has started writes the byte [`READY`].

use std::{os::unix::process::ExitStatusExt as _, path::Path, process::Stdio};

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Unavailable, Unevaluated, child::ARGUMENT};

/// The result follows.
pub(super) const DONE: u8 = 0;
/// The result follows, and the child has ended, because it may have taken much memory.
pub(super) const LAST: u8 = 3;
/// What failed follows.
pub(super) const FAILED: u8 = 1;
/// The evaluation took too long, and the child has ended.
pub(super) const TOO_MUCH: u8 = 2;
/// The child has started. From here on its exit status says why it ended.
pub(super) const READY: u8 = 4;
/// Longest message, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What became of an evaluation that a child has begun.
#[derive(Debug)]
pub(super) enum Ran {
    /// It is done.
    Done {
        /// The result.
        result: Vec<u8>,
        /// The child, if it can do another.
        process: Option<Box<Process>>,
    },
    /// The child was ended by somebody else, with this status.
    Ended(String),
}

/// A child. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    is_ready: bool,
}

impl Process {
    /// Starts a child, without environment, in a process group of its own, so that Ctrl-C in a
    /// terminal does not end it before its parent is done.
    pub(super) fn start(program: &Path) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .arg0(format!("callboard-{ARGUMENT}"))
            .arg(ARGUMENT)
            .env_clear()
            // So that memory counts when it is used, and not when the allocator reserves it.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // The parent learns of a crash from the exit status. The child's last words add
            // nothing.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || std::io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        Ok(Self { child, stdin, stdout, is_ready: false })
    }

    /// The child, unless it has ended.
    pub(super) fn if_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Has the child do one evaluation.
    pub(super) async fn run(mut self, order: &[u8]) -> Result<Ran, Unevaluated> {
        if order.len() > MESSAGE_BYTES_MAX {
            return Err(Unevaluated::TooMuch);
        }
        if !self.is_ready {
            self.is_ready = matches!(self.stdout.read_u8().await, Ok(READY));
        }
        if !self.is_ready {
            let status = self.child.wait().await.map_or_else(|error| error.to_string(), |it| it.to_string());
            tracing::error!(status, "a child that evaluates did not start");
            return Err(Unavailable::Failed(format!("its process did not start ({status})")).into());
        }
        match self.exchange(order).await {
            Ok((DONE, result)) => Ok(Ran::Done { result, process: Some(Box::new(self)) }),
            Ok((LAST, result)) => Ok(Ran::Done { result, process: None }),
            Ok((TOO_MUCH, _)) => Err(Unevaluated::TooMuch),
            Ok((_, why)) => {
                let why = String::from_utf8_lossy(&why).into_owned();
                tracing::warn!(why, "a child could not evaluate what it was given");
                Err(Unevaluated::Fails(why))
            }
            Err(error) => self.ended(&error).await,
        }
    }

    /// Tells whether the child was ended by what it evaluates: by a stack that overflowed, memory
    /// that was refused, or a defect of a library. Anybody may end it otherwise, such as the kernel
    /// when the machine is out of memory.
    async fn ended(mut self, error: &std::io::Error) -> Result<Ran, Unevaluated> {
        if error.kind() == std::io::ErrorKind::InvalidData {
            return Err(Unevaluated::TooMuch);
        }
        let status = match self.child.wait().await {
            Ok(status) => status,
            Err(error) => return Ok(Ran::Ended(error.to_string())),
        };
        tracing::warn!(%status, %error, "a child that evaluates has died");
        let crashes = [Signal::SEGV, Signal::ABORT, Signal::BUS].map(|signal| Some(signal.as_raw()));
        if crashes.contains(&status.signal()) {
            return Err(Unevaluated::TooMuch);
        }
        Ok(Ran::Ended(status.to_string()))
    }

    async fn exchange(&mut self, order: &[u8]) -> std::io::Result<(u8, Vec<u8>)> {
        let length = u32::try_from(order.len()).map_err(std::io::Error::other)?;
        self.stdin.write_all(&length.to_be_bytes()).await?;
        self.stdin.write_all(order).await?;
        self.stdin.flush().await?;
        let length = self.stdout.read_u32().await? as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the result is too long"));
        }
        let status = self.stdout.read_u8().await?;
        let mut result = Vec::new();
        (&mut self.stdout).take(length as u64).read_to_end(&mut result).await?;
        if result.len() < length {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok((status, result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluator::Evaluator;

    /// A program that starts and does this when it has an order, and how often it was started.
    struct Script(tempfile::TempDir);

    impl Script {
        fn new(does: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("child");
            let started = directory.path().join("started");
            let text = format!("#!/bin/sh\necho >>{}\nprintf '\\004'\n{does}\n", started.display());
            // Written by another process: no program runs that this one has open for writing, and
            // its children would have it open too.
            let write = "printf %s \"$1\" >\"$2\" && chmod 700 \"$2\"";
            let mut shell = std::process::Command::new("/bin/sh");
            let done = shell.args(["-c", write, "-", &text]).arg(&path).status().unwrap();
            assert!(done.success());
            Self(directory)
        }

        async fn run(&self) -> (Unevaluated, usize) {
            let evaluator = Evaluator::of_program(self.0.path().join("child"));
            let why = evaluator.0.run(b"{}".to_vec(), false).await.unwrap_err();
            (why, std::fs::read_to_string(self.0.path().join("started")).unwrap().lines().count())
        }
    }

    #[tokio::test]
    async fn only_crashes_are_taken_for_too_much_work() {
        for signal in ["SEGV", "ABRT", "BUS"] {
            let (why, started) = Script::new(&format!("kill -{signal} $$")).run().await;
            assert_eq!((why, started), (Unevaluated::TooMuch, 1), "{signal}");
        }
        // Somebody else's doing, which is tried once more and then may pass later.
        for end in ["kill -KILL $$", "kill -TERM $$", "exit 0", "exit 7"] {
            let (why, started) = Script::new(end).run().await;
            let Unevaluated::Unavailable(Unavailable::Failed(why)) = why else { panic!("{end}: {why}") };
            assert!(why.starts_with("its process was ended twice ("), "{end}: {why}");
            assert_eq!(started, 2, "{end}");
        }
    }

    #[tokio::test]
    async fn a_child_that_does_not_start_is_not_taken_for_too_much_work() {
        let process = Process::start(Path::new("/bin/false")).unwrap();
        let error = process.run(b"{}").await.unwrap_err();
        let expected = "could not be evaluated: its process did not start (exit status: 1)";
        assert_eq!(error.to_string(), expected);
    }
}
