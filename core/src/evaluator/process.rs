//! This process' side of a child that does evaluations.
//!
//! Both sides write a message as its length, in four bytes from the highest on, and its bytes.
//! Between the two, a result has one byte: [`DONE`], [`LAST`], [`FAILED`] or [`TOO_MUCH`]. Before
//! all of them, a child that has started writes the byte [`READY`].

use std::{path::Path, process::Stdio};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Unevaluated, child::ARGUMENT};

/// The result follows.
pub(super) const DONE: u8 = 0;
/// The result follows, and the child has ended, because it may have taken much memory.
pub(super) const LAST: u8 = 3;
/// What failed follows.
pub(super) const FAILED: u8 = 1;
/// The evaluation took too long, and the child has ended.
pub(super) const TOO_MUCH: u8 = 2;
/// The child has started, and what ends it from here on is what it evaluates.
pub(super) const READY: u8 = 4;
/// Longest message, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

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
            // What a dying child says of its stack or memory is nothing new.
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

    /// Has the child do one evaluation. Also returns the child, if it can do another.
    pub(super) async fn run(mut self, order: &[u8]) -> Result<(Vec<u8>, Option<Self>), Unevaluated> {
        if !self.is_ready {
            self.is_ready = matches!(self.stdout.read_u8().await, Ok(READY));
        }
        if !self.is_ready {
            let status = self.child.wait().await.map_or_else(|error| error.to_string(), |it| it.to_string());
            tracing::error!(status, "a child that evaluates did not start");
            return Err(Unevaluated::Failed(format!("its process did not start ({status})")));
        }
        match self.exchange(order).await {
            Ok((DONE, result)) => Ok((result, Some(self))),
            Ok((LAST, result)) => Ok((result, None)),
            Ok((TOO_MUCH, _)) => Err(Unevaluated::TooMuch),
            Ok((_, why)) => Err(Unevaluated::Failed(String::from_utf8_lossy(&why).into_owned())),
            Err(error) => {
                tracing::debug!(%error, "a child that evaluates has died");
                Err(Unevaluated::TooMuch)
            }
        }
    }

    async fn exchange(&mut self, order: &[u8]) -> std::io::Result<(u8, Vec<u8>)> {
        let length = u32::try_from(order.len()).ok().filter(|_| order.len() <= MESSAGE_BYTES_MAX);
        let length = length.ok_or_else(|| std::io::Error::other("the order is too long"))?;
        self.stdin.write_all(&length.to_be_bytes()).await?;
        self.stdin.write_all(order).await?;
        self.stdin.flush().await?;
        let length = self.stdout.read_u32().await? as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(std::io::Error::other("the result is too long"));
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

    #[tokio::test]
    async fn a_child_that_does_not_start_is_not_taken_for_too_much_work() {
        let process = Process::start(Path::new("/bin/false")).unwrap();
        let error = process.run(b"{}").await.unwrap_err();
        let expected = "could not be evaluated: its process did not start (exit status: 1)";
        assert_eq!(error.to_string(), expected);
    }
}
