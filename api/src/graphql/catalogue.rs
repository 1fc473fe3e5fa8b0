//! Merges the queries and mutations of profiles, services, proxies and commands into the schema's
//! roots.

use async_graphql::MergedObject;

use super::{
    command::{CommandMutation, CommandQuery, PreviewQuery},
    profile::{ProfileMutation, ProfileQuery},
    proxy::{ProxyMutation, ProxyQuery},
    service::{ServiceMutation, ServiceQuery},
};

/// Every query of the catalogue.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogueQuery(ProfileQuery, ServiceQuery, ProxyQuery, CommandQuery, PreviewQuery);

/// Every mutation of the catalogue.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogueMutation(ProfileMutation, ServiceMutation, ProxyMutation, CommandMutation);
