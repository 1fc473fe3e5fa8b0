//! The query `commandPreview`, which composes a command without enqueuing a job.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use callboard::{
    catalogue::Catalogue,
    ids::ServiceId,
    refusal::Refusal,
    steps::{
        StepError,
        choices::Named,
        enqueue::preview::{Subject, preview},
    },
};

use super::CommandSpecInput;
use crate::audit::actor_in;
use crate::graphql::{
    composed::ComposedCommand,
    inputs::{id_of, ids_of},
    job::JobContext,
    job_loaders::outage,
    payload::unevaluated,
    scalars::Json,
    user_error::{UserError, user_errors},
};

/// Input of commandPreview: a saved command or a draft spec, with everything that a job would name.
#[derive(Debug, InputObject)]
pub struct CommandPreviewInput {
    /// The id of a saved command. Give exactly one of `commandId` and `spec`.
    pub command_id: Option<ID>,
    /// A draft spec. Give exactly one of `commandId` and `spec`.
    pub spec: Option<CommandSpecInput>,
    /// The JSON Schema for `spec`, as in CommandCreateInput. Must be absent with `commandId`.
    pub input_schema: Option<Json>,
    /// Overrides the command's profile, as in JobEnqueueInput.
    pub profile_id: Option<ID>,
    /// Overrides the command's proxy and the profile's own choice, as in JobEnqueueInput.
    pub proxy_id: Option<ID>,
    /// Overrides the services of the command and of the profile, without duplicates, as in
    /// JobEnqueueInput.
    pub service_ids: Option<Vec<ID>>,
    /// The job's input, as in JobEnqueueInput: an object of at most 262144 bytes that matches the
    /// schema. Absent or null means `{}`.
    pub input: Option<Json>,
}

/// The composed command, or why the command does not compose.
#[derive(Debug, SimpleObject)]
pub struct CommandPreview {
    /// The command as it would run now, with the first proxy that would be chosen. The job's id is
    /// shown as `{job.id}`. Null when the command does not compose.
    pub composed: Option<ComposedCommand>,
    /// Why the command does not compose, as jobEnqueue would report it. Empty when it does.
    pub user_errors: Vec<UserError>,
}

/// The query field `commandPreview`.
#[derive(Debug, Default, Clone, Copy)]
pub struct PreviewQuery;

#[Object]
impl PreviewQuery {
    /// Composes a command without enqueuing a job. Returns exactly what jobEnqueue would store, or
    /// why it would refuse it. Costs 500.
    async fn command_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to compose.")] input: CommandPreviewInput,
    ) -> Result<CommandPreview> {
        // No mutation, so that the audit says nothing of it.
        match Box::pin(compose(ctx, input)).await? {
            Ok(composed) => Ok(CommandPreview { composed: Some(composed.into()), user_errors: Vec::new() }),
            Err(StepError::Refused(refusals)) => {
                Ok(CommandPreview { composed: None, user_errors: user_errors(refusals) })
            }
            Err(StepError::Store(error)) => Err(outage(error)),
            Err(StepError::Evaluator(why)) => Err(unevaluated(&why)),
        }
    }
}

async fn compose(
    ctx: &Context<'_>,
    input: CommandPreviewInput,
) -> Result<Result<callboard::compose::ComposedCommand, StepError>> {
    let (catalogue, submit) = (ctx.data::<Catalogue>()?, &JobContext::of(ctx)?.submit);
    let subject = match subject(input.command_id.as_ref(), input.spec, input.input_schema) {
        Ok(subject) => subject,
        Err(refusals) => return Ok(Err(StepError::Refused(refusals))),
    };
    let services: Option<Vec<ServiceId>> = input.service_ids.as_deref().map(ids_of);
    let named = Named {
        profile: input.profile_id.as_ref().map(id_of),
        proxy: input.proxy_id.as_ref().map(id_of),
        services: services.as_deref(),
    };
    let given = input.input.map(|json| json.0);
    Ok(preview(submit, &catalogue.allow_list, subject, named, given.as_ref(), Some(&actor_in(ctx))).await)
}

fn subject(
    command: Option<&ID>,
    spec: Option<CommandSpecInput>,
    input_schema: Option<Json>,
) -> Result<Subject, Vec<Refusal>> {
    match (command, spec) {
        (Some(_), None) if input_schema.is_some() => {
            Err(vec![Refusal::invalid("inputSchema", "must be absent, because a saved command has its own")])
        }
        (Some(id), None) => Ok(Subject::Command(id_of(id))),
        (None, Some(spec)) => {
            Ok(Subject::Draft { spec: spec.read()?, input_schema: input_schema.map(|json| json.0) })
        }
        (None, None) | (Some(_), Some(_)) => {
            Err(vec![Refusal::invalid("", "give exactly one of commandId and spec")])
        }
    }
}
