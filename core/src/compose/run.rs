//! What the worker runs, and the secret values that it fills in.
//!
//! The worker decrypts the secrets that [`crate::command::Composition::secrets`] names into a
//! [`SecretValues`] and reveals the composition with it. Never store, log or send a revealed value
//! anywhere but to the command itself.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{Ingredients, SecretInputs, SecretRef, WorkerPaths};
use crate::{proxy::ProxyProtocol, secret::REDACTED_CHARS_MIN};

/// What to run.
#[derive(Debug)]
pub enum Run {
    /// Nothing. The attempt succeeds at once.
    Noop,
    /// A process.
    Process(ProcessPlan),
}

/// A process to start.
#[derive(Debug)]
pub struct ProcessPlan {
    /// What to execute.
    pub program: Program,
    /// The arguments after the program's own name. They never contain a secret.
    pub arguments: Vec<String>,
    /// The command's variables. The worker adds what the machine needs (`PATH`, `HOME`, `TMPDIR`).
    pub environment: Vec<(String, SecretString)>,
    /// Written to standard input first. `None` closes it at once.
    pub stdin: Option<SecretString>,
    /// How to read its standard output.
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

/// How to read a process's standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputProtocol {
    /// As lines of log.
    Lines,
    /// As one JSON event per line.
    Events,
}

/// Why a composition could not be filled in. Never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevealError {
    /// A secret was deleted after the job was composed.
    #[error("the secret {secret} no longer exists")]
    Missing {
        /// The missing secret.
        secret: SecretRef,
    },
    /// A secret has a line break or another control character where none is allowed.
    #[error(
        "the value of a secret has a line break or another control character, which {place} must not contain"
    )]
    NotOneLine {
        /// Where the secret is used.
        place: String,
    },
    /// A secret has a NUL character.
    #[error("the value of a secret has a NUL character, which {place} must not contain")]
    NotText {
        /// Where the secret is used.
        place: String,
    },
    /// The stored input has no field for one of its secrets.
    #[error("the job's input has no field {pointer} for its secret")]
    NoPlace {
        /// The JSON pointer of the field.
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
    /// Starts with the secrets of the job's input. [`insert`](Self::insert) adds the others.
    pub fn new(inputs: SecretInputs) -> Self {
        let texts =
            inputs.texts().map(|(pointer, text)| (SecretRef::Input(pointer.to_owned()), text)).collect();
        Self { texts, inputs }
    }

    /// Adds one secret. Secrets of the input come from [`new`](Self::new).
    pub fn insert(&mut self, secret: SecretRef, value: SecretString) {
        self.texts.insert(secret, value);
    }

    /// The values to remove from the attempt's output.
    pub fn to_redact(&self) -> Vec<SecretString> {
        self.texts.values().cloned().chain(self.inputs.leaves()).collect()
    }

    pub(crate) fn text(&self, secret: &SecretRef) -> Result<&SecretString, RevealError> {
        self.texts.get(secret).ok_or_else(|| RevealError::Missing { secret: secret.clone() })
    }

    /// Every value that is long enough to mask, for child processes that mask their own output.
    pub(crate) fn texts_to_mask(&self) -> Vec<String> {
        let leaves = self.inputs.leaves();
        let all = self.texts.values().chain(&leaves).map(|text| text.expose_secret().to_owned());
        let mut texts: Vec<String> = all.filter(|text| text.chars().count() >= REDACTED_CHARS_MIN).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// The input with its secrets filled in.
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

    /// The services by name, in the form that the runner gets. `is_named` returns whether the
    /// script gets the token of a service, which is or is not the first one that has a token.
    pub(crate) fn services(
        &self,
        given: &Ingredients<'_>,
        is_named: &dyn Fn(&str, bool) -> bool,
    ) -> Result<Value, RevealError> {
        let mut all = serde_json::Map::new();
        let first = given.first_token().map(|service| service.id);
        for service in given.services {
            let token = SecretRef::ServiceToken(service.name.to_owned());
            let is_given = service.has_token && is_named(service.name, Some(service.id) == first);
            let token = if is_given { Some(self.text(&token)?.expose_secret()) } else { None };
            let mut value =
                json!({"baseUrl": service.base_url, "token": token, "settings": service.settings});
            if service.has_token && !is_given {
                value["isTokenWithheld"] = true.into();
            }
            all.insert(service.name.to_owned(), value);
        }
        Ok(all.into())
    }

    /// The profile in the form that the runner gets. Without a profile it names the attempt's
    /// temporary directory.
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

    /// The proxy for a browser or HTTP client, or null without one. `socks` is the client's scheme
    /// for a SOCKS proxy that resolves names.
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
