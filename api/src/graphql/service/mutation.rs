//! The mutations that create, update, delete and resume services, and that refresh tokens.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{
    refusal::Refusal,
    steps::{StepError, limits::observe::resume_service},
};

use super::{
    Service, ServiceCreateInput, ServiceDeleteInput, ServiceResumeInput, ServiceTokenRefreshInput,
    ServiceUpdateInput,
};
use crate::{
    audit::by,
    graphql::{
        catalogue::acting,
        inputs::id_of,
        job::JobContext,
        payload::{DeletePayload, refuse, settle},
        user_error::UserError,
    },
};

/// Returned by serviceCreate, serviceUpdate, serviceTokenRefresh and serviceResume.
#[derive(Debug, SimpleObject)]
pub struct ServicePayload {
    /// The service as it is now. Null when the input was refused.
    pub service: Option<Service>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

impl ServicePayload {
    fn of(ctx: &Context<'_>, done: Result<callboard::service::Service, StepError>) -> Result<Self> {
        let (service, user_errors) = settle(ctx, done)?;
        Ok(Self { service: service.map(Service::from), user_errors })
    }
}

/// The mutations of services.
#[derive(Debug, Default, Clone, Copy)]
pub struct ServiceMutation;

#[Object]
impl ServiceMutation {
    /// Creates a service. Requires an ADMIN key.
    async fn service_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service to create.")] input: ServiceCreateInput,
    ) -> Result<ServicePayload> {
        ServicePayload::of(ctx, Box::pin(acting(ctx)?.service_create(input.into())).await)
    }

    /// Updates a service. Running attempts keep the values that they started with. Requires an
    /// ADMIN key.
    async fn service_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service to update, and the changes.")] input: ServiceUpdateInput,
    ) -> Result<ServicePayload> {
        ServicePayload::of(ctx, Box::pin(acting(ctx)?.service_update(input.into())).await)
    }

    /// Replaces the token of a service. Running attempts keep the old token, later attempts get the
    /// new one. Requires an ADMIN key.
    async fn service_token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service, and its new token.")] input: ServiceTokenRefreshInput,
    ) -> Result<ServicePayload> {
        ServicePayload::of(ctx, acting(ctx)?.service_token_refresh(input.into()).await)
    }

    /// Lets the jobs of a service start again by discarding what the service reported: that it
    /// wants no requests, that its quota is exhausted, or that it is suspended. Does nothing if
    /// none of these holds. Requires an ADMIN key.
    async fn service_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service to resume.")] input: ServiceResumeInput,
    ) -> Result<ServicePayload> {
        let id = id_of(&input.id);
        let service = Service::load(ctx, id).await?;
        if service.is_none() {
            let user_errors = refuse(ctx, [Refusal::not_found("id", "service")]);
            return Ok(ServicePayload { service, user_errors });
        }
        let context = JobContext::of(ctx)?;
        resume_service(&context.submit.store, id, &by(ctx, "serviceResume"))
            .await?
            .announce_soon(&context.redis);
        Ok(ServicePayload { service, user_errors: Vec::new() })
    }

    /// Deletes a service and its token. Refused with IN_USE while a profile, a command, a schedule
    /// or an unfinished job uses it. Requires an ADMIN key.
    async fn service_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service to delete.")] input: ServiceDeleteInput,
    ) -> Result<DeletePayload> {
        let done = acting(ctx)?.service_delete(id_of(&input.id), input.version).await;
        DeletePayload::of(ctx, input.id, done)
    }
}
