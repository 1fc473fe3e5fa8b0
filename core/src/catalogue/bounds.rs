//! Bounds of the catalogue's texts, JSON values, URLs and secrets. Pure.
//!
//! Each check returns a value that is fit to store, and keeps refusals in [`Checks`]. NUL is
//! refused everywhere, because neither Postgres nor an environment can hold it.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::checks::Checks;
use crate::{
    clock::{self, Time},
    name::{DESCRIPTION_CHARS_MAX, is_variable_name},
    profile::VARIABLES_MAX,
    refusal::RefusalCode,
    service::{BadBaseUrl, BaseUrl, TokenHost},
};

/// Longest value of an environment variable, in bytes.
pub const VARIABLE_BYTES_MAX: usize = 32 * 1024;
/// Longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// Largest settings of a service, in bytes of JSON.
pub const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of settings.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most hosts that a service lists for its token.
pub const TOKEN_HOSTS_MAX: usize = 50;
/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2048;
/// Prefix of the variables that Callboard sets itself.
const RESERVED_PREFIX: &str = "CALLBOARD_";

/// Checks a description of at most [`DESCRIPTION_CHARS_MAX`] characters. An empty one becomes
/// `None`.
pub(super) fn description(checks: &mut Checks, text: String) -> Option<String> {
    if text.chars().count() > DESCRIPTION_CHARS_MAX || text.contains('\0') {
        checks.invalid(
            &["description"],
            format!("must be at most {DESCRIPTION_CHARS_MAX} characters, without NUL"),
        );
    }
    Some(text).filter(|text| !text.is_empty())
}

/// Checks an environment: an object of at most [`VARIABLES_MAX`] strings.
pub(super) fn environment(checks: &mut Checks, value: Value) -> BTreeMap<String, String> {
    const FIELD: &str = "environment";
    let Value::Object(object) = value else {
        checks.invalid(&[FIELD], "must be a JSON object with string values");
        return BTreeMap::new();
    };
    if object.len() > VARIABLES_MAX {
        let message = format!("must have at most {VARIABLES_MAX} variables, not {}", object.len());
        checks.refuse(RefusalCode::TooMany, &[FIELD], message);
        return BTreeMap::new();
    }
    let mut variables = BTreeMap::new();
    for (name, value) in object {
        let path = [FIELD, name.as_str()];
        if !is_variable_name(&name) {
            checks.invalid(
                &path,
                "a variable's name must be a letter or `_`, then letters, digits or `_`, at most 100",
            );
        } else if name.starts_with(RESERVED_PREFIX) {
            checks.invalid(&path, format!("names that begin with {RESERVED_PREFIX} are reserved"));
        }
        match value {
            Value::String(text) if text.len() > VARIABLE_BYTES_MAX => {
                checks.invalid(&path, format!("must be at most {VARIABLE_BYTES_MAX} bytes"));
            }
            Value::String(text) if text.contains('\0') => checks.invalid(&path, "must not contain NUL"),
            Value::String(text) => {
                variables.insert(name, text);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                checks.invalid(&path, "must be a string (put numbers and booleans in quotes)");
            }
        }
    }
    variables
}

/// Checks settings: a JSON object of at most [`SETTINGS_BYTES_MAX`].
pub(super) fn settings(checks: &mut Checks, value: Value) -> Value {
    const FIELD: &str = "settings";
    if !value.is_object() {
        checks.invalid(&[FIELD], "must be a JSON object");
    } else if !is_storable(&value, JSON_DEPTH_MAX) {
        checks.invalid(
            &[FIELD],
            format!("must be nested at most {JSON_DEPTH_MAX} deep, without NUL in any string"),
        );
    } else if value.to_string().len() > SETTINGS_BYTES_MAX {
        checks.invalid(&[FIELD], format!("must be at most {SETTINGS_BYTES_MAX} bytes of JSON"));
    }
    value
}

/// Whether Postgres can store a JSON value, and the value is at most `depth_left` levels deep.
pub(super) fn is_storable(value: &Value, depth_left: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.contains('\0'),
        Value::Array(_) | Value::Object(_) if depth_left == 0 => false,
        Value::Array(items) => items.iter().all(|item| is_storable(item, depth_left - 1)),
        Value::Object(fields) => {
            fields.iter().all(|(name, field)| !name.contains('\0') && is_storable(field, depth_left - 1))
        }
    }
}

