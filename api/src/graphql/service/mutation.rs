//! Changing services.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{
    catalogue::Catalogue,
    refusal::Refusal,
    steps::{CatalogueError, limits::observe::resume_service},
};

use super::{
    Service, ServiceCreateInput, ServiceDeleteInput, ServiceResumeInput, ServiceTokenRefreshInput,
    ServiceUpdateInput,
};
use crate::{
    auth::{Caller, Role},
    graphql::{
        inputs::id_of,
        job::JobContext,
        payload::{DeletePayload, settle},
        user_error::{UserError, user_errors},
    },
};

/// The answer to a change of a service.
#[derive(Debug, SimpleObject)]
pub struct ServicePayload {
    /// As it is now; null when the change was refused.
    pub service: Option<Service>,
    /// Why it was refused; empty when it was made.
    pub user_errors: Vec<UserError>,
}

impl ServicePayload {
    fn of(done: Result<callboard::service::Service, CatalogueError>) -> Result<Self> {
        let (service, user_errors) = settle(done)?;
        Ok(Self { service: service.map(Service::from), user_errors })
    }
}

/// The mutations of services.
#[derive(Debug, Default, Clone, Copy)]
pub struct ServiceMutation;

#[Object]
impl ServiceMutation {
    /// Makes a service. Needs an ADMIN key.
    async fn service_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new service.")] input: ServiceCreateInput,
    ) -> Result<ServicePayload> {
        Caller::require(ctx, Role::Admin)?;
        ServicePayload::of(ctx.data::<Catalogue>()?.service_create(input.into()).await)
    }

    /// Changes a service; running attempts keep what they were started with. Needs an ADMIN key.
    async fn service_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which service, and what to change.")] input: ServiceUpdateInput,
    ) -> Result<ServicePayload> {
        Caller::require(ctx, Role::Admin)?;
        ServicePayload::of(ctx.data::<Catalogue>()?.service_update(input.into()).await)
    }

    /// Replaces the token; running attempts keep the old one, the next attempt gets the new one. Needs an
    /// ADMIN key.
    async fn service_token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which service, and its new token.")] input: ServiceTokenRefreshInput,
    ) -> Result<ServicePayload> {
        Caller::require(ctx, Role::Admin)?;
        ServicePayload::of(ctx.data::<Catalogue>()?.service_token_refresh(input.into()).await)
    }

    /// Lets its jobs start again, whatever the service said that keeps them waiting: it refused, its quota was used up, or it
    /// was suspended. Nothing happens when nothing is in their way. Needs an ADMIN key.
    async fn service_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which service.")] input: ServiceResumeInput,
    ) -> Result<ServicePayload> {
        Caller::require(ctx, Role::Admin)?;
        let id = id_of(&input.id);
        let service = Service::load(ctx, id).await?;
        if service.is_none() {
            let user_errors = user_errors([Refusal::not_found("id", "service")]);
            return Ok(ServicePayload { service, user_errors });
        }
        let context = JobContext::of(ctx)?;
        resume_service(&context.desk.store, id).await?.announce_soon(&context.redis);
        Ok(ServicePayload { service, user_errors: Vec::new() })
    }

    /// Deletes a service with its token; IN_USE while a profile, a command or a job that has not ended needs
    /// it. Needs an ADMIN key.
    async fn service_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which service.")] input: ServiceDeleteInput,
    ) -> Result<DeletePayload> {
        Caller::require(ctx, Role::Admin)?;
        let done = ctx.data::<Catalogue>()?.service_delete(id_of(&input.id), input.version).await;
        Ok(DeletePayload::of(input.id, done)?)
    }
}
