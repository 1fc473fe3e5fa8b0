//! Shared by the tests of `process`: requests for small scripts, and the search for processes.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use callboard_worker::process::{
    Exit, LeaseNumber, ResourceLimits, RunAs, Running, Settings, ShimPool, SpawnRequest, boottime_now,
};
use tokio::io::AsyncReadExt;

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn hours(number: u64) -> u64 {
    number * 3_600_000_000_000
}

pub(crate) fn seconds(number: u64) -> u64 {
    number * 1_000_000_000
}

pub(crate) fn settings() -> Settings {
    Settings { program: env!("CARGO_BIN_EXE_callboard-worker").into(), ..Settings::default() }
}

/// The shim pool of this test binary. Its lease does not end during the tests.
pub(crate) fn shim_pool() -> &'static ShimPool {
    static POOL: OnceLock<ShimPool> = OnceLock::new();
    POOL.get_or_init(|| leased(hours(1)))
}

/// A new shim pool with a lease of that many nanoseconds.
pub(crate) fn leased(nanoseconds: u64) -> ShimPool {
    let shim_pool = ShimPool::new(settings()).unwrap();
    shim_pool.extend_deadline(boottime_now() + nanoseconds);
    shim_pool
}

/// A directory for one test, which all users can pass through.
#[derive(Debug)]
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let passable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(place.path(), passable).unwrap();
        Self(place)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The temporary directory of this place's requests.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join("temporary")
    }

    pub(crate) fn request(&self, program: &str, arguments: &[&str]) -> SpawnRequest {
        SpawnRequest {
            program: program.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned().into())],
            stdin: Vec::new().into(),
            keep_stdin_open: false,
            working_directory: None,
            temporary_directory: self.temporary(),
            allowed_programs: None,
            run_as: RunAs::find(None).unwrap(),
            profile: None,
            limits: ResourceLimits::default(),
            lease: LeaseNumber::default(),
        }
    }

    /// A shell script whose `$1` is `mark`.
    pub(crate) fn script(&self, script: &str, mark: &str) -> SpawnRequest {
        self.request("/bin/sh", &["-c", script, "sh", mark])
    }
}

/// Starts a request and reads its first line of output, which a script writes when it is ready.
pub(crate) async fn start_to_first_line(shim_pool: &ShimPool, request: SpawnRequest) -> Running {
    let mut running = shim_pool.start(request).await.unwrap();
    let mut byte = [0];
    while byte != *b"\n" {
        assert_eq!(running.stdout.read(&mut byte).await.unwrap(), 1, "no line: {:?}", running.wait().await);
    }
    running
}

/// Runs a request to its end. Returns the exit, standard output and standard error.
pub(crate) async fn run(request: SpawnRequest) -> (Exit, String, String) {
    let mut running = shim_pool().start(request).await.unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) =
        tokio::join!(running.stdout.read_to_end(&mut stdout), running.stderr.read_to_end(&mut stderr));
    out.unwrap();
    err.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (running.wait().await, text(stdout), text(stderr))
}

/// A unique number, so that `sleep $mark` can be found by its command line.
pub(crate) fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("3600.{}0{}1", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The processes with `mark` as an argument, without zombies. Compare with `[0; 0]`.
pub(crate) fn alive(mark: &str) -> Vec<i32> {
    let has_mark = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).any(|argument| argument == mark.as_bytes())
    };
    processes().filter(has_mark).collect()
}

pub(crate) fn processes() -> impl Iterator<Item = i32> {
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The fields of `/proc/PID/stat` after the name: state, parent, group, session, ...
pub(crate) fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}

/// All descendants of a process, each with its start time, so that a reused id is recognised.
pub(crate) fn descendants(of: i32) -> Vec<(i32, String)> {
    let all: Vec<(i32, Vec<String>)> = processes().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut family = vec![of];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(all.iter().filter(|(_, stat)| stat[1] == parent.to_string()).map(|(pid, _)| *pid));
        next += 1;
    }
    family[1..].iter().filter_map(|&pid| Some((pid, stat(pid)?[19].clone()))).collect()
}

/// Those of these processes that still live.
pub(crate) fn surviving(family: &[(i32, String)]) -> Vec<i32> {
    let lives = |(pid, start): &&(i32, String)| {
        stat(*pid).is_some_and(|stat| stat[19] == *start && stat[0] != "Z" && stat[0] != "X")
    };
    family.iter().filter(lives).map(|(pid, _)| *pid).collect()
}

/// Waits until `so` returns true. Returns how long that took.
pub(crate) async fn until(what: &str, limit: Duration, mut so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}
