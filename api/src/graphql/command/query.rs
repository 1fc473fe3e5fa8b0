//! Reading commands.

use async_graphql::{Context, ID, Object, Result};
use callboard::{catalogue::Catalogue, store::catalogue::commands};

use super::{Command, CommandConnection};
use crate::graphql::{
    limits::page_cost,
    loaders::{self, CommandName},
    name_lists::{self, Wanted},
};

/// The query fields of commands.
#[derive(Debug, Default, Clone, Copy)]
pub struct CommandQuery;

#[Object]
impl CommandQuery {
    /// A command by its id or by its name; null when there is none.
    async fn command(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id. Give either this or `name`.")] id: Option<ID>,
        #[graphql(desc = "Its exact name. Give either this or `id`.")] name: Option<String>,
    ) -> Option<Result<Command>> {
        find(ctx, id, name).await.transpose()
    }

    /// All commands, in order of name.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn commands(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, instead of the first: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only before this cursor.")] before: Option<String>,
        #[graphql(
            desc = "Only those whose name contains this, in whichever case. Absent, null or empty: all."
        )]
        search: Option<String>,
    ) -> Result<CommandConnection> {
        let request = name_lists::request((first, after), (last, before), search)?;
        let mut connection = ctx.data::<Catalogue>()?.store.read().await?;
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
