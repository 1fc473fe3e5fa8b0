//! The mutations that create, update and delete commands.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{steps::StepError, store::catalogue::commands};

use super::{Command, CommandCreateInput, CommandDeleteInput, CommandUpdateInput};
use crate::graphql::{
    catalogue::acting,
    inputs::id_of,
    payload::{DeletePayload, settle},
    user_error::UserError,
};

/// Returned by commandCreate and commandUpdate.
#[derive(Debug, SimpleObject)]
pub struct CommandPayload {
    /// The command as it is now. Null when the input was refused.
    pub command: Option<Command>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

impl CommandPayload {
    fn of(ctx: &Context<'_>, done: Result<commands::Command, StepError>) -> Result<Self> {
        let (command, user_errors) = settle(ctx, done)?;
        Ok(Self { command: command.map(Command::from), user_errors })
    }
}

/// The mutations of commands.
#[derive(Debug, Default, Clone, Copy)]
pub struct CommandMutation;

#[Object]
impl CommandMutation {
    /// Creates a command. Its templates must be well-formed. Whether they compose is checked by
    /// commandPreview and jobEnqueue. Requires an ADMIN key.
    async fn command_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The command to create.")] input: CommandCreateInput,
    ) -> Result<CommandPayload> {
        match input.read() {
            Ok(create) => CommandPayload::of(ctx, Box::pin(acting(ctx)?.command_create(create)).await),
            Err(refusals) => CommandPayload::of(ctx, Err(StepError::Refused(refusals))),
        }
    }

    /// Updates a command. Existing jobs keep the version that they were enqueued with. Requires an
    /// ADMIN key.
    async fn command_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The command to update, and the changes.")] input: CommandUpdateInput,
    ) -> Result<CommandPayload> {
        match input.read() {
            Ok(update) => CommandPayload::of(ctx, Box::pin(acting(ctx)?.command_update(update)).await),
            Err(refusals) => CommandPayload::of(ctx, Err(StepError::Refused(refusals))),
        }
    }

    /// Deletes a command. Refused with IN_USE while a schedule uses it. Jobs keep their own copy of
    /// what they run. Requires an ADMIN key.
    async fn command_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The command to delete.")] input: CommandDeleteInput,
    ) -> Result<DeletePayload> {
        let done = acting(ctx)?.command_delete(id_of(&input.id), input.version).await;
        DeletePayload::of(ctx, input.id, done)
    }
}
