//! A directory for servers, with a watchdog that ends them and removes it when this process is
//! gone.
//!
//! The watchdog is a shell that waits for the end of a pipe which only this process holds open. The
//! kernel closes the pipe however the process ends, even by SIGKILL, which no exit handler could
//! promise.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

/// Ends every server that left a file `pid` ("ID SIGNAL") in a directory below `$1`, then removes
/// `$1`.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
for file in "$1"/*/pid; do
  read -r pid signal 2>/dev/null <"$file" || continue
  kill -CONT "$pid" 2>/dev/null || continue
  kill "-$signal" "$pid" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    kill -0 "$pid" 2>/dev/null || continue 2
    sleep 0.2
  done
  kill -KILL "$pid" 2>/dev/null
done
rm -rf "$1"
"#;

/// A directory whose servers end with it, or with this process.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    watchdog: Child,
}

impl Home {
    /// Creates one that every user of the machine may pass through.
    pub(crate) fn new() -> anyhow::Result<Self> {
        // Root's own temporary directory would shut out the user that Postgres runs as.
        let parent = if is_root() { PathBuf::from("/tmp") } else { std::env::temp_dir() };
        let path = tempfile::Builder::new()
            .prefix("callboard-test-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(parent)?
            .keep();
        // Set again, whatever the umask is.
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "callboard-test-watchdog"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A test runner kills the process group of a test that takes too long, and the watchdog
            // must survive that.
            .process_group(0)
            .spawn()
            .context("cannot start the watchdog")?;
        Ok(Self { path, watchdog })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        drop(self.watchdog.wait());
    }
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
