//! Template filters that Callboard adds or replaces, and messages for missing variables.
//!
//! Some of MiniJinja's filters would leave a secret's mark unchanged while they appear to have
//! changed the secret. Their replacements refuse secrets.

use minijinja::{
    Environment, Error, ErrorKind,
    value::{Value, ValueKind},
};

use super::{Ingredients, scope::Opaque, text::push_url};

/// Longest result of `replace`, in bytes.
const REPLACED_BYTES_MAX: usize = 1024 * 1024;

/// Adds the filters to the engine.
pub(super) fn add(engine: &mut Environment<'static>) {
    engine.add_filter("tojson", to_json);
    engine.add_filter("urlencode", url_encode);
    engine.add_filter("trim", trim);
    engine.add_filter("replace", replace);
}

/// The value as JSON, for use in a body.
fn to_json(value: &Value) -> Result<String, Error> {
    if holds_secret(value) {
        return Err(as_it_is());
    }
    defined(value)?;
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// The text with everything but letters, digits and `-_.~` percent-encoded.
fn url_encode(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    push_url(&mut out, &text_of(value)?);
    Ok(out)
}

fn trim(value: &Value) -> Result<String, Error> {
    text_of(value).map(|text| text.trim().to_owned())
}

/// MiniJinja charges fuel for a filter's result only after it is made. This one could make a
/// million times its input.
fn replace(value: &Value, from: &Value, to: &Value) -> Result<String, Error> {
    let (text, from, to) = (text_of(value)?, text_of(from)?, text_of(to)?);
    let grown = text.matches(&from).count().saturating_mul(to.len()).saturating_add(text.len());
    if grown > REPLACED_BYTES_MAX {
        return Err(Error::from(ErrorKind::OutOfFuel));
    }
    Ok(text.replace(&from, &to))
}

/// The text of a string, number or boolean.
fn text_of(value: &Value) -> Result<String, Error> {
    if holds_secret(value) {
        return Err(as_it_is());
    }
    defined(value)?;
    let kind = value.kind();
    if matches!(kind, ValueKind::String | ValueKind::Number) {
        Ok(value.to_string())
    } else if kind == ValueKind::Bool {
        Ok(if value.is_true() { "true" } else { "false" }.to_owned())
    } else {
        Err(Error::new(ErrorKind::InvalidOperation, format!("takes a string, number or boolean, not {kind}")))
    }
}

/// Fails if the value is undefined. MiniJinja's own conversion reports which variable it was, which
/// an error built with its public API cannot.
fn defined(value: &Value) -> Result<(), Error> {
    if value.is_undefined() { i64::try_from(value.clone()).map(drop) } else { Ok(()) }
}

fn as_it_is() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a secret can only be used unchanged")
}

fn holds_secret(value: &Value) -> bool {
    if value.downcast_object_ref::<Opaque>().is_some() {
        return true;
    }
    let is_map = value.kind() == ValueKind::Map;
    if !is_map && value.kind() != ValueKind::Seq {
        return false;
    }
    let is_secret = |part: Value| match value.get_item(&part) {
        Ok(item) if is_map => holds_secret(&item),
        Ok(_) | Err(_) => holds_secret(&part),
    };
    value.try_iter().is_ok_and(|mut parts| parts.any(is_secret))
}

/// For an error about something undefined, says what the job does not have. `None` for other
/// errors.
pub(super) fn missing(error: &Error, source: &str, given: &Ingredients<'_>) -> Option<String> {
    let named = error.detail().and_then(|detail| {
        let (_, rest) = detail.split_once('`')?;
        rest.split_once('`').map(|(name, after)| (name, after.trim_start().starts_with("is undefined")))
    });
    let spanned = || error.range().and_then(|range| source.get(range)).unwrap_or("a variable");
    let name = match named {
        Some((name, true)) => name,
        _ if error.kind() == ErrorKind::UndefinedError => spanned(),
        _ => {
            let is_null = error.detail().is_some_and(|detail| detail.starts_with("is "));
            return is_null.then(|| format!("`{}` {}", spanned(), error.detail().unwrap_or_default()));
        }
    };
    Some(missing_part(name, given).map_or_else(
        || format!("`{name}` is undefined"),
        |why| format!("this command uses `{name}`, but {why}"),
    ))
}

fn missing_part(name: &str, given: &Ingredients<'_>) -> Option<String> {
    let parts: Vec<&str> = name.split(['.', '[', ']', '"', '\'']).filter(|part| !part.is_empty()).collect();
    let has_service = |name: &str| given.services.iter().any(|service| service.name == name);
    match parts.as_slice() {
        ["profile", ..] | ["chrome_profile"] if given.profile.is_none() => {
            Some("the job has no profile".to_owned())
        }
        ["profile", "secrets", secret, ..] => Some(format!("the profile has no secret {secret}")),
        ["profile", "environment", variable, ..] => Some(format!("the profile has no variable {variable}")),
        ["proxy", ..] | ["proxy_address"] if given.proxy.is_none() => Some("the job has no proxy".to_owned()),
        ["proxy", part @ ("username" | "password")] => Some(format!("the proxy has no {part}")),
        ["service_token" | "service_name"] => Some("the job has no service with a token".to_owned()),
        ["services", service, ..] if !has_service(service) => {
            Some(format!("the job has no service {service}"))
        }
        ["services", service, "token"] => Some(format!("the service {service} has no token")),
        ["services", service, "base_url"] => Some(format!("the service {service} has no base URL")),
        ["input", rest @ ..] if !rest.is_empty() => Some(format!("the input has no {}", rest.join("."))),
        ["profile" | "proxy" | "services" | "input" | "job", ..] => None,
        [root, ..] if !root.contains(char::is_whitespace) => {
            Some(format!("there is no {root}. A command can use profile, proxy, services, input and job"))
        }
        _ => None,
    }
}
