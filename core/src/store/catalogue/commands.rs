//! Commands: reading them in batches and pages, and the statements of the verbs that change them.
//!
//! The API and `steps::submit` read, `catalogue::commands` writes. What a command runs is in
//! `command_versions`. Decides nothing.

use uuid::Uuid;

use super::name_pages::{Counts, NamePage, NamePageRequest};
use crate::{
    clock::Time,
    ids::{CommandId, CommandVersionId, ProfileId, ProxyId, ServiceId},
    store::{Connection, StoreError},
};

/// A saved template: what its newest version runs, and on what it runs unless a job says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its id.
    pub id: CommandId,
    /// Unique among commands.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Its newest version.
    pub version_id: CommandVersionId,
    /// Profile of jobs that name no other.
    pub profile_id: Option<ProfileId>,
    /// Proxy of jobs that name no other.
    pub proxy_id: Option<ProxyId>,
    /// Services of jobs that name no others, in order.
    pub service_ids: Vec<ServiceId>,
    /// Queue of jobs that name no other.
    pub queue: String,
    /// Rises with every change, those included that make no new version.
    pub version: i32,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// What an admin writes of a command, its version apart. See [`Command`] for the fields.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of Command, where they are described")]
pub struct CommandDraft {
    pub name: String,
    pub description: Option<String>,
    pub profile_id: Option<ProfileId>,
    pub proxy_id: Option<ProxyId>,
    pub service_ids: Vec<ServiceId>,
    pub queue: String,
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
    version: i32,
    created_at: Time,
    updated_at: Time,
    read_at: Time,
}

impl From<CommandRow> for Command {
    fn from(row: CommandRow) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            description: row.description,
            version_id: row.version_id.into(),
            profile_id: row.profile_id.map(ProfileId::from),
            proxy_id: row.proxy_id.map(ProxyId::from),
            service_ids: row.service_ids.into_iter().map(ServiceId::from).collect(),
            queue: row.queue,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A statement that answers whole commands: what stands before their columns, and what stands behind.
macro_rules! command_rows {
    ($before:literal, $behind:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            CommandRow,
            $before
                + r#" id, name, description, version_id, profile_id, proxy_id, queue, version,
                    created_at, updated_at, clock_timestamp() AS "read_at!",
                    ARRAY(SELECT service_id FROM command_services WHERE command_id = commands.id
                          ORDER BY position) AS "service_ids!" "#
                + $behind
            $(, $argument)*
        )
    };
}

/// Those of these commands that exist, in no particular order.
pub async fn load(connection: &mut Connection, ids: &[CommandId]) -> Result<Vec<Command>, StoreError> {
    Ok(load_with_clock(connection, ids).await?.0)
}

/// Like [`load`], with the database's time when it read them; null when none of them exists. One round trip for the
/// two things that every submission begins with.
pub async fn load_with_clock(
    connection: &mut Connection,
    ids: &[CommandId],
) -> Result<(Vec<Command>, Option<Time>), StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows =
        command_rows!("SELECT", "FROM commands WHERE id = ANY($1)", &ids).fetch_all(connection).await?;
    let now = rows.iter().map(|row| row.read_at).max();
    Ok((rows.into_iter().map(Command::from).collect(), now))
}

/// The commands that have one of these names.
pub async fn load_by_name(connection: &mut Connection, names: &[String]) -> Result<Vec<Command>, StoreError> {
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains('\0')).collect();
    let rows = command_rows!("SELECT", "FROM commands WHERE name = ANY($1)", &names as &[&str])
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(Command::from).collect())
}

