//! Starts an attempt's program with exactly what the request names, after checking the allow-list
//! again.
//!
//! The program was checked when its job was enqueued, perhaps on another machine. Here symbolic
//! links are resolved first, so the file that is checked is the file that is started.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, setrlimit};

use super::protocol::{RefusalCode, SpawnMessage};

/// A refusal, with a sentence for people.
pub(super) type Refusal = (RefusalCode, String);

/// Resolves the program's symbolic links, and refuses a program that is not on the allow-list.
pub(super) fn resolve(request: &SpawnMessage<'_>) -> Result<PathBuf, Refusal> {
    let named = request.program.display();
    if !request.program.is_absolute() {
        return Err((RefusalCode::ProgramNotFound, format!("{named} is not an absolute path")));
    }
    let program = fs::canonicalize(&request.program).map_err(|error| {
        let missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        let code = if missing { RefusalCode::ProgramNotFound } else { RefusalCode::SpawnFailed };
        (code, format!("{named}: {error}"))
    })?;
    let permits =
        |allowed: &PathBuf| fs::canonicalize(allowed).is_ok_and(|allowed| program.starts_with(allowed));
    match &request.allowed_programs {
        Some(allowed) if !allowed.iter().any(permits) => Err((
            RefusalCode::ProgramNotAllowed,
            format!("{named} ({}) is not on the allow-list CALLBOARD_PROGRAMS", program.display()),
        )),
        Some(_) | None => Ok(program),
    }
}

/// Starts `program`. The descriptors become its standard input, output and error, and are closed
/// here.
pub(super) fn spawn(request: &SpawnMessage<'_>, program: &Path, stdio: [OwnedFd; 3]) -> Result<Pid, Refusal> {
    let failed =
        |error: std::io::Error| (RefusalCode::SpawnFailed, format!("{}: {error}", program.display()));
    if let Some(most) = request.limits.max_processes {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(Resource::Nproc, limit).map_err(|error| failed(error.into()))?;
    }
    let directory = request.working_directory.as_deref().unwrap_or(&request.temporary_directory);
    if !directory.is_dir() {
        let message = format!("the working directory {} does not exist", directory.display());
        return Err((RefusalCode::SpawnFailed, message));
    }
    let [stdin, stdout, stderr] = stdio.map(Stdio::from);
    let mut command = Command::new(program);
    command.arg0(&*request.program).args(request.arguments.iter()).current_dir(directory);
    command.env_clear().envs(request.environment.iter().map(|(name, value)| (&**name, &**value)));
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    // A process group of its own, so that a script's `kill 0` does not reach the shim.
    command.process_group(0);
    if let Some(user) = request.run_as {
        command.gid(user.gid).uid(user.uid); // std drops the supplementary groups with this
    }
    let child = Pid::from_child(&command.spawn().map_err(failed)?);
    // Best effort. The program is still being linked, so it has no children yet.
    fs::write(format!("/proc/{child}/oom_score_adj"), request.limits.oom_score_adj.to_string()).ok();
    Ok(child)
}
