//! `commandPreview`: what a command comes to, without a job.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use callboard::{
    catalogue::Catalogue,
    ids::ServiceId,
    refusal::Refusal,
    steps::{
        CatalogueError,
        enqueue::{
            preview::{Subject, preview},
            targets::Named,
        },
    },
};

use super::CommandSpecInput;
use crate::graphql::{
    composed::ComposedCommand,
    inputs::{id_of, ids_of},
    job::JobContext,
    payload::settle,
    scalars::Json,
    user_error::UserError,
};

/// What to compose: either a saved command or a spec being written, and what for.
#[derive(Debug, InputObject)]
pub struct CommandPreviewInput {
    /// A saved command. Give either this or `spec`.
    pub command_id: Option<ID>,
    /// A spec being written. Give either this or `commandId`.
    pub spec: Option<CommandSpecInput>,
    /// The JSON Schema that goes with `spec`, as in CommandCreateInput; must be absent beside `commandId`.
    pub input_schema: Option<Json>,
    /// As in JobEnqueueInput: overrides the command's profile.
    pub profile_id: Option<ID>,
    /// As in JobEnqueueInput: overrides the command's proxy and the profile's choice.
    pub proxy_id: Option<ID>,
    /// As in JobEnqueueInput: overrides the services of the command or the profile. Each once.
    pub service_ids: Option<Vec<ID>>,
    /// As in JobEnqueueInput: an object that fits the schema, at most 262144 bytes; by default empty.
    pub input: Option<Json>,
}

/// What a command comes to, or why it does not compose.
#[derive(Debug, SimpleObject)]
pub struct CommandPreview {
    /// What would run, with the first proxy that would be chosen now; the job's id is shown as `{job.id}`.
    /// Null when it does not compose.
    pub composed: Option<ComposedCommand>,
    /// Why it does not compose; jobEnqueue would answer the same. Empty when it does.
    pub user_errors: Vec<UserError>,
}

/// The query field `commandPreview`.
#[derive(Debug, Default, Clone, Copy)]
pub struct PreviewQuery;

#[Object]
impl PreviewQuery {
    /// Composes without enqueuing: exactly what jobEnqueue would store, or why not.
    async fn command_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to compose, and what for.")] input: CommandPreviewInput,
    ) -> Result<CommandPreview> {
        let (composed, user_errors) = settle(compose(ctx, input).await?)?;
        Ok(CommandPreview { composed: composed.map(ComposedCommand::from), user_errors })
    }
}

async fn compose(
    ctx: &Context<'_>,
    input: CommandPreviewInput,
) -> Result<Result<callboard::compose::ComposedCommand, CatalogueError>> {
    let (catalogue, desk) = (ctx.data::<Catalogue>()?, &JobContext::of(ctx)?.desk);
    let subject = match subject(input.command_id.as_ref(), input.spec, input.input_schema) {
        Ok(subject) => subject,
        Err(refusals) => return Ok(Err(CatalogueError::Refused(refusals))),
    };
    let services: Option<Vec<ServiceId>> = input.service_ids.as_deref().map(ids_of);
    let named = Named {
        profile: input.profile_id.as_ref().map(id_of),
        proxy: input.proxy_id.as_ref().map(id_of),
        services: services.as_deref(),
    };
    let given = input.input.map(|json| json.0);
    Ok(preview(desk, &catalogue.allow_list, subject, named, given.as_ref()).await)
}

fn subject(
    command: Option<&ID>,
    spec: Option<CommandSpecInput>,
    input_schema: Option<Json>,
) -> Result<Subject, Vec<Refusal>> {
    match (command, spec) {
        (Some(_), None) if input_schema.is_some() => {
            Err(vec![Refusal::invalid("inputSchema", "goes with spec: a saved command has its own")])
        }
        (Some(id), None) => Ok(Subject::Command(id_of(id))),
        (None, Some(spec)) => {
            Ok(Subject::Draft { spec: spec.read()?, input_schema: input_schema.map(|json| json.0) })
        }
        (None, None) | (Some(_), Some(_)) => {
            Err(vec![Refusal::invalid("", "give either commandId or spec: exactly one of them")])
        }
    }
}
