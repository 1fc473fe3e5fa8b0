//! Where the secrets of an HTTP command may go, so that who enqueues a job cannot send them
//! elsewhere.
//!
//! A service's token goes to the hosts of its service. A secret of the profile and the proxy's
//! credentials have no host of their own, so they go where the command says: to a URL whose host
//! does not come from the job's input, or where the token of one of the job's services may go.
//! Secrets of the input are the caller's own.

use url::Url;

use crate::{
    compose::{Ingredients, Piece, SecretRef, ServiceFacts, Text},
    service::may_have_token,
};

/// The message for a header that must not be sent to `url`, if there is one. `template` is the URL
/// as the command has it.
pub(super) fn fault(
    template: &str,
    url: &Url,
    headers: &[(&str, Text)],
    given: &Ingredients<'_>,
) -> Option<String> {
    let host = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value);
    // A server that has many names takes the one of the `Host` header.
    let named = host.map(|value| named_by(url, value));
    let targets: Vec<Option<&Url>> =
        std::iter::once(Some(url)).chain(named.as_ref().map(Option::as_ref)).collect();
    let is_fixed = host.is_none() && fixes_host(template);
    headers.iter().flat_map(|(_, value)| value.secrets()).find_map(|secret| match secret {
        SecretRef::ServiceToken(name) => {
            let service = given.services.iter().find(|service| service.name == name)?;
            let other = targets.iter().find(|target| !target.is_some_and(|url| is_of(service, url)))?;
            Some(not_of_service(service, other.unwrap_or(url)))
        }
        SecretRef::ProfileSecret(_) | SecretRef::ProxyUsername | SecretRef::ProxyPassword => {
            // Anybody who enqueues may add a service that has no token.
            let is_known = |target: Option<&Url>| {
                let mut with_token = given.services.iter().filter(|service| service.has_token);
                target.is_some_and(|url| with_token.any(|service| is_of(service, url)))
            };
            let other = targets.iter().find(|target| !is_fixed && !is_known(**target))?;
            Some(not_of_command(secret, other.unwrap_or(url)))
        }
        SecretRef::Input(_) => None,
    })
}

fn is_of(service: &ServiceFacts<'_>, url: &Url) -> bool {
    may_have_token(service.base_url, service.token_hosts, url)
}

/// The URL with the host of a `Host` header. `None` if that is not known or not a host.
fn named_by(url: &Url, host: &Text) -> Option<Url> {
    let [Piece::Plain(host)] = host.pieces() else { return None };
    let host = host.trim();
    let is_foreign = |c: char| c.is_whitespace() || "/\\?#@".contains(c);
    Url::parse(&format!("{}://{host}/", url.scheme())).ok().filter(|_| !host.contains(is_foreign))
}

/// Whether every job of the command calls the same host, or one that an admin chose: the template
/// has its host in plain text, or does not mention the input.
fn fixes_host(template: &str) -> bool {
    if !template.contains("input") {
        return true;
    }
    let rest = ["https://", "http://"].iter().find_map(|scheme| template.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        end < rest.len() && !rest[..end].contains('{')
    })
}

fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn not_of_service(service: &ServiceFacts<'_>, url: &Url) -> String {
    let name = service.name;
    let place = place(url);
    if service.base_url.is_none() && service.token_hosts.is_empty() {
        return format!(
            "the token of service {name} must not be sent to {place}, because the service has neither a \
             baseUrl nor tokenHosts, which say where its token may go. Set one of them"
        );
    }
    let mut encrypted = url.clone();
    if encrypted.set_scheme("https").is_ok() && is_of(service, &encrypted) {
        return format!(
            "the token of service {name} must not be sent to {place} without TLS. Call it by https, or give \
             the service an http baseUrl"
        );
    }
    let mut known: Vec<String> =
        service.base_url.and_then(|base| Url::parse(base).ok()).iter().map(self::place).collect();
    known.extend(service.token_hosts.iter().map(ToString::to_string));
    format!(
        "the token of service {name} must not be sent to {place}. It may go to {}. Correct the URL, or add \
         the host to the tokenHosts of the service",
        known.join(", ")
    )
}

fn not_of_command(secret: &SecretRef, url: &Url) -> String {
    format!(
        "the secret {secret} must not be sent to {}, because the job's input chose that host. Write the host \
         into the command's url, or give the job a service with a token whose baseUrl or tokenHosts has it",
        place(url)
    )
}
