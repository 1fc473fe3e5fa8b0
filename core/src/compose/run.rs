//! What the worker runs, and the values of the secrets that it fills in.
//!
//! The worker decrypts what [`crate::command::Composition::secrets`] names into a [`SecretValues`] and reveals the composition with it.
//! Nothing here may be stored, logged or sent anywhere but to the command itself.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{Ingredients, SecretInputs, SecretRef, WorkerPaths};
use crate::{
    proxy::ProxyProtocol,
    secret::{REDACTED_CHARS_MIN, Redactor},
};

/// What to run.
#[derive(Debug)]
pub enum Run {
    /// Nothing: succeed at once.
    Noop,
    /// A process.
    Process(ProcessPlan),
}

/// A process to start.
#[derive(Debug)]
pub struct ProcessPlan {
    /// What to execute.
    pub program: Program,
    /// Without the program's own name. Never with a secret.
    pub arguments: Vec<String>,
    /// What the command is given; the worker adds what the machine needs (`PATH`, `HOME`, `TMPDIR`).
    pub environment: Vec<(String, SecretString)>,
    /// What is written to standard input first; none closes it at once.
    pub stdin: Option<SecretString>,
    /// What its standard output means.
    pub protocol: OutputProtocol,
}

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// This file. The worker checks its canonical path against the allow-list again.
    File(String),
    /// The Node runner for Playwright scripts.
    Runner,
    /// The worker's own HTTP client, as a child process.
    HttpClient,
}

/// What a process's standard output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputProtocol {
    /// Lines of a log.
    Lines,
    /// One JSON event per line.
    Events,
}

/// Why a composition could not be filled in. Never says a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevealError {
    /// A secret was deleted since the job was composed.
    #[error("the secret {secret} is not there any more")]
    Missing {
        /// Which.
        secret: SecretRef,
    },
    /// A secret has a character that cannot stand where it is to stand.
    #[error("the value of a secret has a line break or NUL character, which {place} cannot hold")]
    NotOneLine {
        /// Where.
        place: String,
    },
    /// A secret has a NUL character.
    #[error("the value of a secret has a NUL character, which {place} cannot hold")]
    NotText {
        /// Where.
        place: String,
    },
    /// The stored input does not have the places that its secrets are for.
    #[error("the job's input has no place {pointer} for its secret")]
    NoPlace {
        /// JSON pointer.
        pointer: String,
    },
}

/// The values of an attempt's secrets.
#[derive(Debug, Default)]
pub struct SecretValues {
    texts: BTreeMap<SecretRef, SecretString>,
    inputs: SecretInputs,
}

impl SecretValues {
    /// A book with the secrets of the job's input; the others are added by [`insert`](Self::insert).
    pub fn new(inputs: SecretInputs) -> Self {
        let texts =
            inputs.texts().map(|(pointer, text)| (SecretRef::Input(pointer.to_owned()), text)).collect();
        Self { texts, inputs }
    }

    /// Adds one secret. Those of the input come from [`new`](Self::new).
    pub fn insert(&mut self, secret: SecretRef, value: SecretString) {
        self.texts.insert(secret, value);
    }

    /// Takes everything that the book knows out of what the attempt prints.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(self.texts.values().chain(&self.inputs.leaves()))
    }

    pub(crate) fn text(&self, secret: &SecretRef) -> Result<&SecretString, RevealError> {
        self.texts.get(secret).ok_or_else(|| RevealError::Missing { secret: secret.clone() })
    }

    /// Every value that is worth masking, for children that mask by themselves.
    pub(crate) fn texts_to_mask(&self) -> Vec<String> {
        let leaves = self.inputs.leaves();
        let all = self.texts.values().chain(&leaves).map(|text| text.expose_secret().to_owned());
        let mut texts: Vec<String> = all.filter(|text| text.chars().count() >= REDACTED_CHARS_MIN).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// The input with its secrets in their places.
    pub(crate) fn full_input(&self, given: &Ingredients<'_>) -> Result<Value, RevealError> {
        let mut input = given.input.clone();
        for pointer in given.secret_inputs {
            let secret = SecretRef::Input(pointer.clone());
            let value = self.inputs.get(pointer).ok_or(RevealError::Missing { secret })?;
            let place = input
                .pointer_mut(pointer)
                .ok_or_else(|| RevealError::NoPlace { pointer: pointer.clone() })?;
            *place = value.clone();
        }
        Ok(input)
    }

    /// The services by name, as the runner is given them.
    pub(crate) fn services(&self, given: &Ingredients<'_>) -> Result<Value, RevealError> {
        let mut all = serde_json::Map::new();
        for service in given.services {
            let token = SecretRef::ServiceToken(service.name.to_owned());
            let token = if service.has_token { Some(self.text(&token)?.expose_secret()) } else { None };
            let value = json!({"baseUrl": service.base_url, "token": token, "settings": service.settings});
            all.insert(service.name.to_owned(), value);
        }
        Ok(all.into())
    }

    /// The profile, as the runner is given it; without one, the attempt's temporary directory.
    pub(crate) fn profile(&self, given: &Ingredients<'_>, paths: &WorkerPaths) -> Result<Value, RevealError> {
        let Some(profile) = &given.profile else {
            return Ok(
                json!({"name": null, "directory": paths.temporary_profile, "environment": {}, "secrets": {}}),
            );
        };
        let mut secrets = serde_json::Map::new();
        for name in profile.secrets {
            let value = self.text(&SecretRef::ProfileSecret(name.clone()))?;
            secrets.insert(name.clone(), value.expose_secret().into());
        }
        Ok(json!({
            "name": profile.name,
            "directory": paths.profile_directory(profile.path),
            "environment": profile.environment,
            "secrets": secrets,
        }))
    }

    /// The proxy for a browser or HTTP client, null without one. `socks` is what it calls a SOCKS proxy that resolves names.
    pub(crate) fn proxy(&self, given: &Ingredients<'_>, socks: &str) -> Result<Value, RevealError> {
        let Some(proxy) = &given.proxy else { return Ok(Value::Null) };
        let scheme = match proxy.protocol {
            ProxyProtocol::Http | ProxyProtocol::Https => proxy.protocol.scheme(),
            ProxyProtocol::Socks5 => socks,
        };
        let mut value = json!({"server": format!("{scheme}://{}", proxy.address)});
        for (is_wanted, name, secret) in [
            (proxy.has_username, "username", SecretRef::ProxyUsername),
            (proxy.has_password, "password", SecretRef::ProxyPassword),
        ] {
            if is_wanted {
                value[name] = self.text(&secret)?.expose_secret().into();
            }
        }
        Ok(value)
    }
}
