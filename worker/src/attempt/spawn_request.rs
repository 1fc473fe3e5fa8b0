//! The spawn request of an attempt, and the outcome when a shim refuses it.

use std::path::PathBuf;

use callboard::{
    compose::{OutputProtocol, ProcessPlan, Program},
    job::{Failure, FailureCode, Outcome},
};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::{Attempt, directories};
use crate::process::{ProfileDirectory, RefusalCode, ResourceLimits, SpawnRequest, StartError};

/// The request for a plan: program, arguments, the whole environment, directories.
pub(super) fn request(attempt: Attempt<'_>, plan: &ProcessPlan, profile_path: Option<&str>) -> SpawnRequest {
    let paths = &attempt.shared.paths;
    let temporary = directories::temporary(attempt);
    let (program, mut arguments, allowed) = match &plan.program {
        Program::File(path) => (PathBuf::from(path), Vec::new(), Some(paths.programs.clone())),
        Program::Runner => (paths.node.clone(), vec![paths.runner.to_string_lossy().into_owned()], None),
        Program::HttpClient => ("/proc/self/exe".into(), vec!["http".to_owned()], None),
    };
    arguments.extend(plan.arguments.iter().cloned());
    let mut environment = plan.environment.clone();
    let home = temporary.to_string_lossy().into_owned();
    for (name, value) in [("TMPDIR", home.as_str()), ("HOME", home.as_str()), ("LANG", "C.UTF-8")] {
        if !environment.iter().any(|(set, _)| set == name) {
            environment.push((name.to_owned(), SecretString::from(value)));
        }
    }
    // The time from SIGTERM to SIGKILL, so that a clean-up knows how long it may take.
    let grace = attempt.work.policy().grace.0.as_millis().to_string();
    environment.push(("CALLBOARD_GRACE_MS".to_owned(), SecretString::from(grace)));
    if !environment.iter().any(|(set, _)| set == "PATH") {
        environment.push(("PATH".to_owned(), SecretString::from("/usr/local/bin:/usr/bin:/bin")));
    }
    let stdin = plan.stdin.as_ref().map(|text| text.expose_secret().as_bytes().to_vec()).unwrap_or_default();
    SpawnRequest {
        program,
        arguments,
        environment,
        stdin: SecretSlice::from(stdin),
        keep_stdin_open: plan.protocol == OutputProtocol::Events,
        working_directory: None,
        temporary_directory: temporary,
        allowed_programs: allowed,
        run_as: paths.run_as,
        profile: profile_path
            .map(|path| ProfileDirectory { root: paths.profile_root.clone(), relative: path.into() }),
        limits: ResourceLimits::default(),
        lease: attempt.guard.lease,
    }
}

/// The outcome of an attempt whose process could not be started.
pub(super) fn not_started(attempt: Attempt<'_>, error: StartError) -> Outcome {
    match error {
        StartError::ProfileBusy => {
            let work = attempt.work;
            let profile = work.live.profile.and_then(|id| work.found.profiles.get(&id));
            let name = profile.map_or("of the job", |stored| &stored.profile.name);
            Outcome::Released {
                reason: format!("The profile {name} is still in use on the worker's machine."),
            }
        }
        StartError::ShimFailed(why) => {
            Outcome::Released { reason: format!("The worker could not start the program: {why}.") }
        }
        StartError::Refused { code, message } => {
            let code = match code {
                RefusalCode::ProfilePath => "PROFILE_PATH",
                RefusalCode::ProgramNotFound => "PROGRAM_NOT_FOUND",
                RefusalCode::ProgramNotAllowed => "PROGRAM_NOT_ALLOWED",
                RefusalCode::SpawnFailed => "SPAWN_FAILED",
                RefusalCode::RequestTooLarge => "TOO_LARGE",
                RefusalCode::TemporaryDirectory | RefusalCode::DeadlinePassed => {
                    return Outcome::Released {
                        reason: format!("The worker could not start the program: {message}."),
                    };
                }
            };
            Outcome::Failed(Failure::new(FailureCode::reported(code), message, false))
        }
    }
}
