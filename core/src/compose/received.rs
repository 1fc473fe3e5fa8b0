//! The facts that a command is composed from, as another process received them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{Ingredients, JobFacts, ProfileFacts, ProxyFacts, ServiceFacts};
use crate::{
    ids::{ProfileId, ProxyId, ServiceId},
    proxy::ProxyProtocol,
};

/// [`Ingredients`] that own what they hold.
#[derive(Debug, Deserialize)]
pub(crate) struct Received {
    profile: Option<Profile>,
    proxy: Option<Proxy>,
    services: Vec<Service>,
    input: Value,
    secret_inputs: BTreeSet<String>,
    job: Option<JobFacts>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    id: ProfileId,
    name: String,
    path: String,
    environment: BTreeMap<String, String>,
    secrets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Proxy {
    id: ProxyId,
    name: String,
    protocol: ProxyProtocol,
    address: String,
    has_username: bool,
    has_password: bool,
}

#[derive(Debug, Deserialize)]
struct Service {
    id: ServiceId,
    name: String,
    base_url: Option<String>,
    settings: Value,
    has_token: bool,
}

impl Service {
    fn facts(&self) -> ServiceFacts<'_> {
        ServiceFacts {
            id: self.id,
            name: &self.name,
            base_url: self.base_url.as_deref(),
            // Rendering does not need them.
            token_hosts: &[],
            settings: &self.settings,
            has_token: self.has_token,
        }
    }
}

impl Received {
    /// The facts of the services, which [`ingredients`](Self::ingredients) borrow.
    pub(crate) fn services(&self) -> Vec<ServiceFacts<'_>> {
        self.services.iter().map(Service::facts).collect()
    }

    /// All facts.
    pub(crate) fn ingredients<'a>(&'a self, services: &'a [ServiceFacts<'a>]) -> Ingredients<'a> {
        let profile = self.profile.as_ref().map(|profile| ProfileFacts {
            id: profile.id,
            name: &profile.name,
            path: &profile.path,
            environment: &profile.environment,
            secrets: &profile.secrets,
        });
        let proxy = self.proxy.as_ref().map(|proxy| ProxyFacts {
            id: proxy.id,
            name: &proxy.name,
            protocol: proxy.protocol,
            address: &proxy.address,
            has_username: proxy.has_username,
            has_password: proxy.has_password,
        });
        Ingredients {
            profile,
            proxy,
            services,
            input: &self.input,
            secret_inputs: &self.secret_inputs,
            job: self.job,
        }
    }
}
