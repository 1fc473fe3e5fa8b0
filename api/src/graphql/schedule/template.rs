//! The GraphQL type `JobTemplate`, with the values of the command and the profile filled in as of
//! now.

use async_graphql::{Context, Object, Result};
use callboard::{
    patch::PolicyPatch,
    steps::{
        choices::{Named, Services},
        enqueue::submit::DEFAULT_PRIORITY,
    },
    store::{
        StoreError,
        catalogue::{commands, schedules::Template},
    },
};

use crate::graphql::{
    command::Command,
    job::{KEPT_BACK, is_viewer},
    loaders::{self, ServicesOf},
    policy::Policy,
    profile::Profile,
    proxy::Proxy,
    scalars::Json,
    service::Service,
};

/// The GraphQL object `JobTemplate`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTemplate(pub Template);

impl JobTemplate {
    /// Loads the command, which cannot be deleted while the schedule exists.
    async fn stored_command(&self, ctx: &Context<'_>) -> Result<commands::Command> {
        let found = loaders::one(ctx, self.0.request.command).await?;
        Ok(found.ok_or_else(|| StoreError::corrupt("schedules", "command_id", &self.0.request.command))?)
    }

    /// Whether the command keeps the input from the caller.
    pub(super) async fn is_kept_back(&self, ctx: &Context<'_>) -> Result<bool> {
        if !is_viewer(ctx) {
            return Ok(false);
        }
        let version_id = self.stored_command(ctx).await?.version_id;
        Ok(loaders::one(ctx, version_id).await?.is_some_and(|version| version.is_private))
    }

    /// The targets that the template names itself.
    fn named(&self) -> Named<'_> {
        Named {
            profile: self.0.request.profile,
            proxy: self.0.request.proxy,
            services: self.0.request.services.as_deref(),
        }
    }
}

/// The job that each firing of a schedule enqueues. Values that the template leaves to the command
/// or the profile are shown as they are now.
#[Object]
impl JobTemplate {
    /// The command to run. Each firing uses the command's version at that time.
    async fn command(&self, ctx: &Context<'_>) -> Result<Command> {
        Ok(self.stored_command(ctx).await?.into())
    }

    /// The profile that the job will run on. Null when there is none.
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

    /// The proxy that the template or its command names. Null when the profile chooses one, or when
    /// there is none.
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

    /// The services that the job will use, in order.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        let command = self.stored_command(ctx).await?;
        let ids = match self.named().services_over(Some(&command)) {
            Services::Listed(listed) => listed.to_vec(),
            Services::OfProfile(profile) => loaders::one(ctx, ServicesOf(profile)).await?.unwrap_or_default(),
            Services::None => Vec::new(),
        };
        Service::load_all(ctx, ids).await
    }

    /// The input as given, with secrets shown as `***`. The schema's defaults are filled in when
    /// the schedule fires. For a VIEWER `"***"` if the command is private.
    async fn input(&self, ctx: &Context<'_>) -> Result<Json> {
        if self.is_kept_back(ctx).await? {
            return Ok(Json(KEPT_BACK.into()));
        }
        Ok(Json(self.0.request.input.clone().unwrap_or_default()))
    }

    /// Name of the queue.
    async fn queue(&self, ctx: &Context<'_>) -> Result<String> {
        match &self.0.request.queue {
            Some(own) => Ok(own.clone()),
            None => Ok(self.stored_command(ctx).await?.queue),
        }
    }

    /// The priority, 0 to 9. 9 runs first. Default 4.
    async fn priority(&self) -> i32 {
        self.0.request.priority.unwrap_or(i32::from(DEFAULT_PRIORITY))
    }

    /// The command's policy with the template's overrides.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Policy> {
        let version_id = self.stored_command(ctx).await?.version_id;
        let version = loaders::one(ctx, version_id).await?;
        let version = version.ok_or_else(|| StoreError::corrupt("commands", "version_id", &version_id))?;
        let Some(patch) = self.0.policy.clone() else { return Ok(Policy::from(&version.policy)) };
        let patch: PolicyPatch = serde_json::from_value(patch)
            .map_err(|error| StoreError::corrupt("schedules", "policy", &error))?;
        Ok(Policy::from(&patch.over(&version.policy)))
    }

    /// The fairness key that groups the jobs for fair ordering. Null when their profile does.
    async fn fairness_key(&self) -> Option<&str> {
        self.0.request.fairness_key.as_deref()
    }

    /// The labels.
    async fn labels(&self) -> &[String] {
        &self.0.request.labels
    }
}
