//! `command_create`, `command_update`, `command_delete`.
//!
//! Each change of what a command runs (name, spec, input schema, policy) is stored as a new
//! version. Jobs run the version with which they were enqueued. The other fields are not versioned.

use serde_json::{Value, json};

use super::{
    Catalogue,
    audited::of_command,
    bounds,
    checks::Checks,
    in_use,
    references::{keep_choices, keep_profile, keep_proxy, keep_services},
};
use crate::{
    audit::{Change, Object},
    command::{Choices, CommandSpec, SpecInput},
    evaluator::{Failure, Purpose},
    ids::{CommandId, CommandVersionId, ProfileId, ProxyId, ServiceId},
    name,
    patch::{ChoicesPatch, Patch, PolicyPatch},
    policy::Policy,
    refusal::{Refusal, RefusalCode},
    steps::StepError,
    store::{
        Connection, StoreError, Transaction,
        catalogue::{
            command_versions::{self, VersionDraft},
            commands::{self, Command, CommandDraft},
            references,
        },
        commit,
    },
};

/// The kind of object in the audit.
const KIND: &str = "command";
const NAME_TAKEN: &str = "another command has this name";
/// The queue of commands that name no other.
const QUEUE_DEFAULT: &str = "default";

/// A new command.
#[derive(Debug, Clone)]
pub struct CommandCreate {
    /// Unique among commands.
    pub name: String,
    /// At most 2000 characters.
    pub description: Option<String>,
    /// What to run.
    pub spec: SpecInput,
    /// JSON Schema of the job's input. `None` accepts every object.
    pub input_schema: Option<Value>,
    /// The profile of jobs that name no other.
    pub profile_id: Option<ProfileId>,
    /// The proxy of jobs that name no other.
    pub proxy_id: Option<ProxyId>,
    /// The services of jobs that name no others, in order, each once.
    pub service_ids: Vec<ServiceId>,
    /// The queue of jobs that name no other, `default` if omitted.
    pub queue: Option<String>,
    /// Applied to the default policy.
    pub policy: PolicyPatch,
    /// What its jobs may choose.
    pub choices: Choices,
    /// Whether inputs, logs, results and artifacts of its jobs are kept from viewers.
    pub is_private: bool,
}

impl CommandCreate {
    /// A command with this name that runs this. Everything else is as if it were omitted.
    pub fn new(name: impl Into<String>, spec: SpecInput) -> Self {
        Self {
            name: name.into(),
            description: None,
            spec,
            input_schema: None,
            profile_id: None,
            proxy_id: None,
            service_ids: Vec::new(),
            queue: None,
            policy: PolicyPatch::default(),
            choices: Choices::default(),
            is_private: false,
        }
    }
}

/// An update of a command.
#[derive(Debug, Clone)]
pub struct CommandUpdate {
    /// The command.
    pub id: CommandId,
    /// The version that the caller read. A stale one is refused. `None` skips this check.
    pub version: Option<i32>,
    /// The changes.
    pub changes: CommandChanges,
}

/// Changes of a command. [`CommandCreate`] has the bounds.
#[derive(Debug, Clone, Default)]
pub struct CommandChanges {
    /// Cannot be cleared.
    pub name: Patch<String>,
    /// Clearing removes it.
    pub description: Patch<String>,
    /// Cannot be cleared.
    pub spec: Patch<SpecInput>,
    /// Clearing accepts every object.
    pub input_schema: Patch<Value>,
    /// Clearing removes it.
    pub profile_id: Patch<ProfileId>,
    /// Clearing removes it.
    pub proxy_id: Patch<ProxyId>,
    /// Replaces the whole list. Clearing empties it.
    pub service_ids: Patch<Vec<ServiceId>>,
    /// Clearing resets it to `default`.
    pub queue: Patch<String>,
    /// Applied to the stored policy. Clearing resets it to the default policy.
    pub policy: Patch<PolicyPatch>,
    /// Applied to the stored choices. Clearing resets them to the defaults.
    pub choices: Patch<ChoicesPatch>,
    /// Clearing resets it to false.
    pub is_private: Patch<bool>,
}

/// A spec that can be stored, or what is wrong with it and its schema.
type CheckedSpec = Result<CommandSpec, Vec<Refusal>>;

