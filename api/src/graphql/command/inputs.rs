//! The inputs of command mutations.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::{
    catalogue::{CommandChanges, CommandCreate, CommandUpdate},
    command::Choices,
    refusal::Refusal,
};

use super::{CommandChoicesInput, CommandSpecInput};
use crate::graphql::{
    inputs::{id_of, ids_of, patch},
    policy::PolicyInput,
    scalars::Json,
};

/// Input of commandCreate.
#[derive(Debug, InputObject)]
pub struct CommandCreateInput {
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among commands.
    pub name: String,
    /// A description for people, at most 2000 characters.
    pub description: Option<String>,
    /// What to run.
    pub spec: CommandSpecInput,
    /// JSON Schema of the job's input: an object, draft 2020-12 unless `$schema` says otherwise, at
    /// most 65536 bytes and 64 levels deep. References may only point into the schema itself.
    /// Properties marked `writeOnly: true` are secrets. Default `{}`, which accepts any object.
    pub input_schema: Option<Json>,
    /// The profile of jobs that name no other.
    pub profile_id: Option<ID>,
    /// The proxy of jobs that name no other.
    pub proxy_id: Option<ID>,
    /// The services of jobs that name no others, in order and without duplicates, at most 100.
    pub service_ids: Option<Vec<ID>>,
    /// The queue of jobs that name no other: 1 to 60 lower-case letters, digits, `_`, `-` or `.`.
    #[graphql(default_with = "Some(\"default\".to_owned())")]
    pub queue: Option<String>,
    /// The policy of its jobs: retries, timeouts and limits. Absent fields take their default.
    pub policy: Option<PolicyInput>,
    /// What OPERATORs may choose for its jobs beside what the command names. Default: the default
    /// rule of each kind.
    pub choices: Option<CommandChoicesInput>,
    /// Whether inputs, results, logs, failures' messages and artifacts of its jobs are kept from
    /// VIEWERs.
    #[graphql(default_with = "Some(false)")]
    pub is_private: Option<bool>,
}

impl CommandCreateInput {
    /// Converts the input for the core, or returns what is malformed.
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
            choices: self.choices.unwrap_or_default().read()?.over(Choices::default()),
            is_private: self.is_private.unwrap_or_default(),
        })
    }
}

/// Input of commandUpdate. Absent fields stay unchanged. Existing jobs keep the version that they
/// were enqueued with.
#[derive(Debug, InputObject)]
pub struct CommandUpdateInput {
    /// The id of the command.
    pub id: ID,
    /// The version that was read. If another version is stored, the update is refused with
    /// STALE_VERSION. Absent or null updates any version.
    pub version: Option<i32>,
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among commands. Cannot
    /// be null.
    pub name: MaybeUndefined<String>,
    /// A description for people, at most 2000 characters. Null removes it.
    pub description: MaybeUndefined<String>,
    /// Replaces the whole spec. Cannot be null.
    pub spec: MaybeUndefined<CommandSpecInput>,
    /// Replaces the schema, as in CommandCreateInput. Null means `{}`.
    pub input_schema: MaybeUndefined<Json>,
    /// The profile of jobs that name no other. Null removes it.
    pub profile_id: MaybeUndefined<ID>,
    /// The proxy of jobs that name no other. Null removes it.
    pub proxy_id: MaybeUndefined<ID>,
    /// Replaces the whole list, in order and without duplicates, at most 100. Null removes all.
    pub service_ids: MaybeUndefined<Vec<ID>>,
    /// The queue of jobs that name no other, as in CommandCreateInput. Null means `default`.
    pub queue: MaybeUndefined<String>,
    /// The changes to the policy. Null means the default policy.
    pub policy: MaybeUndefined<PolicyInput>,
    /// The changes to what OPERATORs may choose for its jobs. Null means the default rules.
    pub choices: MaybeUndefined<CommandChoicesInput>,
    /// Whether inputs, results, logs, failures' messages and artifacts of its jobs are kept from
    /// VIEWERs. True holds for the jobs that exist, too. False holds for later jobs. Null means
    /// false.
    pub is_private: MaybeUndefined<bool>,
}

impl CommandUpdateInput {
    /// Converts the input for the core, or returns what is malformed.
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
            choices: patch(self.choices.map_value(CommandChoicesInput::read).transpose()?),
            is_private: patch(self.is_private),
        };
        Ok(CommandUpdate { id: id_of(&self.id), version: self.version, changes })
    }
}

/// Input of commandDelete. Jobs keep their own copy of what they run.
#[derive(Debug, InputObject)]
pub struct CommandDeleteInput {
    /// The id of the command.
    pub id: ID,
    /// The version that was read. If another version is stored, the deletion is refused with
    /// STALE_VERSION. Absent or null deletes any version.
    pub version: Option<i32>,
}
