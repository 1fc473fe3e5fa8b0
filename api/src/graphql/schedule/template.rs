//! The type `JobTemplate`: what a schedule enqueues, with what comes from the command and the profile filled in as of now.

use async_graphql::{Context, Object, Result};
use callboard::{
    patch::PolicyPatch,
    steps::enqueue::{
        submit::DEFAULT_PRIORITY,
        targets::{Named, Services},
    },
    store::{
        StoreError,
        catalogue::{commands, schedules::Template},
    },
};

use crate::graphql::{
    command::Command,
    loaders::{self, ServicesOf},
    policy::Policy,
    profile::Profile,
    proxy::Proxy,
    scalars::Json,
    service::Service,
};

/// See the object below.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTemplate(pub Template);

impl JobTemplate {
    /// The command, which stays as long as the schedule.
    async fn stored_command(&self, ctx: &Context<'_>) -> Result<commands::Command> {
        let found = loaders::one(ctx, self.0.command).await?;
        Ok(found.ok_or_else(|| StoreError::corrupt("schedules", "command_id", &self.0.command))?)
    }

    /// What it names itself, as its jobs will.
    fn named(&self) -> Named<'_> {
        Named { profile: self.0.profile, proxy: self.0.proxy, services: self.0.services.as_deref() }
    }
}

/// What each firing of a schedule enqueues. What it leaves to the command or the profile is shown as these have it now.
#[Object]
impl JobTemplate {
    /// What it runs, as it is when it fires.
    async fn command(&self, ctx: &Context<'_>) -> Result<Command> {
        Ok(self.stored_command(ctx).await?.into())
    }

    /// The profile that it runs on.
    async fn profile(&self, ctx: &Context<'_>) -> Option<Result<Profile>> {
        let find = async {
            let command = self.stored_command(ctx).await?;
            match self.named().profile_over(Some(&command)) {
                Some(id) => Profile::load(ctx, id).await,
                None => Ok(None),
            }
        };
        find.await.transpose()
    }

    /// The proxy that it, or its command, names; null when the profile chooses, or when there is none.
    async fn proxy(&self, ctx: &Context<'_>) -> Option<Result<Proxy>> {
        let find = async {
            let command = self.stored_command(ctx).await?;
            match self.named().proxy_over(Some(&command)) {
                Some(id) => Proxy::load(ctx, id).await,
                None => Ok(None),
            }
        };
        find.await.transpose()
    }

    /// The services that it uses, in order.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        let command = self.stored_command(ctx).await?;
        let ids = match self.named().services_over(Some(&command)) {
            Services::Listed(listed) => listed.to_vec(),
            Services::OfProfile(profile) => loaders::one(ctx, ServicesOf(profile)).await?.unwrap_or_default(),
            Services::None => Vec::new(),
        };
        Service::load_all(ctx, ids).await
    }

    /// The input as it was given; secrets are `***`. What the schema has defaults for is filled in when it fires.
    async fn input(&self) -> Json {
        Json(self.0.input.clone())
    }

    /// The queue.
    async fn queue(&self, ctx: &Context<'_>) -> Result<String> {
        match &self.0.queue {
            Some(own) => Ok(own.clone()),
            None => Ok(self.stored_command(ctx).await?.queue),
        }
    }

    /// 0 to 9; 9 runs first.
    async fn priority(&self) -> i32 {
        i32::from(self.0.priority.unwrap_or(DEFAULT_PRIORITY))
    }

    /// The command's policy, with what the template overrides.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Policy> {
        let version_id = self.stored_command(ctx).await?.version_id;
        let version = loaders::one(ctx, version_id).await?;
        let version = version.ok_or_else(|| StoreError::corrupt("commands", "version_id", &version_id))?;
        let Some(patch) = self.0.policy.clone() else { return Ok(Policy::from(&version.policy)) };
        let patch: PolicyPatch = serde_json::from_value(patch)
            .map_err(|error| StoreError::corrupt("schedules", "policy", &error))?;
        Ok(Policy::from(&patch.over(&version.policy)))
    }

    /// Whose turn its jobs count as, instead of their profile's.
    async fn fairness_key(&self) -> Option<&str> {
        self.0.fairness_key.as_deref()
    }

    /// Its labels.
    async fn labels(&self) -> &[String] {
        &self.0.labels
    }
}