impl Catalogue {
    /// Creates a command and its first version.
    pub async fn command_create(&self, input: CommandCreate) -> Result<Command, StepError> {
        let id: CommandId = self.ids.make();
        let mut checks = Checks::default();
        let input_schema = input.input_schema.unwrap_or_else(|| json!({}));
        let spec = checks.all(self.checked_spec(&input.spec, &input_schema).await?);
        let policy = check_policy(&mut checks, &input.policy, &Policy::default());
        let mut draft = CommandDraft {
            name: input.name,
            description: input.description.and_then(|text| bounds::description(&mut checks, text)),
            profile_id: input.profile_id,
            proxy_id: input.proxy_id,
            service_ids: input.service_ids,
            queue: input.queue.unwrap_or_else(|| QUEUE_DEFAULT.to_owned()),
            choices: input.choices,
        };
        let mut transaction = self.store.begin().await?;
        check_draft(&mut transaction, &mut checks, id, &mut draft, None).await?;
        let Some(spec) = spec else { return Err(checks.refused()) };
        checks.passed()?;
        let is_private = input.is_private;
        let runs = VersionDraft { name: draft.name.clone(), spec, input_schema, policy, is_private };
        let version = self.insert_version(&mut transaction, id, &runs).await?;
        let change = Change::between(None, Some(&of_command(&draft, &runs)));
        let command = commands::insert(&mut transaction, id, version, draft).await.map_err(taken)?;
        self.note(&mut transaction, "commandCreate", Object::new(KIND, &id, Some(&command.name)), change)
            .await?;
        commit(transaction).await?;
        Ok(command)
    }

    /// Updates a command. A request that changes nothing leaves the version as it is.
    pub async fn command_update(&self, input: CommandUpdate) -> Result<Command, StepError> {
        loop {
            let mut connection = self.store.connection().await?;
            let read = commands::load(&mut connection, &[input.id]).await?.pop();
            let read = read.ok_or_else(|| StepError::no("command"))?;
            let runs = newest(&mut connection, &read).await?;
            drop(connection);
            let spec = self.patched_spec(&input.changes, &runs).await?;
            if let Some(command) = self.command_update_read(input.clone(), read.version_id, spec).await? {
                return Ok(command);
            }
        }
    }

    /// Updates a command whose new spec was checked when it ran this version. `None` if somebody
    /// has given it another one since.
    async fn command_update_read(
        &self,
        input: CommandUpdate,
        read: CommandVersionId,
        spec: CheckedSpec,
    ) -> Result<Option<Command>, StepError> {
        let CommandUpdate { id, version, changes } = input;
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        if stored.version_id != read {
            return Ok(None);
        }
        checks.version(stored.version, version);
        let runs_before = newest(&mut transaction, &stored).await?;
        let before = CommandDraft::from(stored.clone());
        let mut draft = CommandDraft {
            name: checks.required("name", changes.name, &before.name),
            description: match changes.description {
                Patch::Leave => before.description.clone(),
                Patch::Clear => None,
                Patch::Set(text) => bounds::description(&mut checks, text),
            },
            profile_id: changes.profile_id.over_optional(before.profile_id),
            proxy_id: changes.proxy_id.over_optional(before.proxy_id),
            service_ids: changes.service_ids.over(before.service_ids.clone(), Vec::new()),
            queue: changes.queue.over(before.queue.clone(), QUEUE_DEFAULT.to_owned()),
            choices: match changes.choices {
                Patch::Leave => before.choices.clone(),
                Patch::Clear => Choices::default(),
                Patch::Set(patch) => patch.over(before.choices.clone()),
            },
        };
        let input_schema = changes.input_schema.over(runs_before.input_schema.clone(), json!({}));
        let spec = checks.all(spec).unwrap_or_else(|| runs_before.spec.clone());
        let mut runs = VersionDraft {
            name: draft.name.clone(),
            spec,
            input_schema,
            policy: match changes.policy {
                Patch::Leave => runs_before.policy.clone(),
                Patch::Clear => Policy::default(),
                Patch::Set(patch) => check_policy(&mut checks, &patch, &runs_before.policy),
            },
            is_private: changes.is_private.over(runs_before.is_private, false),
        };
        check_draft(&mut transaction, &mut checks, id, &mut draft, Some(&before.name)).await?;
        runs.name.clone_from(&draft.name);
        checks.passed()?;
        if draft == before && runs == runs_before {
            let object = Object::new(KIND, &id, Some(&stored.name));
            self.note_unchanged(transaction, "commandUpdate", object).await?;
            return Ok(Some(stored));
        }
        let version = if runs == runs_before {
            stored.version_id
        } else {
            self.insert_version(&mut transaction, id, &runs).await?
        };
        let change =
            Change::between(Some(&of_command(&before, &runs_before)), Some(&of_command(&draft, &runs)));
        let command = commands::update(&mut transaction, id, version, draft).await.map_err(taken)?;
        self.note(&mut transaction, "commandUpdate", Object::new(KIND, &id, Some(&command.name)), change)
            .await?;
        commit(transaction).await?;
        Ok(Some(command))
    }

    /// Deletes a command. Its versions stay for the jobs that run them.
    pub async fn command_delete(&self, id: CommandId, version: Option<i32>) -> Result<(), StepError> {
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        in_use::check(&mut checks, "command", &references::of_command(&mut transaction, id).await?);
        checks.passed()?;
        let deleted = commands::delete(&mut transaction, id).await;
        deleted.map_err(|error| in_use::refused_by_constraint(error, "command"))?;
        let runs = newest(&mut transaction, &stored).await?;
        let object = Object::new(KIND, &id, Some(&stored.name));
        let change = Change::between(Some(&of_command(&stored.into(), &runs)), None);
        self.note(&mut transaction, "commandDelete", object, change).await?;
        commit(transaction).await?;
        Ok(())
    }

