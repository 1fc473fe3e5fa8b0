//! Versions of commands, which jobs run.
//!
//! A version is never updated and never deleted, so callers may cache it forever.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    clock::Time,
    command::CommandSpec,
    ids::{CommandId, CommandVersionId},
    policy::Policy,
    store::{Connection, StoreError, columns::storable, from_json, to_json},
};

/// A version of a command. Never changes, and outlives the command.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandVersion {
    /// Its id.
    pub id: CommandVersionId,
    /// The command, which may have been deleted.
    pub command_id: CommandId,
    /// Its number, from 1 and without gaps.
    pub number: i32,
    /// The name of the command as of this version.
    pub name: String,
    /// What it runs.
    pub spec: CommandSpec,
    /// The JSON Schema of the input.
    pub input_schema: Value,
    /// The policy of its jobs.
    pub policy: Policy,
    /// Whether inputs, logs, results and artifacts of its jobs are kept from viewers.
    pub is_private: bool,
    /// When it was created.
    pub created_at: Time,
}

/// What an admin sets of a version. [`CommandVersion`] describes the fields.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of CommandVersion, where they are described")]
pub struct VersionDraft {
    pub name: String,
    pub spec: CommandSpec,
    pub input_schema: Value,
    pub policy: Policy,
    pub is_private: bool,
}

impl From<CommandVersion> for VersionDraft {
    fn from(version: CommandVersion) -> Self {
        Self {
            name: version.name,
            spec: version.spec,
            input_schema: version.input_schema,
            policy: version.policy,
            is_private: version.is_private,
        }
    }
}

/// Loads versions by id, in any order. Ids that do not exist are left out.
#[tracing::instrument(name = "db.command_versions.load", level = "debug", skip_all)]
pub async fn load(
    connection: &mut Connection,
    ids: &[CommandVersionId],
) -> Result<Vec<CommandVersion>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows = sqlx::query!(
        "SELECT id, command_id, number, name, spec, input_schema, policy, is_private, created_at FROM command_versions
         WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let mut versions = Vec::with_capacity(rows.len());
    for row in rows {
        versions.push(CommandVersion {
            id: row.id.into(),
            command_id: row.command_id.into(),
            number: row.number,
            name: row.name,
            spec: from_json("command_versions", "spec", row.spec)?,
            input_schema: row.input_schema,
            policy: from_json("command_versions", "policy", row.policy)?,
            is_private: row.is_private,
            created_at: row.created_at,
        });
    }
    Ok(versions)
}

/// Inserts the next version of a command, which the caller has locked or is about to insert.
#[tracing::instrument(name = "db.command_versions.insert", level = "debug", skip_all)]
pub async fn insert(
    connection: &mut Connection,
    id: CommandVersionId,
    command: CommandId,
    draft: &VersionDraft,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO command_versions (id, command_id, number, name, kind, spec, input_schema, policy, is_private)
         SELECT $1, $2, coalesce(max(number), 0) + 1, $3, $4,
             $5::text::jsonb, $6::text::jsonb, $7::text::jsonb, $8
         FROM command_versions WHERE command_id = $2",
        id.uuid(),
        command.uuid(),
        storable(&draft.name),
        draft.spec.kind().as_str(),
        to_json("spec", &draft.spec)?,
        to_json("input_schema", &draft.input_schema)?,
        to_json("policy", &draft.policy)?,
        draft.is_private,
    )
    .execute(connection)
    .await?;
    Ok(())
}
