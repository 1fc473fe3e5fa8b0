//! The environment variables that every command gets, so that most scripts and programs need no
//! templates.
//!
//! | variable | value | when |
//! |---|---|---|
//! | the profile's own environment | as stored | the job has a profile |
//! | `CHROME_PROFILE` | the profile's directory (1) | the job has a profile |
//! | `PROXY_URL` | `scheme://user:password@host:port` | the job has a proxy |
//! | `PROXY_ADDRESS` | `host:port` | the job has a proxy |
//! | `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` (2) | the same as `PROXY_URL` | the job has a proxy |
//! | `NO_PROXY`, `no_proxy` | empty: nothing bypasses the proxy | the job has a proxy |
//! | `SERVICE_TOKEN` | the token of the first service that has one | the command names it (4) |
//! | `SERVICE_<NAME>_TOKEN` (3) | that service's token | the command names it (4) |
//! | `SERVICE_<NAME>_URL` (3) | that service's base URL | it has one |
//! | the spec's own environment | as rendered | PROGRAM |
//! | `CALLBOARD_JOB` | the job's id | always |
//! | `CALLBOARD_ATTEMPT` | the attempt's number, from 1 | always |
//! | `CALLBOARD_ARTIFACTS` | the directory whose files become artifacts | always |
//!
//! 1. Absolute for the command, relative to the profile root where it is shown.
//! 2. Also in lower case. Programs that honour them fail closed.
//! 3. The name in upper case, with other characters as `_`.
//! 4. See [`crate::command::CommandKind::names_token`].
//!
//! Later rows override earlier ones. Secret values are never held here. The worker adds what a
//! process needs from the machine (`PATH`, `HOME`, `TMPDIR`), and `CALLBOARD_GRACE_MS`: the time
//! from SIGTERM to SIGKILL.

use std::collections::BTreeMap;

use super::{
    Ingredients, ProxyFacts,
    text::{Encoding, Piece, SecretRef, Text, variable_part},
};
use crate::refusal::{Refusal, RefusalCode};

const PROXY_VARIABLES: [&str; 7] =
    ["PROXY_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// The job's id in a preview.
pub(super) const NO_JOB: &str = "{job.id}";

/// Variables by name.
pub(crate) type Environment = BTreeMap<String, Text>;

/// Builds the table above. `own` is the spec's own environment. `is_named` returns whether the
/// command names the token of a service, which is or is not the first that has one. Refuses two
/// services whose variables would have the same name.
pub(crate) fn environment(
    given: &Ingredients<'_>,
    own: &[(&str, Text)],
    is_named: &dyn Fn(&str, bool) -> bool,
) -> Result<Environment, Refusal> {
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
    for (service, is_first) in given.with_token() {
        if !is_named(service.name, is_first) {
            continue;
        }
        let token = SecretRef::ServiceToken(service.name.to_owned());
        if is_first {
            all.insert("SERVICE_TOKEN".to_owned(), Text::secret(token.clone()));
        }
        all.insert(token.variable_name(), Text::secret(token));
    }
    let mut names = BTreeMap::new();
    for service in given.services {
        if let Some(url) = service.base_url {
            all.insert(format!("SERVICE_{}_URL", variable_part(service.name)), Text::plain(url));
        }
        if let Some(other) = names.insert(variable_part(service.name), service.name) {
            let message = format!(
                "services {other} and {} would set the same environment variables. Rename one of them",
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

/// The profile's directory. The worker makes it absolute.
pub(super) fn profile_directory(path: &str) -> Text {
    Text::from_pieces(vec![Piece::ProfileDirectory(path.to_owned())])
}

/// The proxy's URL with its credentials as secrets.
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
