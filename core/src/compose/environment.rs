//! The environment variables that every command gets, so that scripts and programs need no templates for the usual.
//!
//! | variable | value | when |
//! |---|---|---|
//! | the profile's own environment | as written | the job has a profile |
//! | `CHROME_PROFILE` | the profile's directory (absolute for the command, below the profile root in what is shown) | the job has a profile |
//! | `PROXY_URL` | `scheme://user:password@host:port` | the job has a proxy |
//! | `PROXY_ADDRESS` | `host:port` | the job has a proxy |
//! | `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, also in lower case | like `PROXY_URL`: what honours them fails closed | the job has a proxy |
//! | `NO_PROXY`, `no_proxy` | empty: nothing goes around the proxy | the job has a proxy |
//! | `SERVICE_TOKEN` | the token of the first service that has one | one has |
//! | `SERVICE_<NAME>_TOKEN` | that service's token; the name in capitals, other characters as `_` | it has one |
//! | `SERVICE_<NAME>_URL` | that service's base URL | it has one |
//! | the spec's own environment | as rendered | PROGRAM |
//! | `CALLBOARD_JOB` | the job's id | always |
//! | `CALLBOARD_ATTEMPT` | number of the attempt, from 1 | always |
//! | `CALLBOARD_ARTIFACTS` | directory whose files become the job's artifacts | always |
//!
//! Later rows win over earlier ones. Called by `compose`; holds no values of secrets. What a process needs from the machine
//! (`PATH`, `HOME`, `TMPDIR`) is the worker's to add.

use std::collections::BTreeMap;

use super::{
    Ingredients, ProxyFacts, ServiceFacts,
    text::{Encoding, Piece, SecretRef, Text, variable_part},
};
use crate::refusal::{Refusal, RefusalCode};

const PROXY_VARIABLES: [&str; 7] =
    ["PROXY_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// What stands for the job's id in a preview.
pub(super) const NO_JOB: &str = "{job.id}";

/// Variables in the order of their names.
pub(crate) type Environment = BTreeMap<String, Text>;

/// The table above. `own` is the spec's own environment. Refuses two services whose variables would have one name.
pub(crate) fn environment(given: &Ingredients<'_>, own: &[(&str, Text)]) -> Result<Environment, Refusal> {
    let mut all = Environment::new();
    if let Some(profile) = &given.profile {
        all.extend(
            profile.environment.iter().map(|(name, value)| (name.clone(), Text::plain(value.as_str()))),
        );
        all.insert("CHROME_PROFILE".to_owned(), profile_directory(profile.path));
    }
    if let Some(proxy) = &given.proxy {
        let url = proxy_url(proxy);
        all.extend(PROXY_VARIABLES.iter().map(|name| ((*name).to_owned(), url.clone())));
        all.insert("PROXY_ADDRESS".to_owned(), Text::plain(proxy.address));
        all.extend(["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), Text::plain(""))));
    }
    if let Some(service) = given.first_token() {
        all.insert(
            "SERVICE_TOKEN".to_owned(),
            Text::secret(SecretRef::ServiceToken(service.name.to_owned())),
        );
    }
    let mut names = BTreeMap::new();
    for service in given.services {
        add_service(&mut all, service);
        if let Some(other) = names.insert(variable_part(service.name), service.name) {
            let message = format!(
                "services {other} and {} would have the same environment variables: rename one",
                service.name
            );
            return Err(Refusal::new(RefusalCode::NotComposable, "serviceIds", message));
        }
    }
    all.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let job = given.job.map_or_else(|| NO_JOB.to_owned(), |job| job.id.to_string());
    all.insert("CALLBOARD_JOB".to_owned(), Text::plain(job));
    let attempt = given.job.map_or(1, |job| job.attempt);
    all.insert("CALLBOARD_ATTEMPT".to_owned(), Text::plain(attempt.to_string()));
    all.insert("CALLBOARD_ARTIFACTS".to_owned(), Text::from_pieces(vec![Piece::ArtifactsDirectory]));
    Ok(all)
}

fn add_service(all: &mut Environment, service: &ServiceFacts<'_>) {
    let token = SecretRef::ServiceToken(service.name.to_owned());
    if service.has_token {
        all.insert(token.variable_name(), Text::secret(token));
    }
    if let Some(url) = service.base_url {
        all.insert(format!("SERVICE_{}_URL", variable_part(service.name)), Text::plain(url));
    }
}

/// The profile's directory, filled in by the worker.
pub(super) fn profile_directory(path: &str) -> Text {
    Text::from_pieces(vec![Piece::ProfileDirectory(path.to_owned())])
}

/// The proxy's URL with its credentials, which are secrets.
pub(super) fn proxy_url(proxy: &ProxyFacts<'_>) -> Text {
    let mut pieces = vec![Piece::Plain(format!("{}://", proxy.protocol.scheme()))];
    if proxy.has_username {
        pieces.push(Piece::Secret(SecretRef::ProxyUsername, Encoding::Url));
    }
    if proxy.has_password {
        pieces.push(Piece::Plain(":".to_owned()));
        pieces.push(Piece::Secret(SecretRef::ProxyPassword, Encoding::Url));
    }
    let at = if pieces.len() > 1 { "@" } else { "" };
    pieces.push(Piece::Plain(format!("{at}{}", proxy.address)));
    Text::from_pieces(pieces)
}
