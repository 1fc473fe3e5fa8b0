//! Composes the command of an attempt and decrypts its secrets.
//!
//! Only here does the worker hold secrets in plain text before the child gets them.

use std::{collections::HashMap, sync::Arc};

use callboard::{
    compose::{
        ComposedCommand, JobFacts, ProcessPlan, Run, SecretInputs, SecretRef, SecretValues, WorkerPaths,
    },
    evaluator::{Failure as Uncomposed, Purpose, Unavailable},
    ids::ProxyId,
    job::{Failure, FailureCode, Outcome},
    recipes::{Facts, secret_names},
    secret::{Owner, Redactor},
};
use secrecy::SecretString;

use super::{Attempt, directories, redaction};

/// What to run.
#[derive(Debug)]
pub(super) enum Prepared {
    /// The built-in no-op.
    Noop {
        /// For the attempt's record.
        composed: Arc<ComposedCommand>,
    },
    /// A process.
    Process(Box<PreparedProcess>),
}

/// A process to start, with everything that it needs.
#[derive(Debug)]
pub(super) struct PreparedProcess {
    pub(super) plan: ProcessPlan,
    pub(super) composed: Arc<ComposedCommand>,
    pub(super) proxy: Option<ProxyId>,
    pub(super) redactor: Redactor,
    /// Relative to the profile root. `None` without a profile.
    pub(super) profile_path: Option<String>,
    /// The services whose tokens a program does not get, because its command does not name them.
    pub(super) withheld_tokens: Vec<String>,
}

/// Composes the command, or returns the outcome without it. Most failures are not retryable,
/// because the next attempt would meet them too. If the evaluator was not available, nothing is
/// known of the command, so the job is released.
pub(super) async fn prepare(attempt: Attempt<'_>) -> Result<Prepared, Outcome> {
    let work = attempt.work;
    let live = &work.live;
    let proxy = live.attempt_proxy;
    if proxy.is_some_and(|id| !work.found.proxies.contains_key(&id)) {
        // An attempt never runs without the proxy that was chosen for it.
        let message = "The attempt's proxy was deleted before the attempt started.";
        return Err(Failure::new(FailureCode::NOT_COMPOSABLE, message, true).into());
    }
    let inputs = secret_inputs(attempt)?;
    let pointers = inputs.pointers();
    let names = secret_names(&work.found, live.profile);
    let facts = Facts::pick(&work.found, &names, live.profile, proxy, &work.inputs.service_ids);
    let job = JobFacts { id: live.job, attempt: live.attempt as u32 };
    let ingredients = facts.with(&work.inputs.input, &pointers, Some(job));
    let mut turn = attempt.shared.submit.evaluator.turn(Purpose::Attempt);
    let composition = turn.compose(&work.recipe.spec, &ingredients).await.map_err(|why| match why {
        Uncomposed::Refused(refusals) => {
            let reasons: Vec<String> = refusals.into_iter().map(|refusal| refusal.message).collect();
            Failure::new(FailureCode::NOT_COMPOSABLE, reasons.join("; "), false).into()
        }
        Uncomposed::Unavailable(Unavailable::Busy) => {
            Outcome::Released { reason: "The worker was busy with other commands' templates.".into() }
        }
        Uncomposed::Unavailable(why @ (Unavailable::Failed(_) | Unavailable::NotLight)) => {
            Outcome::Released { reason: format!("The command {why}.") }
        }
    })?;
    let composed = Arc::new(composition.masked());
    let mut values = SecretValues::new(inputs);
    for secret in composition.secrets() {
        if let Some(value) = open(attempt, &secret)? {
            values.insert(secret, value);
        }
    }
    let withheld_tokens = composition.withheld_tokens().iter().map(ToString::to_string).collect();
    let redactor = redaction::redactor(values.to_redact()).await;
    let unreadable = |error: callboard::compose::RevealError| {
        Failure::new(FailureCode::NOT_COMPOSABLE, error.to_string(), false)
    };
    let plan = match composition.reveal(&values, &paths(attempt)).map_err(unreadable)? {
        Run::Noop => return Ok(Prepared::Noop { composed }),
        Run::Process(plan) => plan,
    };
    let profile = live.profile.and_then(|id| work.found.profiles.get(&id));
    let profile_path = profile.map(|stored| stored.profile.chrome_profile_path.clone());
    Ok(Prepared::Process(Box::new(PreparedProcess {
        plan,
        composed,
        proxy,
        redactor,
        profile_path,
        withheld_tokens,
    })))
}

