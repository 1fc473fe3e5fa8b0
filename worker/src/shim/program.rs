//! Starts an attempt's program with exactly what the request names, after checking the allow-list
//! again.
//!
//! The program was checked when its job was enqueued, perhaps on another machine. The path is
//! started as it is written, because many programs act by the name of the link that leads to them
//! (`psql`, `java`, `npx`).

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use rustix::fs::{Gid, Uid, fchown};
use rustix::process::{Pid, Resource, Rlimit, setrlimit};

use super::protocol::{RefusalCode, RunAs, SpawnMessage};
use super::{kernel, unstartable};

/// Most symbolic links on the way to a program, as in the kernel.
const LINKS_MAX: usize = 40;

/// The group of `nobody`, which has no rights that a program would miss.
const NO_GROUP: u32 = 65534;

/// What runs a script that names no interpreter.
const SHELL: &str = "/bin/sh";

/// A refusal, with a sentence for people.
pub(super) type Refusal = (RefusalCode, String);

/// Refuses a program that does not exist or is not on the allow-list.
///
/// Without a list, the program is the worker's choice: Node, or its own image. The link of that in
/// `/proc` leads to it even if its file was replaced or removed since, but the path that the link
/// names does not, so nothing is resolved here.
///
/// The path as it is written must be on the list, as when the command was saved. Symbolic links may
/// lead to any file from there, because a user who may write in a directory on the list may also
/// put a program there. Programs must not be able to extend the list, so a link that belongs to the
/// user that they run as may only lead to a file on the list.
pub(super) fn check(request: &SpawnMessage<'_>) -> Result<(), Refusal> {
    let (program, named) = (&request.program, request.program.display());
    if !program.is_absolute() {
        return Err((RefusalCode::ProgramNotFound, format!("{named} is not an absolute path")));
    }
    let Some(allowed) = &request.allowed_programs else {
        return fs::metadata(program).map(drop).map_err(|error| not_found(program, &error));
    };
    let target = fs::canonicalize(program).map_err(|error| not_found(program, &error))?;
    let is_plain = program.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let refused = |why: &str| {
        Err((
            RefusalCode::ProgramNotAllowed,
            format!("{named} is not on the allow-list CALLBOARD_PROGRAMS{why}"),
        ))
    };
    if !is_plain || !allowed.iter().any(|entry| program.starts_with(entry)) {
        return refused("");
    }
    let holds_target = |entry: &PathBuf| fs::canonicalize(entry).is_ok_and(|entry| target.starts_with(entry));
    if allowed.iter().any(holds_target) {
        return Ok(());
    }
    let planted = request.run_as.map(|user| planted_link(program, user)).transpose();
    match planted.map_err(|error| not_found(program, &error))?.flatten() {
        None => Ok(()),
        Some(link) => refused(&format!(
            ": the link {} belongs to the user that programs run as, and leads to {}",
            link.display(),
            target.display()
        )),
    }
}

fn not_found(program: &Path, error: &Error) -> Refusal {
    let missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    let code = if missing { RefusalCode::ProgramNotFound } else { RefusalCode::SpawnFailed };
    let dangling = missing && fs::symlink_metadata(program).is_ok_and(|found| found.is_symlink());
    let why = if dangling { "the symbolic link leads to nothing".to_owned() } else { error.to_string() };
    (code, format!("{}: {why}", program.display()))
}

/// The first symbolic link on the way to the program that belongs to `user`.
fn planted_link(program: &Path, user: RunAs) -> Result<Option<PathBuf>, Error> {
    let mut at = PathBuf::from("/");
    let mut rest = parts(program);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_path().components().next() {
            Some(Component::ParentDir) => {
                at.pop();
            }
            Some(Component::Normal(name)) => {
                let next = at.join(name);
                let found = fs::symlink_metadata(&next)?;
                if !found.is_symlink() {
                    at = next;
                    continue;
                }
                links += 1;
                if found.uid() == user.uid || links > LINKS_MAX {
                    return Ok(Some(next));
                }
                rest.extend(parts(&fs::read_link(&next)?));
            }
            Some(Component::RootDir) => at = PathBuf::from("/"),
            Some(Component::Prefix(_) | Component::CurDir) | None => {}
        }
    }
    Ok(None)
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = path.components().map(|part| PathBuf::from(part.as_os_str())).collect();
    parts.reverse();
    parts
}

/// Starts the program, as another user with this group if it has one. The descriptors become its
/// standard input, output and error, and are closed here.
pub(super) fn spawn(
    request: &SpawnMessage<'_>,
    stdio: [OwnedFd; 3],
    group: Option<u32>,
) -> Result<Pid, Refusal> {
    let program = &request.program;
    let failed = |error: Error| (RefusalCode::SpawnFailed, unstartable::reason(program, &error));
    if let Some(most) = request.limits.max_processes {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(Resource::Nproc, limit).map_err(|error| failed(error.into()))?;
    }
    let directory = request.working_directory.as_deref().unwrap_or(&request.temporary_directory);
    if !directory.is_dir() {
        let message = format!("the working directory {} does not exist", directory.display());
        return Err((RefusalCode::SpawnFailed, message));
    }
    if let Some(user) = request.run_as {
        for pipe in &stdio {
            own(pipe, user).map_err(failed)?;
        }
    }
    let started = command(request, group, &stdio, None).and_then(|mut command| command.spawn());
    let started = match started {
        // As by hand. The C library does so only on some of its ways to start a program.
        Err(error) if unstartable::is_bare_script(program, &error) => {
            command(request, group, &stdio, Some(SHELL)).and_then(|mut command| command.spawn())
        }
        started => started,
    };
    drop(stdio);
    let child = Pid::from_child(&started.map_err(failed)?);
    // Best effort. The program is still being linked, so it has no children yet.
    fs::write(format!("/proc/{child}/oom_score_adj"), request.limits.oom_score_adj.to_string()).ok();
    Ok(child)
}

/// The command of the request, run by `shell` if there is one.
fn command(
    request: &SpawnMessage<'_>,
    group: Option<u32>,
    [stdin, stdout, stderr]: &[OwnedFd; 3],
    shell: Option<&str>,
) -> Result<Command, Error> {
    let program = &*request.program;
    let mut command = Command::new(shell.map_or(program, Path::new));
    command.args(shell.map(|_| program)).args(request.arguments.iter());
    command.current_dir(request.working_directory.as_deref().unwrap_or(&request.temporary_directory));
    command.env_clear().envs(request.environment.iter().map(|(name, value)| (&**name, &**value)));
    command.stdin(stdin.try_clone()?).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    // A process group of its own, so that a script's `kill 0` does not reach the shim.
    command.process_group(0);
    if let Some(user) = request.run_as {
        let group = group.unwrap_or(user.gid);
        let is_needed = |gid: &u32| *gid != group && *gid != NO_GROUP;
        let others = [user.gid].into_iter().filter(is_needed).map(Gid::from_raw).collect();
        kernel::run_as(&mut command, Uid::from_raw(user.uid), Gid::from_raw(group), others);
    }
    Ok(command)
}

/// Gives a pipe to the user, who can then open `/dev/stdin`, `/dev/stdout` and `/dev/stderr`.
fn own(pipe: &OwnedFd, user: RunAs) -> Result<(), Error> {
    fchown(pipe.as_fd(), Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid))).map_err(Error::from)
}
