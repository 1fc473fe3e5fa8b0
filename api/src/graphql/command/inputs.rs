//! What mutations of commands take.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::{
    catalogue::{CommandChanges, CommandCreate, CommandUpdate},
    refusal::Refusal,
};

use super::CommandSpecInput;
use crate::graphql::{
    inputs::{id_of, ids_of, patch},
    policy::PolicyInput,
    scalars::Json,
};

/// A new command.
#[derive(Debug, InputObject)]
pub struct CommandCreateInput {
    /// 1 to 100 characters, unique among commands.
    pub name: String,
    /// At most 2000 characters.
    pub description: Option<String>,
    /// What to run.
    pub spec: CommandSpecInput,
    /// JSON Schema of the job's input: an object, draft 2020-12 unless `$schema` says otherwise, at most
    /// 65536 bytes, nested at most 64 deep; references may only point into the schema itself. Properties that
    /// it marks `writeOnly: true` are secrets. By default `{}`, which lets every object in.
    pub input_schema: Option<Json>,
    /// Profile of jobs that name no other.
    pub profile_id: Option<ID>,
    /// Proxy of jobs that name no other.
    pub proxy_id: Option<ID>,
    /// Services of jobs that name no others, in order, each once; at most 100.
    pub service_ids: Option<Vec<ID>>,
    /// Queue of jobs that name no other: 1 to 60 of lower-case letters, digits, `_`, `-` and `.`.
    #[graphql(default_with = "Some(\"default\".to_owned())")]
    pub queue: Option<String>,
    /// How jobs are retried and how long their attempts may take; what is absent takes its default.
    pub policy: Option<PolicyInput>,
}

impl CommandCreateInput {
    /// For the core, or what has the wrong form.
    pub fn read(self) -> Result<CommandCreate, Vec<Refusal>> {
        Ok(CommandCreate {
            name: self.name,
            description: self.description,
            spec: self.spec.read()?,
            input_schema: self.input_schema.map(|json| json.0),
            profile_id: self.profile_id.as_ref().map(id_of),
            proxy_id: self.proxy_id.as_ref().map(id_of),
            service_ids: ids_of(&self.service_ids.unwrap_or_default()),
            queue: self.queue,
            policy: self.policy.map(Into::into).unwrap_or_default(),
        })
    }
}

/// Changes of a command. Absent fields stay as they are. Jobs that exist keep what they were enqueued with.
#[derive(Debug, InputObject)]
pub struct CommandUpdateInput {
    /// Which.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null changes whatever is
    /// there.
    pub version: Option<i32>,
    /// 1 to 100 characters, unique among commands. Cannot be null.
    pub name: MaybeUndefined<String>,
    /// At most 2000 characters; null for none.
    pub description: MaybeUndefined<String>,
    /// Replaces the whole spec. Cannot be null.
    pub spec: MaybeUndefined<CommandSpecInput>,
    /// Replaces the schema, as in CommandCreateInput; null for `{}`.
    pub input_schema: MaybeUndefined<Json>,
    /// Profile of jobs that name no other; null for none.
    pub profile_id: MaybeUndefined<ID>,
    /// Proxy of jobs that name no other; null for none.
    pub proxy_id: MaybeUndefined<ID>,
    /// Replaces the whole list, each once, at most 100; null for none.
    pub service_ids: MaybeUndefined<Vec<ID>>,
    /// Queue of jobs that name no other; null for `default`.
    pub queue: MaybeUndefined<String>,
    /// What to change of the policy; null for the default policy.
    pub policy: MaybeUndefined<PolicyInput>,
}

impl CommandUpdateInput {
    /// For the core, or what has the wrong form.
    pub fn read(self) -> Result<CommandUpdate, Vec<Refusal>> {
        let changes = CommandChanges {
            name: patch(self.name),
            description: patch(self.description),
            spec: patch(self.spec.map_value(CommandSpecInput::read).transpose()?),
            input_schema: patch(self.input_schema.map_value(|json| json.0)),
            profile_id: patch(self.profile_id.map_value(|id| id_of(&id))),
            proxy_id: patch(self.proxy_id.map_value(|id| id_of(&id))),
            service_ids: patch(self.service_ids.map_value(|ids| ids_of(&ids))),
            queue: patch(self.queue),
            policy: patch(self.policy.map_value(Into::into)),
        };
        Ok(CommandUpdate { id: id_of(&self.id), version: self.version, changes })
    }
}

/// Which command to delete. Jobs keep their own copy of what they run.
#[derive(Debug, InputObject)]
pub struct CommandDeleteInput {
    /// Which.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null deletes whatever is
    /// there.
    pub version: Option<i32>,
}
