//! Preview: composes a command without enqueuing it, to show what submit would store or refuse.
//!
//! Only reads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    context::SubmitContext,
    targets::{Named, Targets, check_references, no_command, of_command},
};
use crate::{
    command::{AllowList, CompiledSpec, SpecInput},
    compose::{ComposedCommand, InputSchema},
    ids::CommandId,
    recipes::Recipe,
    refusal::Refusal,
    steps::StepError,
    store::{
        Connection, StoreError,
        catalogue::{
            commands::{self, Command},
            ingredients,
        },
    },
};

/// What to compose.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A saved command, as it is now.
    Command(CommandId),
    /// A spec that is still being written.
    Draft {
        /// What to run.
        spec: SpecInput,
        /// JSON Schema of the input; without one, every object is accepted.
        input_schema: Option<Value>,
    },
}

/// A command, ready to compose.
enum Ready {
    Saved(Box<Command>, Arc<Recipe>),
    /// With what saving it would refuse.
    Draft(Box<CompiledSpec>, InputSchema, Vec<Refusal>),
}

/// Composes as [`submit`](super::submit::submit) does, and returns what would run, with secrets
/// masked. Paths of refusals begin with `spec`, `inputSchema`, `input`, `commandId`, `profileId`,
/// `proxyId` or `serviceIds`.
pub async fn preview(
    context: &SubmitContext,
    allowed: &AllowList,
    subject: Subject,
    named: Named<'_>,
    input: Option<&Value>,
) -> Result<ComposedCommand, StepError> {
    let mut connection = context.store.connection().await?;
    let ready = match subject {
        Subject::Command(id) => saved(context, &mut connection, id).await?,
        Subject::Draft { spec, input_schema } => draft(spec, input_schema, allowed)?,
    };
    let (command, misused) = match &ready {
        Ready::Saved(command, _) => (Some(&**command), [].as_slice()),
        Ready::Draft(_, _, misused) => (None, misused.as_slice()),
    };
    let found = ingredients::load(&mut connection, &named.wanted(command)).await?;
    drop(connection);

    let mut refusals = check_references(&found, named);
    let input = match ready.schema().check(input.unwrap_or(&Value::Null)) {
        Ok(input) => input,
        Err(more) => {
            refusals.extend(more);
            return Err(StepError::Refused(refusals));
        }
    };
    if !refusals.is_empty() {
        return Err(StepError::Refused(refusals));
    }
    let targets = Targets::choose(&found, named, command);
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method's path is of one lifetime only"
    )]
    let composed = targets.compose(&found, ready.spec(), &input, None, |composition| composition.masked());
    let composed = composed.map_err(|refusals| {
        StepError::Refused(if command.is_some() { of_command(refusals) } else { refusals })
    })?;
    if misused.is_empty() { Ok(composed) } else { Err(StepError::Refused(misused.to_vec())) }
}

async fn saved(
    context: &SubmitContext,
    connection: &mut Connection,
    id: CommandId,
) -> Result<Ready, StepError> {
    let missing = || StepError::Refused(vec![no_command()]);
    let command = commands::load(connection, &[id]).await?.pop().ok_or_else(missing)?;
    let version = command.version_id;
    let recipe = context.recipes.load(connection, [version]).await?.remove(&version);
    let recipe = recipe.ok_or_else(|| StoreError::corrupt("commands", "version_id", &version))?;
    Ok(Ready::Saved(Box::new(command), recipe))
}

fn draft(spec: SpecInput, input_schema: Option<Value>, allowed: &AllowList) -> Result<Ready, StepError> {
    let input_schema = input_schema.unwrap_or_else(|| json!({}));
    let checked = spec.check(allowed, &input_schema);
    let spec = checked.and_then(|(spec, misused)| Ok((CompiledSpec::compile(spec)?, misused)));
    let schema = InputSchema::compile(&input_schema);
    match (spec, schema) {
        (Ok((spec, misused)), Ok(schema)) => Ok(Ready::Draft(Box::new(spec), schema, misused)),
        (spec, schema) => {
            Err(StepError::Refused([spec.err(), schema.err()].into_iter().flatten().flatten().collect()))
        }
    }
}

impl Ready {
    fn spec(&self) -> &CompiledSpec {
        match self {
            Self::Saved(_, recipe) => &recipe.spec,
            Self::Draft(spec, ..) => spec,
        }
    }

    fn schema(&self) -> &InputSchema {
        match self {
            Self::Saved(_, recipe) => &recipe.schema,
            Self::Draft(_, schema, _) => schema,
        }
    }
}