    /// Returns the spec after its patch. An unchanged spec is not checked again: the allow-list may
    /// have become narrower, which the worker enforces and which must not block other changes. Only
    /// a changed schema may make secrets of what it compares.
    async fn patched_spec(
        &self,
        changes: &CommandChanges,
        before: &VersionDraft,
    ) -> Result<CheckedSpec, StepError> {
        let input_schema = changes.input_schema.clone().over(before.input_schema.clone(), json!({}));
        match &changes.spec {
            Patch::Leave if input_schema == before.input_schema => Ok(Ok(before.spec.clone())),
            Patch::Leave => {
                let mut turn = self.evaluator.turn(Purpose::Save(&self.actor));
                let checked = turn.check_schema(&input_schema, &before.spec).await;
                refusals(checked.map(|()| before.spec.clone()))
            }
            Patch::Clear => {
                let message = "must not be null (omit it to keep the stored value)";
                Ok(Err(vec![Refusal::invalid("spec", message)]))
            }
            Patch::Set(spec) => self.checked_spec(spec, &input_schema).await,
        }
    }

    /// Returns the spec unless it or the schema is refused. No transaction may be alive meanwhile.
    async fn checked_spec(&self, spec: &SpecInput, input_schema: &Value) -> Result<CheckedSpec, StepError> {
        let mut turn = self.evaluator.turn(Purpose::Save(&self.actor));
        let checked = refusals(turn.check(spec, &self.allow_list, input_schema).await)?;
        Ok(checked.and_then(|(spec, misused)| {
            storable(&spec)?;
            if misused.is_empty() { Ok(spec) } else { Err(misused) }
        }))
    }

    async fn insert_version(
        &self,
        transaction: &mut Transaction,
        command: CommandId,
        draft: &VersionDraft,
    ) -> Result<CommandVersionId, StoreError> {
        let id: CommandVersionId = self.ids.make();
        command_versions::insert(transaction, id, command, draft).await?;
        Ok(id)
    }
}

async fn locked(connection: &mut Connection, id: CommandId) -> Result<Command, StepError> {
    commands::lock(connection, id).await?.ok_or_else(|| StepError::no("command"))
}

/// Loads the version that the command points at.
async fn newest(connection: &mut Connection, command: &Command) -> Result<VersionDraft, StoreError> {
    let found = command_versions::load(connection, &[command.version_id]).await?.pop();
    found
        .map(VersionDraft::from)
        .ok_or_else(|| StoreError::corrupt("commands", "version_id", &command.version_id))
}

/// Splits what is wrong with a value from what says nothing of it.
fn refusals<T>(checked: Result<T, Failure>) -> Result<Result<T, Vec<Refusal>>, StepError> {
    match checked {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Refused(refusals)) => Ok(Err(refusals)),
        Err(Failure::Unavailable(why)) => Err(StepError::Evaluator(why)),
    }
}

/// Refuses NUL, which Postgres does not store, and deep nesting.
fn storable(spec: &CommandSpec) -> Result<(), Vec<Refusal>> {
    let is_storable =
        serde_json::to_value(spec).is_ok_and(|value| bounds::is_storable(&value, bounds::JSON_DEPTH_MAX));
    if is_storable {
        return Ok(());
    }
    let message =
        format!("must be nested at most {} deep, without NUL in any string", bounds::JSON_DEPTH_MAX);
    Err(vec![Refusal::invalid("spec", message)])
}

fn check_policy(checks: &mut Checks, patch: &PolicyPatch, stored: &Policy) -> Policy {
    patch.checked_over(stored).unwrap_or_else(|refusals| {
        checks.extend(refusals);
        stored.clone()
    })
}

/// Checks the name, which it brings into its normal form, the queue, and everything that the
/// command references.
async fn check_draft(
    connection: &mut Connection,
    checks: &mut Checks,
    id: CommandId,
    draft: &mut CommandDraft,
    stored_name: Option<&str>,
) -> Result<(), StoreError> {
    let is_taken = async |name: &str| commands::name_is_taken(&mut *connection, id, name).await;
    draft.name = checks.name(draft.name.clone(), stored_name, NAME_TAKEN, is_taken).await?;
    checks.take(name::check_queue("queue", &draft.queue));
    if let Some(profile) = draft.profile_id {
        keep_profile(connection, checks, profile).await?;
    }
    if let Some(proxy) = draft.proxy_id {
        keep_proxy(connection, checks, proxy).await?;
    }
    keep_services(connection, checks, &draft.service_ids).await?;
    keep_choices(connection, checks, &draft.choices).await
}

/// Two concurrent requests may both find a name free. The constraint then refuses the second.
fn taken(error: StoreError) -> StepError {
    match error.constraint() {
        Some("commands_name_key") => StepError::refused(RefusalCode::Taken, &["name"], NAME_TAKEN),
        Some(_) | None => error.into(),
    }
}
