//! The command `keys`: what is done about keys on the machine itself, without the API.

mod create;
mod list;
mod revoke;
mod rotate_master;

use std::sync::Arc;

use callboard::{
    audit::{Actor, COMMAND_LINE},
    catalogue::Keys,
    clock::IdSource,
    settings::SharedSettings,
    steps::StepError,
    store::{Planning, Store, StoreError},
};
use clap::Subcommand;

/// A verb of `callboard-api keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an API key and print it. Needs only DATABASE_URL, also before the first start
    Create(Box<create::Arguments>),
    /// List the API keys. Needs only DATABASE_URL
    List(Box<list::Arguments>),
    /// Revoke an API key, which ends within a second wherever it is used. Needs only DATABASE_URL
    Revoke(Box<revoke::Arguments>),
    /// Seal every stored secret again with the first key of CALLBOARD_MASTER_KEY, while the API and
    /// workers run. A rotation that was interrupted is continued by running it again
    RotateMaster(Box<rotate_master::Arguments>),
}

impl Command {
    /// The settings that every verb has.
    pub(crate) fn shared(&self) -> &SharedSettings {
        match self {
            Self::Create(arguments) => &arguments.shared,
            Self::List(arguments) => &arguments.shared,
            Self::Revoke(arguments) => &arguments.shared,
            Self::RotateMaster(arguments) => &arguments.shared,
        }
    }
}

/// Runs a verb.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::RotateMaster(arguments) => rotate_master::run(&arguments).await,
        Command::Create(arguments) => create::run(&arguments).await,
        Command::List(arguments) => list::run(&arguments).await,
        Command::Revoke(arguments) => revoke::run(&arguments).await,
    }
}

/// The operations of keys, on a database whose schema is of this version. An empty database gets
/// the schema, and one of an older version is left to `serve`.
async fn open(shared: &SharedSettings) -> anyhow::Result<Keys> {
    let store = Store::open(&shared.database_url()?, 2, "callboard-api keys", Planning::ByValue)?;
    store.reach().await?;
    match store.schema_is_current().await {
        Err(StoreError::Outdated { found: 0, .. }) => store.migrate().await?,
        current => current?,
    }
    let actor = Actor { name: COMMAND_LINE.into(), ..Actor::default() };
    Ok(Keys { store, ids: IdSource, actor: Arc::new(actor) })
}

/// What was refused, for a person at a terminal.
fn explained(error: StepError) -> anyhow::Error {
    match error {
        StepError::Refused(refusals) => {
            let lines = refusals.iter().map(|refusal| match refusal.path.as_slice() {
                [] => refusal.message.clone(),
                path => format!("{} {}", path.join("."), refusal.message),
            });
            anyhow::Error::msg(lines.collect::<Vec<_>>().join("; "))
        }
        StepError::Store(error) => error.into(),
        StepError::Evaluator(why) => why.into(),
    }
}
