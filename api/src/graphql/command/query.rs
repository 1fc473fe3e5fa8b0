//! The queries `command` and `commands`.

use async_graphql::{Context, ID, Object, Result};
use callboard::{ids::CommandId, store::catalogue::commands};

use super::{Command, CommandConnection};
use crate::graphql::{
    loaders::{self, CommandName},
    name_lists::{self, Wanted},
    reads,
};

/// The query fields of commands.
#[derive(Debug, Default, Clone, Copy)]
pub struct CommandQuery;

#[Object]
impl CommandQuery {
    /// Returns the command with this id or name. Null when there is none.
    async fn command(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id. Give exactly one of `id` and `name`.")] id: Option<ID>,
        #[graphql(desc = "The exact name. Give exactly one of `id` and `name`.")] name: Option<String>,
    ) -> Option<Result<Command>> {
        find(ctx, id, name).await.transpose()
    }

    /// Returns commands, ordered by name.
    async fn commands(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Returns only items whose name contains this text, ignoring case. Absent, null or \
                    empty returns all."
        )]
        search: Option<String>,
    ) -> Result<CommandConnection> {
        let request = name_lists::request(CommandId::PREFIX, (first, after), (last, before), search)?;
        let mut connection = reads::connection(ctx).await?;
        Ok(CommandConnection::of(commands::page(&mut connection, &request).await?))
    }
}

async fn find(ctx: &Context<'_>, id: Option<ID>, name: Option<String>) -> Result<Option<Command>> {
    match Wanted::of(id, name)? {
        Wanted::Id(id) => match id.parse() {
            Ok(id) => Command::load(ctx, id).await,
            Err(_) => Ok(None),
        },
        Wanted::Name(name) => Ok(loaders::one(ctx, CommandName(name)).await?.map(Command::from)),
    }
}