/// Checks a service's URL, which may be at most [`URL_BYTES_MAX`] long.
pub(super) fn base_url(checks: &mut Checks, text: &str) -> Option<BaseUrl> {
    // Nothing longer is parsed. What is parsed may be longer than its text.
    let is_short = text.len() <= URL_BYTES_MAX;
    let parsed = if is_short { BaseUrl::parse(text) } else { Err(BadBaseUrl::NotHttp) };
    let message = match parsed {
        Ok(url) if url.len() <= URL_BYTES_MAX => return Some(url),
        Err(BadBaseUrl::HasCredentials) => {
            "must not contain a user name or password (store them as the service's token)".to_owned()
        }
        Ok(_) | Err(BadBaseUrl::NotHttp) => format!(
            "must be an absolute http or https URL of at most {URL_BYTES_MAX} bytes, such as \
             https://api.example"
        ),
    };
    checks.invalid(&["baseUrl"], message);
    None
}

/// What a text that is no host has too much, for a message.
fn wrong_in_host(text: &str) -> &'static str {
    if text.contains("://") {
        " (without http://)"
    } else if text.contains('*') {
        " (without wildcards: list each host)"
    } else if text.contains(['/', '\\', '?', '#']) {
        " (without a path)"
    } else if text.contains('@') {
        " (without a user name)"
    } else {
        ""
    }
}

/// Checks the hosts of a service's token. A host that is given twice is kept once.
pub(super) fn token_hosts(checks: &mut Checks, given: &[String]) -> Vec<TokenHost> {
    const FIELD: &str = "tokenHosts";
    if given.len() > TOKEN_HOSTS_MAX {
        let message = format!("must have at most {TOKEN_HOSTS_MAX} hosts, not {}", given.len());
        checks.refuse(RefusalCode::TooMany, &[FIELD], message);
        return Vec::new();
    }
    let mut hosts = Vec::new();
    for (index, text) in given.iter().enumerate() {
        match TokenHost::parse(text) {
            Some(host) if hosts.contains(&host) => {}
            Some(host) => hosts.push(host),
            None => checks.invalid(
                &[FIELD, &index.to_string()],
                format!(
                    "must be a host, such as api.example.com, or a host and a port, such as \
                     api.example.com:8443{}",
                    wrong_in_host(text)
                ),
            ),
        }
    }
    hosts
}

/// Checks a secret's value: 1 to [`SECRET_BYTES_MAX`] bytes.
pub(super) fn secret(checks: &mut Checks, path: &[&str], value: &SecretString) {
    let value = value.expose_secret();
    if value.is_empty() || value.len() > SECRET_BYTES_MAX {
        checks.invalid(path, format!("must be 1 to {SECRET_BYTES_MAX} bytes"));
    } else if value.contains('\0') {
        checks.invalid(path, "must not contain NUL");
    }
}

/// Checks that an expiry is in the future.
pub(super) fn expires_at(checks: &mut Checks, path: &[&str], expires_at: Option<Time>) {
    if expires_at.is_some_and(|at| at <= clock::now()) {
        checks.invalid(path, "must be in the future (omit it for no expiry)");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn settings_are_bounded_objects_without_nul() {
        let is_fine = |value| {
            let mut checks = Checks::default();
            settings(&mut checks, value);
            checks.passed().is_ok()
        };
        let padding = |bytes| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
        for fine in
            [json!({}), json!({ "a": [1, null, "é"] }), nested(JSON_DEPTH_MAX), padding(SETTINGS_BYTES_MAX)]
        {
            assert!(is_fine(fine.clone()), "{fine}");
        }
        let bad = [
            json!(null),
            json!([]),
            json!("{}"),
            json!({ "a": ["\0"] }),
            json!({ "\0": 1 }),
            nested(JSON_DEPTH_MAX + 1),
            padding(SETTINGS_BYTES_MAX + 1),
        ];
        for bad in bad {
            assert!(!is_fine(bad.clone()), "{bad}");
        }
    }

    #[test]
    fn a_base_url_is_absolute_and_has_no_credentials() {
        let parsed = |text: &str| base_url(&mut Checks::default(), text);
        for fine in ["https://api.example", "http://localhost:8080/v1", "https://api.example/v1?key=1"] {
            assert!(parsed(fine).is_some(), "{fine}");
        }
        let long = format!("https://api.example/{}", "a".repeat(URL_BYTES_MAX));
        for bad in [
            "",
            "api.example",
            "/v1",
            "ftp://a.example",
            "https://",
            "https://u@a.example",
            "https://:p@a.example",
            &long,
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
