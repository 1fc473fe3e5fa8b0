//! Commands. What a command runs is in `command_versions`.

use serde_json::Value;
use uuid::Uuid;

use super::table::catalogue_table;
use crate::{
    clock::Time,
    command::Choices,
    ids::{CommandId, CommandVersionId, ProfileId, ProxyId, ServiceId},
    store::{
        Connection, StoreError,
        columns::{optional_storable, storable},
        from_json, optional_json,
    },
};

/// A saved command, with defaults for its jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its id.
    pub id: CommandId,
    /// Unique among commands.
    pub name: String,
    /// A description for operators.
    pub description: Option<String>,
    /// Its newest version.
    pub version_id: CommandVersionId,
    /// The profile of jobs that name none.
    pub profile_id: Option<ProfileId>,
    /// The proxy of jobs that name none.
    pub proxy_id: Option<ProxyId>,
    /// The services of jobs that name none, in order.
    pub service_ids: Vec<ServiceId>,
    /// The queue of jobs that name none.
    pub queue: String,
    /// What its jobs may choose.
    pub choices: Choices,
    /// Increases with every change, including changes without a new version.
    pub version: i32,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// What an admin sets of a command, apart from its version. [`Command`] describes the fields.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of Command, where they are described")]
pub struct CommandDraft {
    pub name: String,
    pub description: Option<String>,
    pub profile_id: Option<ProfileId>,
    pub proxy_id: Option<ProxyId>,
    pub service_ids: Vec<ServiceId>,
    pub queue: String,
    pub choices: Choices,
}

impl From<Command> for CommandDraft {
    fn from(command: Command) -> Self {
        Self {
            name: command.name,
            description: command.description,
            profile_id: command.profile_id,
            proxy_id: command.proxy_id,
            service_ids: command.service_ids,
            queue: command.queue,
            choices: command.choices,
        }
    }
}

struct CommandRow {
    id: Uuid,
    name: String,
    description: Option<String>,
    version_id: Uuid,
    profile_id: Option<Uuid>,
    proxy_id: Option<Uuid>,
    service_ids: Vec<Uuid>,
    queue: String,
    choices: Option<Value>,
    version: i32,
    created_at: Time,
    updated_at: Time,
    read_at: Time,
}

impl TryFrom<CommandRow> for Command {
    type Error = StoreError;

