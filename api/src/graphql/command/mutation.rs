//! Changing commands.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{catalogue::Catalogue, steps::CatalogueError, store::catalogue::commands};

use super::{Command, CommandCreateInput, CommandDeleteInput, CommandUpdateInput};
use crate::{
    auth::{Caller, Role},
    graphql::{
        inputs::id_of,
        payload::{DeletePayload, settle},
        user_error::UserError,
    },
};

/// The answer to a change of a command.
#[derive(Debug, SimpleObject)]
pub struct CommandPayload {
    /// As it is now; null when the change was refused.
    pub command: Option<Command>,
    /// Why it was refused; empty when it was made.
    pub user_errors: Vec<UserError>,
}

impl CommandPayload {
    fn of(done: Result<commands::Command, CatalogueError>) -> Result<Self> {
        let (command, user_errors) = settle(done)?;
        Ok(Self { command: command.map(Command::from), user_errors })
    }
}

/// The mutations of commands.
#[derive(Debug, Default, Clone, Copy)]
pub struct CommandMutation;

#[Object]
impl CommandMutation {
    /// Makes a command. Its templates must be well-formed; whether they compose is told by commandPreview and
    /// jobEnqueue. Needs an ADMIN key.
    async fn command_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new command.")] input: CommandCreateInput,
    ) -> Result<CommandPayload> {
        Caller::require(ctx, Role::Admin)?;
        match input.read() {
            Ok(create) => CommandPayload::of(ctx.data::<Catalogue>()?.command_create(create).await),
            Err(refusals) => CommandPayload::of(Err(CatalogueError::Refused(refusals))),
        }
    }

    /// Changes a command; jobs that exist keep what they were enqueued with. Needs an ADMIN key.
    async fn command_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which command, and what to change.")] input: CommandUpdateInput,
    ) -> Result<CommandPayload> {
        Caller::require(ctx, Role::Admin)?;
        match input.read() {
            Ok(update) => CommandPayload::of(ctx.data::<Catalogue>()?.command_update(update).await),
            Err(refusals) => CommandPayload::of(Err(CatalogueError::Refused(refusals))),
        }
    }

    /// Deletes a command; jobs keep their own copy of what they run. Needs an ADMIN key.
    async fn command_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which command.")] input: CommandDeleteInput,
    ) -> Result<DeletePayload> {
        Caller::require(ctx, Role::Admin)?;
        let done = ctx.data::<Catalogue>()?.command_delete(id_of(&input.id), input.version).await;
        Ok(DeletePayload::of(input.id, done)?)
    }
}