fn paths(attempt: Attempt<'_>) -> WorkerPaths {
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let paths = &attempt.shared.paths;
    WorkerPaths {
        profile_root: text(paths.profile_root.clone()),
        temporary_profile: text(directories::temporary(attempt).join("profile")),
        artifacts_directory: text(directories::artifacts(attempt)),
        chromium: text(paths.chromium.clone()),
        sandbox: paths.sandbox,
        allow_private_targets: paths.allow_private_targets,
    }
}

fn secret_inputs(attempt: Attempt<'_>) -> Result<SecretInputs, Failure> {
    let Some(sealed) = &attempt.work.inputs.input_sealed else { return Ok(SecretInputs::default()) };
    let text = unsealed(attempt, Owner::JobInput(attempt.job()), sealed, "the job's input")?;
    SecretInputs::from_text(&text)
        .map_err(|error| Failure::new(FailureCode::SECRET_UNREADABLE, error.to_string(), false))
}

fn unsealed(
    attempt: Attempt<'_>,
    owner: Owner<'_>,
    sealed: &[u8],
    what: &str,
) -> Result<SecretString, Failure> {
    attempt.shared.submit.keyring.open(owner, sealed).map_err(|error| {
        let message = format!("The secret value of {what} could not be decrypted: {error}");
        Failure::new(FailureCode::SECRET_UNREADABLE, message, false)
    })
}

/// Decrypts a secret. Returns `None` if it is not set, which composing reports.
fn open(attempt: Attempt<'_>, secret: &SecretRef) -> Result<Option<SecretString>, Failure> {
    let (live, found) = (&attempt.work.live, &attempt.work.found);
    let proxy = live.attempt_proxy;
    let by_name: HashMap<&str, _> =
        found.services.values().map(|stored| (stored.service.name.as_str(), stored)).collect();
    let credentials = |id: ProxyId| found.proxies.get(&id).map(|stored| &stored.credentials);
    let (owner, sealed) = match secret {
        SecretRef::ServiceToken(name) => {
            let stored = by_name.get(name.as_str());
            let token = stored.and_then(|stored| stored.token.as_ref()).map(|token| &token.sealed);
            (stored.map(|stored| Owner::ServiceToken(stored.service.id)), token)
        }
        SecretRef::ProfileSecret(name) => {
            let stored = live.profile.and_then(|id| found.profiles.get(&id));
            let value = stored.and_then(|stored| stored.secrets.iter().find(|secret| secret.name == *name));
            (live.profile.map(|id| Owner::ProfileSecret(id, name)), value.map(|secret| &secret.sealed))
        }
        SecretRef::ProxyUsername => {
            let sealed = proxy.and_then(credentials).and_then(|sealed| sealed.username.as_ref());
            (proxy.map(Owner::ProxyUsername), sealed)
        }
        SecretRef::ProxyPassword => {
            let sealed = proxy.and_then(credentials).and_then(|sealed| sealed.password.as_ref());
            (proxy.map(Owner::ProxyPassword), sealed)
        }
        // `SecretValues` begins with them.
        SecretRef::Input(_) => return Ok(None),
    };
    let (Some(owner), Some(sealed)) = (owner, sealed) else { return Ok(None) };
    unsealed(attempt, owner, sealed, &secret.to_string()).map(Some)
}
