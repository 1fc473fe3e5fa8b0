//! Settings of the worker, from flags and the environment. `docs/configuration.md` lists them all.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use callboard::{
    compose::Sandbox,
    name,
    settings::{Environment, SharedSettings},
    steps::maintain::prune::Retention,
};
use clap::{Args, ValueEnum};

use crate::{process::RunAs, shared::WorkerPaths};

/// Settings of `callboard-worker run`.
#[derive(Debug, Args)]
pub(crate) struct WorkerSettings {
    #[command(flatten)]
    pub(crate) shared: SharedSettings,
    /// Queues to serve, separated by commas
    #[arg(long, env = "CALLBOARD_QUEUES", default_value = "default", value_delimiter = ',')]
    pub(crate) queues: Vec<String>,
    /// Jobs that run at once
    #[arg(long, env = "CALLBOARD_CONCURRENCY", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) concurrency: u16,
    /// Directory of browser profiles
    #[arg(long, env = "CALLBOARD_PROFILE_ROOT", default_value = "/var/lib/callboard/profiles")]
    profile_root: PathBuf,
    /// Directory for temporary files of attempts; its path has at most 28 bytes
    #[arg(long, env = "CALLBOARD_TEMP_ROOT", default_value = "/var/lib/callboard/tmp")]
    temp_root: PathBuf,
    /// Directory of the Playwright runner
    #[arg(long, env = "CALLBOARD_RUNNER", default_value = "/usr/lib/callboard/runner")]
    runner: PathBuf,
    /// Node, 20.19 or newer
    #[arg(long, env = "CALLBOARD_NODE", default_value = "/usr/bin/node")]
    node: PathBuf,
    /// Chromium
    #[arg(long, env = "CALLBOARD_CHROMIUM", default_value = "/usr/bin/chromium")]
    chromium: PathBuf,
    /// Chromium's own sandbox
    #[arg(long, env = "CALLBOARD_SANDBOX", value_enum, default_value = "auto")]
    sandbox: SandboxChoice,
    /// User that jobs run as when the worker is root
    #[arg(long, env = "CALLBOARD_RUN_AS")]
    run_as: Option<String>,
    /// Whether HTTP commands may call private and loopback addresses; by default in development
    /// only
    #[arg(long, env = "CALLBOARD_ALLOW_PRIVATE_TARGETS")]
    allow_private_targets: Option<bool>,
    /// Lease of this worker, in seconds, the same for all workers
    #[arg(long, env = "CALLBOARD_LEASE", default_value_t = 8, value_parser = clap::value_parser!(u64).range(4..=300))]
    pub(crate) lease: u64,
    /// How long running jobs may continue after SIGTERM, in seconds
    #[arg(long, env = "CALLBOARD_DRAIN", default_value_t = 30)]
    pub(crate) drain: u64,
    /// Idle shims that are kept ready
    #[arg(long, env = "CALLBOARD_IDLE_SHIMS", default_value_t = 2)]
    pub(crate) idle_shims: usize,
    /// Days that finished jobs are kept, with their attempts and events
    #[arg(long, env = "CALLBOARD_KEEP_JOBS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_jobs: u32,
    /// Most finished jobs that are kept; the oldest are deleted first
    #[arg(long, env = "CALLBOARD_KEEP_JOBS_MAX", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    keep_jobs_max: u64,
    /// Days that log lines are kept
    #[arg(long, env = "CALLBOARD_KEEP_LOGS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_logs: u32,
    /// Days that the files of artifacts are kept
    #[arg(long, env = "CALLBOARD_KEEP_ARTIFACTS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    keep_artifacts: u32,
    /// Days that entries of the audit are kept, at least 30
    #[arg(long, env = "CALLBOARD_KEEP_AUDIT", default_value_t = 365, value_parser = clap::value_parser!(u32).range(30..=36_500))]
    keep_audit: u32,
    /// Address for /healthz and /metrics, for example 127.0.0.1:9100; no server by default
    #[arg(long, env = "CALLBOARD_WORKER_LISTEN")]
    pub(crate) listen: Option<std::net::SocketAddr>,
}

/// Longest path of the temporary root, in bytes. A socket's path has at most 107 bytes, and below
/// the root come `/job_<26 characters>.<attempt>/org.chromium.Chromium.<6
/// characters>/SingletonSocket`.
const TEMP_ROOT_MAX: usize = 28;

/// When Chromium's sandbox is on.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SandboxChoice {
    /// Wherever it can run.
    Auto,
    /// Always. A browser that cannot use it does not start.
    On,
    /// Never.
    Off,
}

impl WorkerSettings {
    /// The queues, without duplicates. Fails for an invalid name.
    pub(crate) fn queues(&self) -> anyhow::Result<Vec<String>> {
        let mut queues: Vec<String> = Vec::new();
        for queue in &self.queues {
            if let Err(refusal) = name::check_queue("queues", queue) {
                anyhow::bail!("queue `{queue}`: {}", refusal.message);
            }
            if !queues.contains(queue) {
                queues.push(queue.clone());
            }
        }
        Ok(queues)
    }

    /// How long things are kept.
    pub(crate) fn retention(&self) -> Retention {
        let days = |days: u32| Duration::from_hours(24 * u64::from(days));
        Retention {
            jobs: days(self.keep_jobs),
            jobs_max: self.keep_jobs_max,
            logs: days(self.keep_logs),
            artifacts: days(self.keep_artifacts),
            audit: days(self.keep_audit),
        }
    }

    /// The paths on this machine. Creates missing directories.
    pub(crate) fn paths(&self) -> anyhow::Result<WorkerPaths> {
        let run_as = RunAs::find(self.run_as.as_deref())?;
        for root in [&self.profile_root, &self.temp_root, &self.shared.artifact_root] {
            make_root(root)?;
        }
        let temp_root = self.temp_root.canonicalize()?;
        if temp_root.as_os_str().len() > TEMP_ROOT_MAX {
            anyhow::bail!(
                "CALLBOARD_TEMP_ROOT {} is longer than {TEMP_ROOT_MAX} bytes, and Chromium could not \
                 create its socket below it. Use a shorter path",
                temp_root.display()
            );
        }
        let is_development = self.shared.environment() == Environment::Development;
        Ok(WorkerPaths {
            profile_root: self.profile_root.canonicalize()?,
            artifact_root: self.shared.artifact_root.canonicalize()?,
            temp_root,
            runner: self.runner.join("src/main.mjs"),
            node: self.node.clone(),
            chromium: self.chromium.clone(),
            sandbox: match self.sandbox {
                SandboxChoice::Auto => Sandbox::Auto,
                SandboxChoice::On => Sandbox::On,
                SandboxChoice::Off => Sandbox::Off,
            },
            run_as,
            programs: self.shared.allow_list()?.paths(),
            allow_private_targets: self.allow_private_targets.unwrap_or(is_development),
        })
    }
}

/// Makes a directory that the run-as user may pass through but not list.
fn make_root(root: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(root)
        .with_context(|| format!("cannot create the directory {}", root.display()))
}
