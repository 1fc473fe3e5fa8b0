//! Cleans up after a shim that was killed: kills its leftover processes, and removes the temporary
//! directory and Chromium's locks.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use tokio::sync::oneshot;

use super::{ProfileDirectory, pool_thread::Request, supervisor::TrackedShim};
use crate::shim::{profile, shared_files, temporary};

/// Number of kill rounds. One may take seconds, and only uninterruptible processes survive it.
const ROUNDS: usize = 6;

/// How long a shim may take to exit after its socket has closed, in seconds.
const EXIT_SECONDS: i64 = 10;

/// What to remove after a killed shim.
#[derive(Debug)]
pub(super) struct Cleanup {
    pub(super) temporary_directory: PathBuf,
    pub(super) profile: Option<ProfileDirectory>,
    /// The group id of the attempt's own, if the program ran as another user than the worker.
    pub(super) group: Option<u32>,
}

impl Cleanup {
    /// Kills and removes. Returns what could not be done, as a sentence for the log.
    pub(super) async fn run(&mut self, shim: &TrackedShim) -> Option<String> {
        let handle = Arc::clone(&shim.handle);
        // The kernel closes its socket a little before it gives its children to their new parent.
        let exit = move || {
            let timeout = Timespec { tv_sec: EXIT_SECONDS, tv_nsec: 0 };
            poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout))
        };
        tokio::task::spawn_blocking(exit).await.ok();
        if !kill_leftovers(shim).await {
            return Some("processes that a killed shim left cannot be killed".to_owned());
        }
        let directory = std::mem::take(&mut self.temporary_directory);
        let profile = self.profile.take();
        let group = self.group;
        let cleaning = move || {
            let swept = profile.map_or(Ok(()), |place| profile::sweep_if_free(&place));
            let removed = temporary::remove(&directory);
            let shared = group.map_or(Ok(()), shared_files::remove);
            removed.and(swept).and(shared).err().map(|error| format!("{}: {error}", directory.display()))
        };
        tokio::task::spawn_blocking(cleaning).await.unwrap_or_else(|error| Some(error.to_string()))
    }
}

async fn kill_leftovers(shim: &TrackedShim) -> bool {
    for _ in 0..ROUNDS {
        let (reply, answer) = oneshot::channel();
        if shim.requests.send(Request::Clear(reply)).is_err() {
            return false; // the pool has closed, which kills everything
        }
        if answer.await == Ok(true) {
            return true;
        }
    }
    false
}
