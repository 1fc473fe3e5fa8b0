//! The command `keys`: what is done about keys on the machine itself, without the API.

mod create;
mod list;
mod master_status;
mod revoke;
mod rotate_master;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use callboard::{
    audit::{Actor, COMMAND_LINE},
    catalogue::Keys,
    clock::IdSource,
    settings::{DatabaseSettings, LogSettings},
    steps::StepError,
    store::{Planning, Store, StoreError},
};
use clap::{Args, Subcommand};
use secrecy::SecretString;

/// A verb of `callboard-api keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an API key and print it. Needs only DATABASE_URL, also before the first start
    Create(Box<create::Arguments>),
    /// List the API keys. Needs only DATABASE_URL
    List(Box<DatabaseArguments>),
    /// Revoke an API key, which ends within a second wherever it is used. Needs only DATABASE_URL
    Revoke(Box<revoke::Arguments>),
    /// Seal every stored secret again with the first key of CALLBOARD_MASTER_KEY, while the API and
    /// workers run. A rotation that was interrupted is continued by running it again
    RotateMaster(Box<rotate_master::Arguments>),
    /// Show how many stored secrets each master key has sealed. Needs only DATABASE_URL
    MasterStatus(Box<DatabaseArguments>),
}

/// Settings of a verb that needs nothing but the database.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArguments {
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    log: LogSettings,
}

impl Command {
    /// What to log.
    pub(crate) fn log(&self) -> &LogSettings {
        match self {
            Self::Create(arguments) => &arguments.log,
            Self::Revoke(arguments) => &arguments.log,
            Self::RotateMaster(arguments) => &arguments.log,
            Self::List(arguments) | Self::MasterStatus(arguments) => &arguments.log,
        }
    }

    /// What the log must not show.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        match self {
            Self::Create(arguments) => arguments.database.secrets(),
            Self::Revoke(arguments) => arguments.database.secrets(),
            Self::RotateMaster(arguments) => {
                arguments.database.secrets().into_iter().chain(arguments.sealing.secrets()).collect()
            }
            Self::List(arguments) | Self::MasterStatus(arguments) => arguments.database.secrets(),
        }
    }
}

/// Runs a verb.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::RotateMaster(arguments) => rotate_master::run(&arguments).await,
        Command::MasterStatus(arguments) => master_status::run(&arguments).await,
        Command::Create(arguments) => create::run(&arguments).await,
        Command::List(arguments) => list::run(&arguments).await,
        Command::Revoke(arguments) => revoke::run(&arguments).await,
    }
}

/// The operations of keys, on a database whose schema is of this version. One of an older version
/// is left to `serve`.
async fn open(database: &DatabaseSettings) -> anyhow::Result<Keys> {
    let store = reach(database).await?;
    check_schema(&store).await?;
    Ok(keys_of(store))
}

/// The same, for the first key of an installation: an empty database gets the schema.
async fn open_or_found(database: &DatabaseSettings) -> anyhow::Result<Keys> {
    let store = reach(database).await?;
    match store.schema_is_current().await {
        Err(StoreError::Outdated { found: 0, .. }) => store.migrate().await.with_context(|| {
            format!(
                "the database `{}` could not be given the schema. Its user needs the right to create tables (GRANT \
                 CREATE ON SCHEMA public), and nobody else's migrations may be in it",
                store.database()
            )
        })?,
        current => current?,
    }
    Ok(keys_of(store))
}

/// Fails unless the schema is of this version.
async fn check_schema(store: &Store) -> anyhow::Result<()> {
    match store.schema_is_current().await {
        Err(StoreError::Outdated { found: 0, .. }) => bail!(
            "the database `{}` at {} has no schema of Callboard. Correct the name of the database in DATABASE_URL, or \
             make the schema with `callboard-api keys create` or by starting the API",
            store.database(),
            store.address()
        ),
        current => Ok(current?),
    }
}

async fn reach(database: &DatabaseSettings) -> anyhow::Result<Store> {
    let store = Store::open(&database.url()?, 2, "callboard-api keys", Planning::ByValue)?;
    store.reach().await?;
    Ok(store)
}

fn keys_of(store: Store) -> Keys {
    let actor = Actor { name: COMMAND_LINE.into(), ..Actor::default() };
    Keys { store, ids: IdSource, actor: Arc::new(actor) }
}

/// What was refused, for a person at a terminal. `named` is what the person calls a field of the
/// input. A message that is no sentence of its own is about the field.
fn explained(error: StepError, named: impl Fn(&str) -> String) -> anyhow::Error {
    match error {
        StepError::Refused(refusals) => {
            let lines = refusals.iter().map(|refusal| match refusal.path.first() {
                Some(field) if refusal.message.starts_with(char::is_lowercase) => {
                    format!("{} {}", named(field), refusal.message)
                }
                Some(_) | None => refusal.message.clone(),
            });
            anyhow::Error::msg(lines.collect::<Vec<_>>().join("\n"))
        }
        StepError::Store(error) => error.into(),
        StepError::Evaluator(why) => why.into(),
    }
}