    fn try_from(row: CommandRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            description: row.description,
            version_id: row.version_id.into(),
            profile_id: row.profile_id.map(ProfileId::from),
            proxy_id: row.proxy_id.map(ProxyId::from),
            service_ids: row.service_ids.into_iter().map(ServiceId::from).collect(),
            queue: row.queue,
            choices: row
                .choices
                .map(|json| from_json("commands", "choices", json))
                .transpose()?
                .unwrap_or_default(),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A statement that returns commands. Its parts are what comes before the columns and after them.
macro_rules! command_rows {
    ([$($before:literal)+], [$($after:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            CommandRow,
            $($before +)+ r#" id, name, description, version_id, profile_id, proxy_id, queue, choices, version,
                    created_at, updated_at, clock_timestamp() AS "read_at!",
                    ARRAY(SELECT service_id FROM command_services WHERE command_id = commands.id
                          ORDER BY position) AS "service_ids!" "#
                $(+ $after)*
            $(, $argument)*
        )
    };
}

catalogue_table!(command_rows, "commands", CommandId => Command:
    load_by_name,
    page,
    lock,
    name_is_taken,
    /// Its versions stay for the jobs that run them.
    delete,
);

/// Loads commands by id, in any order. Ids that do not exist are left out.
#[tracing::instrument(name = "db.commands.load", level = "debug", skip_all)]
pub async fn load(connection: &mut Connection, ids: &[CommandId]) -> Result<Vec<Command>, StoreError> {
    Ok(load_with_clock(connection, ids).await?.0)
}

/// Like [`load`], with the database's time, which is `None` if no command exists. Submit needs
/// both, and this saves a round trip.
#[tracing::instrument(name = "db.commands.load_with_clock", level = "debug", skip_all)]
pub async fn load_with_clock(
    connection: &mut Connection,
    ids: &[CommandId],
) -> Result<(Vec<Command>, Option<Time>), StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows = command_rows!(["SELECT"], ["FROM commands WHERE id = ANY($1)"], &ids);
    let rows = rows.fetch_all(connection).await?;
    let now = rows.iter().map(|row| row.read_at).max();
    Ok((rows.into_iter().map(Command::try_from).collect::<Result<_, _>>()?, now))
}

/// The columns that Postgres sets when a command is written.
#[derive(Clone, Copy)]
struct Written {
    version: i32,
    created_at: Time,
    updated_at: Time,
}

/// A statement that writes a draft. `$1` is the id and `$4` the id of the version. The others are
/// the fields of the draft in order.
macro_rules! write_command {
    ($statement:literal, $id:expr, $version:expr, $draft:expr) => {
        sqlx::query_as!(
            Written,
            $statement + " RETURNING version, created_at, updated_at",
            $id.uuid(),
            storable(&$draft.name),
            optional_storable($draft.description.as_deref()),
            $version.uuid(),
            $draft.profile_id.map(Uuid::from),
            $draft.proxy_id.map(Uuid::from),
            storable(&$draft.queue),
            optional_json("choices", Some(&$draft.choices).filter(|choices| !choices.is_default()))?,
        )
    };
}

/// Inserts a command. Its version must exist.
#[tracing::instrument(name = "db.commands.insert", level = "debug", skip_all)]
pub async fn insert(
    connection: &mut Connection,
    id: CommandId,
    version: CommandVersionId,
    draft: CommandDraft,
) -> Result<Command, StoreError> {
    let written = write_command!(
        "INSERT INTO commands (id, name, description, version_id, profile_id, proxy_id, queue, choices)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)",
        id,
        version,
        draft
    );
    let written = written.fetch_one(&mut *connection).await?;
    set_services(connection, id, &draft.service_ids).await?;
    Ok(command(id, version, draft, written))
}

/// Updates a command and raises its version.
#[tracing::instrument(name = "db.commands.update", level = "debug", skip_all)]
pub async fn update(
    connection: &mut Connection,
    id: CommandId,
    version: CommandVersionId,
    draft: CommandDraft,
) -> Result<Command, StoreError> {
    let written = write_command!(
        "UPDATE commands SET name = $2, description = $3, version_id = $4, profile_id = $5, proxy_id = $6,
             queue = $7, choices = $8::text::jsonb, version = version + 1, updated_at = clock_timestamp()
         WHERE id = $1",
        id,
        version,
        draft
    );
    let written = written.fetch_one(&mut *connection).await?;
    set_services(connection, id, &draft.service_ids).await?;
    Ok(command(id, version, draft, written))
}

fn command(id: CommandId, version_id: CommandVersionId, draft: CommandDraft, written: Written) -> Command {
    Command {
        id,
        name: draft.name,
        description: draft.description,
        version_id,
        profile_id: draft.profile_id,
        proxy_id: draft.proxy_id,
        service_ids: draft.service_ids,
        queue: draft.queue,
        choices: draft.choices,
        version: written.version,
        created_at: written.created_at,
        updated_at: written.updated_at,
    }
}

async fn set_services(
    connection: &mut Connection,
    command: CommandId,
    services: &[ServiceId],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = services.iter().copied().map(Uuid::from).collect();
    sqlx::query!("DELETE FROM command_services WHERE command_id = $1", command.uuid())
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "INSERT INTO command_services (command_id, service_id, position)
         SELECT $1, id, position FROM unnest($2::uuid[]) WITH ORDINALITY AS listed (id, position)",
        command.uuid(),
        &ids
    )
    .execute(connection)
    .await?;
    Ok(())
}
