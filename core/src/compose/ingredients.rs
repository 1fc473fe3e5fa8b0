//! What a command is composed from: the facts about a job that the catalogue and the queue know.
//!
//! Borrowed from whoever composes: the API for previews and enqueues, the worker for attempts. Holds names of secrets,
//! never their values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::SecretRef;
use crate::{
    ids::{JobId, ProfileId, ProxyId, ServiceId},
    proxy::ProxyProtocol,
};

/// Everything that a command may use.
#[derive(Debug, Clone, Copy)]
pub struct Ingredients<'a> {
    /// The job's browser identity.
    pub profile: Option<ProfileFacts<'a>>,
    /// The way out. The worker passes what it has chosen for the attempt.
    pub proxy: Option<ProxyFacts<'a>>,
    /// In the job's order; the first one with a token is `service_token`.
    pub services: &'a [ServiceFacts<'a>],
    /// The input's public part: an object in which secrets are `***`.
    pub input: &'a Value,
    /// JSON pointers of the input's secrets.
    pub secret_inputs: &'a BTreeSet<String>,
    /// The job; none in a preview.
    pub job: Option<JobFacts>,
}

/// A profile, as far as commands see it.
#[derive(Debug, Clone, Copy)]
pub struct ProfileFacts<'a> {
    /// Its id.
    pub id: ProfileId,
    /// Its name.
    pub name: &'a str,
    /// Its directory below the profile root.
    pub path: &'a str,
    /// Its plain variables.
    pub environment: &'a BTreeMap<String, String>,
    /// The names of its secrets.
    pub secrets: &'a [String],
}

/// A proxy, as far as commands see it.
#[derive(Debug, Clone, Copy)]
pub struct ProxyFacts<'a> {
    /// Its id.
    pub id: ProxyId,
    /// Its name.
    pub name: &'a str,
    /// What it speaks.
    pub protocol: ProxyProtocol,
    /// `host:port`.
    pub address: &'a str,
    /// Whether it wants a user name.
    pub has_username: bool,
    /// Whether it wants a password.
    pub has_password: bool,
}

/// A service, as far as commands see it.
#[derive(Debug, Clone, Copy)]
pub struct ServiceFacts<'a> {
    /// Its id.
    pub id: ServiceId,
    /// Its name, which templates spell.
    pub name: &'a str,
    /// Where it lives.
    pub base_url: Option<&'a str>,
    /// Its settings.
    pub settings: &'a Value,
    /// Whether it has a token.
    pub has_token: bool,
}

/// A job, as far as commands see it.
#[derive(Debug, Clone, Copy)]
pub struct JobFacts {
    /// Its id.
    pub id: JobId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

impl<'a> Ingredients<'a> {
    /// The first service that has a token.
    pub fn first_token(&self) -> Option<&'a ServiceFacts<'a>> {
        self.services.iter().find(|service| service.has_token)
    }

    /// What the proxy wants to know.
    pub(crate) fn proxy_secrets(&self) -> impl Iterator<Item = SecretRef> + use<> {
        let username = self.proxy.is_some_and(|proxy| proxy.has_username).then_some(SecretRef::ProxyUsername);
        let password = self.proxy.is_some_and(|proxy| proxy.has_password).then_some(SecretRef::ProxyPassword);
        username.into_iter().chain(password)
    }

    /// The tokens of all services that have one.
    pub(crate) fn token_secrets(&self) -> impl Iterator<Item = SecretRef> {
        let with_token = self.services.iter().filter(|service| service.has_token);
        with_token.map(|service| SecretRef::ServiceToken(service.name.to_owned()))
    }

    /// Every secret that the job has.
    pub(crate) fn all_secrets(&self) -> Vec<SecretRef> {
        let of_profile =
            self.profile.iter().flat_map(|profile| profile.secrets).cloned().map(SecretRef::ProfileSecret);
        let of_input = self.secret_inputs.iter().cloned().map(SecretRef::Input);
        self.token_secrets().chain(of_profile).chain(self.proxy_secrets()).chain(of_input).collect()
    }
}
