//! The type `Command`, and lists of commands.

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

use super::{CommandKind, CommandSpec};
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

/// See the object below.
#[derive(Debug, Clone, PartialEq)]
pub struct Command(commands::Command);

crate::connection!(
    /// A page of commands, in order of name.
    CommandConnection,
    /// A command in a list.
    CommandEdge,
    Command
);

impl From<commands::Command> for Command {
    fn from(command: commands::Command) -> Self {
        Self(command)
    }
}

impl Command {
    /// A command by its id; batched.
    pub async fn load(ctx: &Context<'_>, id: CommandId) -> Result<Option<Self>> {
        Ok(loaders::one(ctx, id).await?.map(Self))
    }

    /// What it runs now; batched.
    async fn newest(&self, ctx: &Context<'_>) -> Result<Arc<CommandVersion>> {
        let found = loaders::one(ctx, self.0.version_id).await?;
        Ok(found.ok_or_else(|| StoreError::corrupt("commands", "version_id", &self.0.version_id))?)
    }
}

impl CommandConnection {
    /// From a page of the store.
    pub fn of(page: NamePage<commands::Command>) -> Self {
        let (items, bounds, total) =
            name_lists::parts(page, |row: &commands::Command| (&row.name, row.id.uuid()));
        Self::new(items, bounds, total)
    }
}

/// A saved, parameterised piece of work: what to run and under which policy. A job runs the spec, schema and
/// policy as of its enqueuing, whatever happens to the command later.
#[Object]
impl Command {
    /// Global id, `command_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Unique among commands.
    pub async fn name(&self) -> &str {
        &self.0.name
    }

    /// For people.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// What kind of command it is.
    async fn kind(&self, ctx: &Context<'_>) -> Result<CommandKind> {
        Ok(self.newest(ctx).await?.spec.kind().into())
    }

    /// What it runs.
    async fn spec(&self, ctx: &Context<'_>) -> Result<CommandSpec> {
        Ok(self.newest(ctx).await?.spec.clone().into())
    }

    /// JSON Schema of the job's input; an input that does not fit is refused at enqueue. `{}` lets every
    /// object in.
    async fn input_schema(&self, ctx: &Context<'_>) -> Result<Json> {
        Ok(Json(self.newest(ctx).await?.input_schema.clone()))
    }

    /// The profile of jobs that name no other.
    async fn profile(&self, ctx: &Context<'_>) -> Option<Result<Profile>> {
        Profile::load(ctx, self.0.profile_id?).await.transpose()
    }

    /// The proxy of jobs that name no other. Goes before the proxies of the profile.
    async fn proxy(&self, ctx: &Context<'_>) -> Option<Result<Proxy>> {
        Proxy::load(ctx, self.0.proxy_id?).await.transpose()
    }

    /// The services of jobs that name no others, in order. When there are none, those of the profile.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        Service::load_all(ctx, self.0.service_ids.clone()).await
    }

    /// The queue of jobs that name no other.
    async fn queue(&self) -> &str {
        &self.0.queue
    }

    /// How its jobs are retried and how long their attempts may take.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Policy> {
        Ok(Policy::from(&self.newest(ctx).await?.policy))
    }

    /// What is known now of each rate and cap of its policy.
    async fn usage(&self, ctx: &Context<'_>) -> Result<Vec<LimitUsage>> {
        let newest = self.newest(ctx).await?;
        LimitUsage::of(ctx, GateKey::Command(self.0.id), &newest.policy.limits).await
    }

    /// How much its attempts have used, today and this month.
    async fn consumption(&self, ctx: &Context<'_>) -> Result<Consumption> {
        Consumption::of(ctx, User::Command(self.0.id)).await
    }

    /// Rises by one with every change. Hand it back with an update to be told when somebody else was faster.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(self.0.updated_at)
    }
}
