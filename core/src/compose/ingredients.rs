//! The facts that a command is composed from, as the catalogue and the queue have them.
//!
//! Borrowed from the caller: the API for previews and enqueues, the worker for attempts. Holds
//! names of secrets, never their values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SecretRef;
use crate::{
    ids::{JobId, ProfileId, ProxyId, ServiceId},
    proxy::ProxyProtocol,
    service::TokenHost,
};

/// Everything that a command can use.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ingredients<'a> {
    /// The job's profile.
    pub profile: Option<ProfileFacts<'a>>,
    /// The job's proxy. The worker passes the one chosen for the attempt.
    pub proxy: Option<ProxyFacts<'a>>,
    /// The services in the job's order. `service_token` is the token of the first one that has one.
    pub services: &'a [ServiceFacts<'a>],
    /// The input's public part: an object with secrets as `***`.
    pub input: &'a Value,
    /// JSON pointers of the input's secrets.
    pub secret_inputs: &'a BTreeSet<String>,
    /// The job. `None` in a preview.
    pub job: Option<JobFacts>,
}

/// A profile, as commands see it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ProfileFacts<'a> {
    /// Its id.
    pub id: ProfileId,
    /// Its name.
    pub name: &'a str,
    /// Its directory below the profile root.
    pub path: &'a str,
    /// Its plain environment variables.
    pub environment: &'a BTreeMap<String, String>,
    /// The names of its secrets.
    pub secrets: &'a [String],
}

/// A proxy, as commands see it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ProxyFacts<'a> {
    /// Its id.
    pub id: ProxyId,
    /// Its name.
    pub name: &'a str,
    /// Its protocol.
    pub protocol: ProxyProtocol,
    /// `host:port`.
    pub address: &'a str,
    /// Whether a user name is stored.
    pub has_username: bool,
    /// Whether a password is stored.
    pub has_password: bool,
}

/// A service, as commands see it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServiceFacts<'a> {
    /// Its id.
    pub id: ServiceId,
    /// Its name, as templates spell it.
    pub name: &'a str,
    /// Its base URL.
    pub base_url: Option<&'a str>,
    /// The hosts beside that of the base URL to which HTTP commands may send the token.
    #[serde(skip)]
    pub token_hosts: &'a [TokenHost],
    /// Its settings.
    pub settings: &'a Value,
    /// Whether it has a token.
    pub has_token: bool,
}

/// A job, as commands see it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct JobFacts {
    /// Its id.
    pub id: JobId,
    /// The attempt's number, from 1.
    pub attempt: u32,
}

impl<'a> Ingredients<'a> {
    /// The first service that has a token.
    pub fn first_token(&self) -> Option<&'a ServiceFacts<'a>> {
        self.services.iter().find(|service| service.has_token)
    }

    /// The proxy's stored credentials.
    pub(crate) fn proxy_secrets(&self) -> impl Iterator<Item = SecretRef> + use<> {
        let username = self.proxy.is_some_and(|proxy| proxy.has_username).then_some(SecretRef::ProxyUsername);
        let password = self.proxy.is_some_and(|proxy| proxy.has_password).then_some(SecretRef::ProxyPassword);
        username.into_iter().chain(password)
    }

    /// The services that have a token, and whether each is the first of them.
    pub(crate) fn with_token(&self) -> impl Iterator<Item = (&'a ServiceFacts<'a>, bool)> + use<'a> {
        self.services
            .iter()
            .filter(|service| service.has_token)
            .enumerate()
            .map(|(index, service)| (service, index == 0))
    }

    /// Every secret that the job has, except the tokens of its services.
    pub(crate) fn secrets_but_tokens(&self) -> Vec<SecretRef> {
        let of_profile =
            self.profile.iter().flat_map(|profile| profile.secrets).cloned().map(SecretRef::ProfileSecret);
        let of_input = self.secret_inputs.iter().cloned().map(SecretRef::Input);
        of_profile.chain(self.proxy_secrets()).chain(of_input).collect()
    }
}
