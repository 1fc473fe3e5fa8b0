//! Preview: composes a command without enqueuing it, to show what submit would store or refuse.
//!
//! Only reads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    context::SubmitContext,
    targets::{Targets, check_length, check_references, no_command, of_command},
};
use crate::{
    audit::Actor,
    command::{AllowList, Composition, ReadySpec, SpecInput},
    compose::{ComposedCommand, ReadySchema},
    evaluator::{Failure, Purpose, Turn},
    ids::CommandId,
    recipes::Recipe,
    refusal::Refusal,
    steps::{
        StepError,
        choices::{Named, check_choices},
    },
    store::{
        StoreError,
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
    Draft(Box<(ReadySpec, ReadySchema)>, Vec<Refusal>),
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
    by: Option<&Actor>,
) -> Result<ComposedCommand, StepError> {
    check_length(named).map_err(|refusal| StepError::Refused(vec![refusal]))?;
    let nobody = Actor::default();
    let mut turn = context.evaluator.turn(Purpose::Preview(by.unwrap_or(&nobody)));
    let ready = match subject {
        Subject::Command(id) => saved(context, id).await?,
        Subject::Draft { spec, input_schema } => draft(&mut turn, &spec, input_schema, allowed).await?,
    };
    let (command, misused) = match &ready {
        Ready::Saved(command, _) => (Some(&**command), [].as_slice()),
        Ready::Draft(_, misused) => (None, misused.as_slice()),
    };
    let wanted = named.wanted(command);
    // Held only while it is needed, because an evaluation takes its time.
    let found = ingredients::load(&mut *context.store.connection().await?, &wanted).await?;

    let mut refusals = check_references(&found, named);
    if let Some(command) = command {
        refusals.extend(check_choices(&found, named, command, by));
    }
    let input = match turn.check_input(ready.schema(), input.cloned().unwrap_or_default()).await {
        Ok(input) => input,
        Err(Failure::Refused(more)) => {
            refusals.extend(more);
            return Err(StepError::Refused(refusals));
        }
        Err(Failure::Unavailable(why)) => return Err(StepError::Evaluator(why)),
    };
    if !refusals.is_empty() {
        return Err(StepError::Refused(refusals));
    }
    let targets = Targets::choose(&found, named, command);
    let take = |composition: &Composition<'_>| composition.masked();
    let composed = targets.compose(&mut turn, &found, ready.spec(), &input, None, take).await;
    let composed = composed.map_err(|why| if command.is_some() { of_command(why) } else { why })?;
    if misused.is_empty() { Ok(composed) } else { Err(StepError::Refused(misused.to_vec())) }
}

async fn saved(context: &SubmitContext, id: CommandId) -> Result<Ready, StepError> {
    let mut connection = context.store.connection().await?;
    let missing = || StepError::Refused(vec![no_command()]);
    let command = commands::load(&mut connection, &[id]).await?.pop().ok_or_else(missing)?;
    let version = command.version_id;
    let recipe = context.recipes.load(&mut connection, [version]).await?.remove(&version);
    let recipe = recipe.ok_or_else(|| StoreError::corrupt("commands", "version_id", &version))?;
    Ok(Ready::Saved(Box::new(command), recipe))
}

async fn draft(
    turn: &mut Turn<'_>,
    spec: &SpecInput,
    input_schema: Option<Value>,
    allowed: &AllowList,
) -> Result<Ready, StepError> {
    let schema = input_schema.unwrap_or_else(|| json!({}));
    let (spec, misused) = turn.check(spec, allowed, &schema).await?;
    Ok(Ready::Draft(Box::new((ReadySpec::new(spec), ReadySchema::new(schema))), misused))
}

impl Ready {
    fn spec(&self) -> &ReadySpec {
        match self {
            Self::Saved(_, recipe) => &recipe.spec,
            Self::Draft(draft, _) => &draft.0,
        }
    }

    fn schema(&self) -> &ReadySchema {
        match self {
            Self::Saved(_, recipe) => &recipe.schema,
            Self::Draft(draft, _) => &draft.1,
        }
    }
}
