//! Merges the queries and mutations of profiles, services, proxies and commands into the schema's
//! roots.

use async_graphql::{Context, MergedObject, Result};
use callboard::catalogue::Catalogue;

use super::{
    command::{CommandMutation, CommandQuery, PreviewQuery},
    profile::{ProfileMutation, ProfileQuery},
    proxy::{ProxyMutation, ProxyQuery},
    service::{ServiceMutation, ServiceQuery},
};
use crate::audit::actor_in;

/// Returns the catalogue for what the operation's caller changes.
pub fn acting(ctx: &Context<'_>) -> Result<Catalogue> {
    Ok(ctx.data::<Catalogue>()?.acting_for(actor_in(ctx)))
}

/// Every query of the catalogue.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogueQuery(ProfileQuery, ServiceQuery, ProxyQuery, CommandQuery, PreviewQuery);

/// Every mutation of the catalogue.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogueMutation(ProfileMutation, ServiceMutation, ProxyMutation, CommandMutation);
