//! The GraphQL type `Command` and its lists.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use callboard::{
    ids::CommandId,
    limit::GateKey,
    store::{
        StoreError,
        catalogue::{command_versions::CommandVersion, commands, name_pages::NamePage},
        limits::usage::User,
    },
};

use super::{CommandChoices, CommandKind, CommandSpec};
use crate::graphql::{
    consumption::Consumption,
    loaders, name_lists,
    policy::Policy,
    profile::Profile,
    proxy::Proxy,
    rate_limit::LimitUsage,
    scalars::{DateTime, Json},
    service::Service,
};

/// The GraphQL object `Command`.
#[derive(Debug, Clone, PartialEq)]
pub struct Command(commands::Command);

crate::connection!(
    /// A page of commands, ordered by name.
    CommandConnection,
    /// A command with its cursor.
    CommandEdge,
    Command
);

impl From<commands::Command> for Command {
    fn from(command: commands::Command) -> Self {
        Self(command)
    }
}

impl Command {
    /// Loads a command by its id. Batched.
    pub async fn load(ctx: &Context<'_>, id: CommandId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }

    /// Loads the current version. Batched.
    async fn newest(&self, ctx: &Context<'_>) -> Result<Arc<CommandVersion>> {
        let found = loaders::one(ctx, self.0.version_id).await?;
        Ok(found.ok_or_else(|| StoreError::corrupt("commands", "version_id", &self.0.version_id))?)
    }
}

impl CommandConnection {
    /// Creates the connection from a page of the store.
    pub fn of(page: NamePage<commands::Command>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(CommandId::PREFIX, page, |row: &commands::Command| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// A saved, parameterised piece of work: what to run and under which policy. A job runs the spec,
/// schema and policy as of its enqueuing, whatever happens to the command later.
#[Object]
impl Command {
    /// The global id, `command_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The name, unique among commands.
    pub async fn name(&self) -> &str {
        &self.0.name
    }

    /// A description for people.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// The kind of command.
    async fn kind(&self, ctx: &Context<'_>) -> Result<CommandKind> {
        Ok(self.newest(ctx).await?.spec.kind().into())
    }

    /// What the command runs.
    async fn spec(&self, ctx: &Context<'_>) -> Result<CommandSpec> {
        Ok(self.newest(ctx).await?.spec.clone().into())
    }

    /// JSON Schema of the job's input. Inputs that do not match are refused by jobEnqueue. `{}`
    /// accepts any object.
    async fn input_schema(&self, ctx: &Context<'_>) -> Result<Json> {
        Ok(Json(self.newest(ctx).await?.input_schema.clone()))
    }

    /// The profile of jobs that name no other. Null when there is none.
    async fn profile(&self, ctx: &Context<'_>) -> Option<Result<Profile>> {
        Profile::load(ctx, self.0.profile_id?).await.transpose()
    }

    /// The proxy of jobs that name no other. Takes precedence over the profile's proxies. Null when
    /// there is none.
    async fn proxy(&self, ctx: &Context<'_>) -> Option<Result<Proxy>> {
        Proxy::load(ctx, self.0.proxy_id?).await.transpose()
    }

    /// The services of jobs that name no others, in order. When empty, jobs use the profile's
    /// services.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        Service::load_all(ctx, self.0.service_ids.clone()).await
    }

    /// What OPERATORs may choose for its jobs beside what the command names.
    async fn choices(&self) -> CommandChoices {
        CommandChoices::from(&self.0.choices)
    }

    /// Whether inputs, results, logs, failures' messages and artifacts of its jobs are kept from
    /// VIEWERs.
    async fn is_private(&self, ctx: &Context<'_>) -> Result<bool> {
        Ok(self.newest(ctx).await?.is_private)
    }

    /// The queue of jobs that name no other.
    async fn queue(&self) -> &str {
        &self.0.queue
    }

    /// The policy of its jobs: retries, timeouts and limits.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Policy> {
        Ok(Policy::from(&self.newest(ctx).await?.policy))
    }

    /// The current state of each rate limit and cap of its policy.
    async fn usage(&self, ctx: &Context<'_>) -> Result<Vec<LimitUsage>> {
        let newest = self.newest(ctx).await?;
        LimitUsage::of(ctx, GateKey::Command(self.0.id), &newest.policy.limits).await
    }

    /// Usage by its attempts, today and this month.
    async fn consumption(&self, ctx: &Context<'_>) -> Result<Consumption> {
        Consumption::of(ctx, User::Command(self.0.id)).await
    }

    /// Increases by one with every change. Pass it with an update, which is then refused if the
    /// command has changed.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the command was created.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When the command was last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
