//! Enqueue again: the request of a new job from that of one that exists, with changes.
//!
//! Writes nothing. The request goes through `submit` like every other.
//!
//! Secrets of the input that the caller leaves as `***` are taken over. Whoever is no admin may
//! take them over only from a job that they enqueued themselves: with another input, the command
//! might show them or send them elsewhere. Such a job has no secrets but their own, because it came
//! into being in the same way. Jobs of schedules have the secrets of whoever made the schedule.

use serde_json::Value;

use super::context::SubmitContext;
use crate::{
    audit::By,
    clock::Time,
    compose::SecretInputs,
    ids::{JobId, ProfileId, ProxyId, ServiceId},
    job::JobRequest,
    patch::{Patch, PolicyPatch},
    refusal::{Refusal, RefusalCode},
    secret::Owner,
    steps::{StepError, choices::chosen},
    store::{
        StoreError,
        catalogue::{
            commands,
            ingredients::{self, Wanted},
        },
        jobs::{
            inputs::{self, JobInputs},
            records::{self, JobRecord},
        },
        queues::backlog,
    },
};

/// The changes of a request. What is left is as the job has it, and what is cleared is as
/// `JobRequest` has it by default.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The whole input, except that `***` keeps a secret.
    pub input: Patch<Value>,
    /// See [`JobRequest`].
    pub profile: Patch<ProfileId>,
    /// See [`JobRequest`].
    pub proxy: Patch<ProxyId>,
    /// See [`JobRequest`]. Services that the command or the profile gave the job are left to them.
    pub services: Patch<Vec<ServiceId>>,
    /// See [`JobRequest`].
    pub queue: Patch<String>,
    /// See [`JobRequest`].
    pub priority: Patch<i32>,
    /// See [`JobRequest`].
    pub run_at: Patch<Time>,
    /// Replaces all that the job overrides of the command's policy.
    pub policy: Patch<PolicyPatch>,
    /// See [`JobRequest`].
    pub labels: Patch<Vec<String>>,
    /// See [`JobRequest`].
    pub fairness_key: Patch<String>,
    /// Of the new job. It never has that of the old one.
    pub idempotency_key: Option<String>,
}

/// The request of a job like this one, by this caller.
pub async fn again(
    context: &SubmitContext,
    id: JobId,
    changes: Changes,
    by: &By,
) -> Result<JobRequest, StepError> {
    let mut connection = context.store.connection().await?;
    let record = records::by_ids(&mut connection, &[id]).await?.pop();
    let inputs = inputs::load(&mut connection, &[id]).await?.pop();
    let (Some(record), Some(inputs)) = (record, inputs) else {
        return Err(StepError::refused(RefusalCode::NotFound, &["id"], format!("There is no job {id}.")));
    };
    let Some(command) = commands::load(&mut connection, &[record.command_id]).await?.pop() else {
        let message = format!(
            "The command of the job {id} has been deleted, so there can be no new job of it. jobRetry runs this one again."
        );
        return Err(StepError::refused(RefusalCode::NotFound, &["id"], message));
    };
    let wanted = Wanted {
        profiles: record.profile_id.into_iter().collect(),
        services: record.service_ids.iter().chain(&command.service_ids).copied().collect(),
        proxies: Vec::new(),
    };
    let found = ingredients::load(&mut connection, &wanted).await?;
    let now = backlog::clock(&mut connection).await?;
    drop(connection);
    let chosen = chosen(&found, &record, &command);
    let (input, kept_secret) = input_of(context, &record, &inputs, changes.input, by)?;
    Ok(JobRequest {
        profile: changes.profile.over_optional(chosen.profile),
        proxy: changes.proxy.over_optional(chosen.proxy),
        services: changes.services.over_optional(chosen.services.map(<[ServiceId]>::to_vec)),
        input,
        queue: changes.queue.over_optional(Some(record.queue.clone())),
        priority: changes.priority.over_optional(Some(record.priority.into())),
        // The end of a backoff is nothing that was asked for.
        run_at: changes.run_at.over_optional(Some(record.run_at).filter(|at| *at > now && !record.is_retry)),
        policy: changes.policy.over_optional(inputs.policy.as_ref().map(PolicyPatch::whole)),
        labels: changes.labels.over(record.labels.clone(), Vec::new()),
        fairness_key: changes.fairness_key.over_optional(record.fairness_key.clone()),
        idempotency_key: changes.idempotency_key,
        by: Some(by.clone()),
        kept_secret,
        ..JobRequest::new(record.command_id)
    })
}

/// The input with its secrets, and those that are taken over from the job.
fn input_of(
    context: &SubmitContext,
    record: &JobRecord,
    inputs: &JobInputs,
    changed: Patch<Value>,
    by: &By,
) -> Result<(Option<Value>, SecretInputs), StepError> {
    let Some(mut input) = changed.over_optional(Some(inputs.input.clone())) else {
        return Ok((None, SecretInputs::default()));
    };
    let Some(sealed) = &inputs.input_sealed else { return Ok((Some(input), SecretInputs::default())) };
    let opened = context.keyring.open(Owner::JobInput(record.id), sealed);
    let opened = opened.map_err(|error| StoreError::corrupt("jobs", "input_sealed", &error))?;
    let stored = SecretInputs::from_text(&opened);
    let stored = stored.map_err(|error| StoreError::corrupt("jobs", "input_sealed", &error))?;
    let kept = stored.put_back(&mut input);
    let is_own = record.schedule.is_none() && record.created_by.as_ref() == Some(&by.actor.name);
    if kept.is_empty() || is_own || !by.actor.is_bound {
        return Ok((Some(input), kept));
    }
    let message = format!(
        "has a secret that somebody else gave the job {}. Only they and an ADMIN may use it for another job. Give \
         a value, or run that job again with jobRetry",
        record.id
    );
    let refuse = |pointer: String| {
        let path: Vec<&str> = std::iter::once("input").chain(pointer.split('/').skip(1)).collect();
        Refusal::invalid("", message.clone()).below(&path)
    };
    Err(StepError::Refused(kept.pointers().into_iter().map(refuse).collect()))
}

/// The refusals of such a request by what the caller gave: the command is that of the job, and what
/// was deleted since may be the job's own.
pub fn refused(id: JobId, refusals: Vec<Refusal>) -> Vec<Refusal> {
    let of_job = |mut refusal: Refusal| {
        if let Some(first) = refusal.path.first_mut().filter(|first| *first == "commandId") {
            "id".clone_into(first);
        }
        let is_of_job =
            refusal.code == RefusalCode::NotFound && refusal.path.first().is_some_and(|first| first != "id");
        if is_of_job {
            refusal.message = format!(
                "{} If you named none, that of the job {id} has been deleted, and you can name another.",
                refusal.message
            );
        }
        refusal
    };
    refusals.into_iter().map(of_job).collect()
}