/// A page of all commands, in order of name.
pub async fn page(
    connection: &mut Connection,
    request: &NamePageRequest,
) -> Result<NamePage<Command>, StoreError> {
    let Some(bounds) = request.bounds() else { return Ok(NamePage::empty()) };
    let rows = command_rows!(
        "WITH matching AS NOT MATERIALIZED (
             SELECT id, name FROM commands
             WHERE ($1::text IS NULL OR strpos(lower(name), lower($1)) > 0)
                 AND ($2::text IS NULL OR (name, id) > ($2, $3::uuid))
                 AND ($4::text IS NULL OR (name, id) < ($4, $5::uuid))
         ), page AS (
             (SELECT id FROM matching WHERE NOT $7::boolean ORDER BY name, id LIMIT $6)
             UNION ALL
             (SELECT id FROM matching WHERE $7 ORDER BY name DESC, id DESC LIMIT $6)
         )
         SELECT",
        "FROM commands JOIN page USING (id) ORDER BY name, id",
        bounds.search,
        bounds.after_name,
        bounds.after_id,
        bounds.before_name,
        bounds.before_id,
        bounds.limit,
        bounds.is_from_end,
    )
    .fetch_all(&mut *connection)
    .await?;
    let (name, id) = bounds.taken_from();
    let counts = sqlx::query_as!(
        Counts,
        r#"SELECT count(*) AS "total!", count(*) FILTER (WHERE CASE WHEN $4::boolean
               THEN (name, id) >= ($2, $3::uuid) ELSE (name, id) <= ($2, $3) END) AS "beyond!"
           FROM commands WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0"#,
        bounds.search,
        name,
        id,
        bounds.is_from_end,
    )
    .fetch_one(connection)
    .await?;
    Ok(NamePage::of(rows.into_iter().map(Command::from).collect(), &counts, bounds.is_from_end))
}

/// Locks a command until the transaction ends; none if it does not exist.
pub async fn lock(connection: &mut Connection, id: CommandId) -> Result<Option<Command>, StoreError> {
    let row = command_rows!("SELECT", "FROM commands WHERE id = $1 FOR UPDATE", id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(Command::from))
}

/// Whether another command than `id` has this name. Advice only: the table's constraint has the last word.
pub async fn name_is_taken(
    connection: &mut Connection,
    id: CommandId,
    name: &str,
) -> Result<bool, StoreError> {
    let is_taken = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM commands WHERE name = $2 AND id <> $1) AS "is_taken!""#,
        id.uuid(),
        name
    )
    .fetch_one(connection)
    .await?;
    Ok(is_taken)
}

/// Writes a new command; its version must be there.
pub async fn insert(
    connection: &mut Connection,
    id: CommandId,
    version: CommandVersionId,
    draft: CommandDraft,
) -> Result<Command, StoreError> {
    let row = sqlx::query!(
        "INSERT INTO commands (id, name, description, version_id, profile_id, proxy_id, queue)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING version, created_at, updated_at",
        id.uuid(),
        draft.name,
        draft.description,
        version.uuid(),
        draft.profile_id.map(Uuid::from),
        draft.proxy_id.map(Uuid::from),
        draft.queue,
    )
    .fetch_one(&mut *connection)
    .await?;
    set_services(connection, id, &draft.service_ids).await?;
    Ok(written(id, version, draft, (row.version, row.created_at, row.updated_at)))
}

/// Replaces what is stored and raises the version.
pub async fn update(
    connection: &mut Connection,
    id: CommandId,
    version: CommandVersionId,
    draft: CommandDraft,
) -> Result<Command, StoreError> {
    let row = sqlx::query!(
        "UPDATE commands SET name = $2, description = $3, version_id = $4, profile_id = $5, proxy_id = $6,
             queue = $7, version = version + 1, updated_at = clock_timestamp()
         WHERE id = $1 RETURNING version, created_at, updated_at",
        id.uuid(),
        draft.name,
        draft.description,
        version.uuid(),
        draft.profile_id.map(Uuid::from),
        draft.proxy_id.map(Uuid::from),
        draft.queue,
    )
    .fetch_one(&mut *connection)
    .await?;
    set_services(connection, id, &draft.service_ids).await?;
    Ok(written(id, version, draft, (row.version, row.created_at, row.updated_at)))
}

fn written(
    id: CommandId,
    version_id: CommandVersionId,
    draft: CommandDraft,
    (version, created_at, updated_at): (i32, Time, Time),
) -> Command {
    Command {
        id,
        name: draft.name,
        description: draft.description,
        version_id,
        profile_id: draft.profile_id,
        proxy_id: draft.proxy_id,
        service_ids: draft.service_ids,
        queue: draft.queue,
        version,
        created_at,
        updated_at,
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

/// Removes a command; its versions stay for the jobs that run them.
pub async fn delete(connection: &mut Connection, id: CommandId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM commands WHERE id = $1", id.uuid()).execute(connection).await?;
    Ok(())
}
