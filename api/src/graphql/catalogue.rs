//! What the catalogue's nouns (profiles, services, proxies, commands) add to the schema's roots.

use async_graphql::MergedObject;

use super::{
    command::{CommandMutation, CommandQuery, PreviewQuery},
    profile::{ProfileMutation, ProfileQuery},
    proxy::{ProxyMutation, ProxyQuery},
    service::{ServiceMutation, ServiceQuery},
};

/// Everything of the catalogue that can be read.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogueQuery(ProfileQuery, ServiceQuery, ProxyQuery, CommandQuery, PreviewQuery);

/// Everything of the catalogue that can be changed.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogueMutation(ProfileMutation, ServiceMutation, ProxyMutation, CommandMutation);
