//! A server in a [`Home`] that can be started, stopped, killed and frozen.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use parking_lot::{Mutex, MutexGuard};
use rustix::process::{Pid, Signal, kill_process};

use crate::{child::pid_of, home::Home, must, unblocked};

/// Longest start or stop of a server, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(1);

/// Writes its process id and the signal that ends it to a file, then becomes the server.
const ANNOUNCED: &str = r#"echo "$$ $1" >pid && shift && exec "$@""#;

/// How to run a kind of server.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Ends it cleanly at once, even if clients are connected.
    pub(crate) stop: Signal,
    /// The signal with which the watchdog's `kill` ends it.
    pub(crate) stop_name: &'static str,
    /// The program and its arguments, without the port.
    pub(crate) program: Vec<String>,
    /// The argument before the port.
    pub(crate) port_flag: &'static str,
    /// The user to run as, by user and group id.
    pub(crate) user: Option<(u32, u32)>,
    /// Whether it accepts connections on this port.
    pub(crate) answers: fn(u16, &str) -> bool,
    pub(crate) password: String,
}

/// A Postgres or Redis for one test. Ends with its scope, and with the test process however that
/// ends.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Mutex<Inner>>,
    url: String,
}

#[derive(Debug)]
struct Inner {
    // Fields drop in this order, which would remove the directory under a running server. `Drop`
    // therefore ends the server itself.
    home: Home,
    kind: Kind,
    directory: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Starts a server in the home's subdirectory that is named after its kind.
    pub(crate) fn launch(home: Home, kind: Kind, url: impl Fn(u16) -> String) -> anyhow::Result<Self> {
        let directory = home.path().join(kind.name);
        let mut inner = Inner { home, kind, directory, port: 0, process: None };
        let mut result = Ok(());
        // Another process may take the port between its choice and its use.
        for _ in 0..5 {
            inner.port = crate::free_port();
            result = inner.start();
            if result.is_ok() {
                break;
            }
        }
        result?;
        let url = url(inner.port);
        Ok(Self { inner: Arc::new(Mutex::new(inner)), url })
    }

    /// The URL of the server, which a restart does not change.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts it again on the same port with the same data. Returns once it accepts connections.
    pub async fn start(&self) {
        let server = self.clone();
        unblocked(move || server.inner().start_again()).await;
    }

    /// Starts it again on another port, as a server that replaces one behind the same name. Returns
    /// the port. The URL still has the first one.
    pub async fn start_elsewhere(&self) -> u16 {
        let server = self.clone();
        unblocked(move || {
            let mut inner = server.inner();
            inner.port = crate::free_port();
            inner.start_again()
        })
        .await;
        self.port()
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.inner().port
    }

    /// Stops it cleanly, even if clients are connected. Returns once it has ended.
    pub async fn stop(&self) {
        let server = self.clone();
        unblocked(move || server.inner().stop()).await;
    }

    /// Stops and starts it.
    pub async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// Kills it and all its processes, as a power cut would.
    pub fn kill(&self) {
        must(self.inner().kill());
    }

    /// Freezes it. Connections stay open, but nothing responds.
    pub fn freeze(&self) {
        self.inner().signal_all(Signal::STOP);
    }

    /// Lets it continue after a freeze.
    pub fn thaw(&self) {
        self.inner().signal_all(Signal::CONT);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl Inner {
    fn start(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let log = fs::File::create(self.log())?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", ANNOUNCED, "sh", self.kind.stop_name])
            .args(&self.kind.program)
            .args([self.kind.port_flag, &self.port.to_string()])
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is meant for the tests.
            .process_group(0);
        if let Some((user, group)) = self.kind.user {
            command.uid(user).gid(group);
        }
        let mut process = command.spawn().context("cannot start a shell")?;
        let answers = self.until_it_answers(&mut process);
        if answers.is_err() {
            drop(process.kill());
            drop(process.wait());
            return answers;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Starts it, waiting while children of a killed server are still ending. Postgres refuses to
    /// start beside them.
    fn start_again(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let started = self.start();
            let is_too_early =
                || fs::read_to_string(self.log()).is_ok_and(|log| log.contains("is still in use"));
            if started.is_ok() || begin.elapsed() > PATIENCE || !is_too_early() {
                return started;
            }
            sleep(Duration::from_millis(50));
        }
    }

    fn until_it_answers(&self, process: &mut Child) -> anyhow::Result<()> {
        let start = Instant::now();
        while !(self.kind.answers)(self.port, &self.kind.password) {
            let ended = process.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                bail!("{} did not start ({ended:?}):\n{log}", self.kind.name);
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        self.signal_all(Signal::CONT);
        let Some(process) = &mut self.process else { return Ok(()) };
        kill_process(pid_of(process)?, self.kind.stop).ok();
        let start = Instant::now();
        while process.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                bail!("{} did not stop", self.kind.name);
            }
            sleep(Duration::from_millis(5));
        }
        self.process = None;
        self.forget()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.signal_all(Signal::KILL);
        if let Some(mut process) = self.process.take() {
            process.wait()?;
        }
        self.forget()
    }

    /// Signals the server and the processes it has started.
    fn signal_all(&self, signal: Signal) {
        let Some(pid) = self.process.as_ref().and_then(|process| pid_of(process).ok()) else { return };
        // The server first, because a postmaster that sees its children die would restart them.
        let children = children(pid);
        for pid in [pid].into_iter().chain(children) {
            kill_process(pid, signal).ok();
        }
    }

    /// Removes the pid file, because the process is gone and its id may be reused.
    fn forget(&self) -> anyhow::Result<()> {
        fs::remove_file(self.directory.join("pid")).context("cannot remove a pid file")
    }

    fn log(&self) -> PathBuf {
        self.home.path().join(format!("{}.log", self.kind.name))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            self.process = None;
            if let Ok(pid) = pid_of(&process) {
                // The data are no longer needed. The watchdog, which is next, ends what is left.
                for pid in [pid].into_iter().chain(children(pid)) {
                    kill_process(pid, Signal::KILL).ok();
                }
            }
            drop(process.wait());
            drop(self.forget());
        }
    }
}

/// Returns the processes that a process has started. Empty without /proc.
fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let list = fs::read_to_string(Path::new("/proc").join(format!("{pid}/task/{pid}/children")));
    list.unwrap_or_default().split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}
