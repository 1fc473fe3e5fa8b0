//! Template filters that Callboard adds or replaces, and messages for missing variables.
//!
//! Some of MiniJinja's filters would leave a secret's mark unchanged while they appear to have
//! changed the secret, and its tests would compare the mark. Their replacements refuse secrets.

use minijinja::{
    Environment, Error, ErrorKind, State, tests,
    value::{Kwargs, Rest, Value, ValueKind},
};

use super::{
    Ingredients,
    comparisons::{Guarded, PUBLIC, PUBLIC_ITEMS},
    scope::{Misused, Opaque, holds_mark},
    template::Fault,
};
use crate::percent::encoded;

/// Longest result of `replace`, in bytes.
const REPLACED_BYTES_MAX: usize = 1024 * 1024;

/// Adds the filters to the engine.
pub(super) fn add(engine: &mut Environment<'static>) {
    engine.add_filter("tojson", to_json);
    engine.add_filter("urlencode", url_encode);
    engine.add_filter("trim", trim);
    engine.add_filter("replace", replace);
    engine.add_filter("default", default);
    engine.add_filter("d", default);
    engine.add_filter("pprint", pretty);
    engine.add_filter(PUBLIC, public);
    engine.add_filter(PUBLIC_ITEMS, public_items);
    add_ordering(engine);
    add_tests(engine);
}

/// Filters that compare the items of a list.
fn add_ordering(engine: &mut Environment<'static>) {
    engine.add_filter("sort", |state: &State<'_, '_>, list: &Value, options: Kwargs| {
        minijinja::filters::sort(state, unopened_items(list)?, options)
    });
    engine.add_filter("min", |state: &State<'_, '_>, list: &Value, options: Kwargs| {
        minijinja::filters::min(state, unopened_items(list)?, options)
    });
    engine.add_filter("max", |state: &State<'_, '_>, list: &Value, options: Kwargs| {
        minijinja::filters::max(state, unopened_items(list)?, options)
    });
    engine.add_filter("unique", |state: &State<'_, '_>, list: &Value, options: Kwargs| {
        minijinja::filters::unique(state, unopened_items(list)?, options)
    });
}

/// A test of two values.
type Pair = fn(&Value, &Value) -> bool;
/// A test of one value.
type One = fn(&Value) -> bool;

/// Tests that look at a value. `defined` and `undefined` do not.
fn add_tests(engine: &mut Environment<'static>) {
    let pairs: [(&[&'static str], Pair); 7] = [
        (&["eq", "equalto", "=="], |one, other| one == other),
        (&["ne", "!="], |one, other| one != other),
        (&["lt", "lessthan", "<"], |one, other| one < other),
        (&["le", "<="], |one, other| one <= other),
        (&["gt", "greaterthan", ">"], |one, other| one > other),
        (&["ge", ">="], |one, other| one >= other),
        (&["sameas"], tests::is_sameas),
    ];
    for (names, test) in pairs {
        for name in names {
            engine.add_test(*name, move |one: &Value, other: &Value| -> Result<bool, Error> {
                Ok(test(&public(one)?, &public(other)?))
            });
        }
    }
    engine.add_test("in", |state: &State<'_, '_>, one: &Value, all: &Value| -> Result<bool, Error> {
        tests::is_in(state, &public(one)?, &public_items(all)?)
    });
    let ones: [(&str, One); 12] = [
        ("true", tests::is_true),
        ("false", tests::is_false),
        ("boolean", tests::is_boolean),
        ("number", tests::is_number),
        ("integer", tests::is_integer),
        ("int", tests::is_integer),
        ("float", tests::is_float),
        ("string", tests::is_string),
        ("sequence", tests::is_sequence),
        ("mapping", tests::is_mapping),
        ("lower", tests::is_lower),
        ("upper", tests::is_upper),
    ];
    for (name, test) in ones {
        engine.add_test(name, move |value: &Value| -> Result<bool, Error> { Ok(test(&unopened(value)?)) });
    }
    engine.add_test("none", |value: &Value| -> Result<bool, Error> {
        // Stored secrets are never null, so that nothing is learned of them.
        match value.downcast_object_ref::<Opaque>() {
            Some(secret) if secret.may_be_empty() => Err(tested(secret.name().to_owned())),
            Some(_) | None => Ok(tests::is_none(value)),
        }
    });
}

/// Refuses a value that holds a secret, because it would be compared.
pub(super) fn public(value: &Value) -> Result<Value, Error> {
    match secret_in(value) {
        Some(name) => Err(tested(name)),
        // Text that a secret was joined to (`'Bearer ' ~ service_token`).
        None if value.as_str().is_some_and(holds_mark) => Err(tested("a secret".to_owned())),
        None => Ok(value.clone()),
    }
}

/// The same for a value whose items would be compared: of a map only its names are.
fn public_items(value: &Value) -> Result<Value, Error> {
    let is_map = value.kind() == ValueKind::Map;
    if is_map { Ok(value.clone()) } else { public(value) }
}

/// Refuses a secret, but not a list or an object that holds one.
fn unopened(value: &Value) -> Result<Value, Error> {
    match value.downcast_object_ref::<Opaque>() {
        Some(secret) => Err(tested(secret.name().to_owned())),
        None => Ok(value.clone()),
    }
}

/// Refuses a list with a secret among its items.
fn unopened_items(list: &Value) -> Result<Value, Error> {
    if list.kind() == ValueKind::Seq
        && let Ok(items) = list.try_iter()
    {
        for item in items {
            unopened(&item)?;
        }
    }
    Ok(list.clone())
}

fn tested(name: String) -> Error {
    misused(Misused::Tested(name))
}

fn misused(misused: Misused) -> Error {
    Error::new(ErrorKind::InvalidOperation, misused.to_string()).with_source(misused)
}

/// The value, or the first argument if there is none. With a second argument that is true, also if
/// the value is empty, which is not asked of a secret.
fn default(state: &State<'_, '_>, value: &Value, others: Rest<Value>) -> Result<Value, Error> {
    if value.downcast_object_ref::<Opaque>().is_some_and(|secret| !secret.may_be_empty()) {
        return Ok(value.clone());
    }
    minijinja::filters::default(state, value, others)
}

fn pretty(value: &Value) -> Result<String, Error> {
    if secret_in(value).is_some() { Err(as_it_is()) } else { Ok(minijinja::filters::pprint(value)) }
}

/// The value as JSON, for use in a body.
fn to_json(value: &Value) -> Result<String, Error> {
    if secret_in(value).is_some() {
        return Err(as_it_is());
    }
    defined(value)?;
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// The text with everything but letters, digits and `-_.~` percent-encoded.
fn url_encode(value: &Value) -> Result<String, Error> {
    Ok(encoded(&text_of(value)?).to_string())
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
    if secret_in(value).is_some() {
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
    misused(Misused::Filtered)
}

/// The name of the first secret in a value, in lists and objects too.
fn secret_in(value: &Value) -> Option<String> {
    if let Some(secret) = value.downcast_object_ref::<Opaque>() {
        return Some(secret.name().to_owned());
    }
    let is_map = value.kind() == ValueKind::Map;
    if !is_map && value.kind() != ValueKind::Seq {
        return None;
    }
    let in_part = |part: Value| match value.get_item(&part) {
        Ok(item) if is_map => secret_in(&item),
        Ok(_) | Err(_) => secret_in(&part),
    };
    value.try_iter().ok()?.find_map(in_part)
}

/// For an error about something undefined, says what the job does not have. `None` for other
/// errors.
pub(super) fn missing(error: &Error, guarded: &Guarded, given: &Ingredients<'_>) -> Option<Fault> {
    let named = error.detail().and_then(|detail| {
        let (_, rest) = detail.split_once('`')?;
        rest.split_once('`').map(|(name, after)| (name, after.trim_start().starts_with("is undefined")))
    });
    let spanned = || guarded.range(error).map_or("a variable", |range| &guarded.template[range]);
    let name = match named {
        Some((name, true)) => name,
        _ if error.kind() == ErrorKind::UndefinedError => spanned(),
        _ => {
            let is_null = error.detail().is_some_and(|detail| detail.starts_with("is "));
            let message = || format!("`{}` {}", spanned(), error.detail().unwrap_or_default());
            return is_null.then(|| Fault::of(message()));
        }
    };
    let parts: Vec<&str> = name.split(['.', '[', ']', '"', '\'']).filter(|part| !part.is_empty()).collect();
    Some(match missing_part(&parts, given) {
        None => Fault::of(format!("`{name}` is undefined")),
        Some(why) => {
            let message = format!("this command uses `{name}`, but {why}");
            Fault { message, lacks: input_of(&parts) }
        }
    })
}

/// The path of the job's input that gives a template this variable.
fn input_of(parts: &[&str]) -> Vec<String> {
    let path = match parts {
        ["profile" | "chrome_profile", ..] => &["profileId"][..],
        ["proxy" | "proxy_address", ..] => &["proxyId"],
        ["services" | "service_token" | "service_name", ..] => &["serviceIds"],
        _ => parts,
    };
    path.iter().map(ToString::to_string).collect()
}

/// What the job does not have.
fn missing_part(parts: &[&str], given: &Ingredients<'_>) -> Option<String> {
    let has_service = |name: &str| given.services.iter().any(|service| service.name == name);
    match parts {
        ["profile", ..] | ["chrome_profile"] if given.profile.is_none() => {
            Some("the job has no profile. Name one in profileId".to_owned())
        }
        ["profile", "secrets", secret, ..] => Some(format!("the profile has no secret {secret}")),
        ["profile", "environment", variable, ..] => Some(format!("the profile has no variable {variable}")),
        ["proxy", ..] | ["proxy_address"] if given.proxy.is_none() => {
            Some("the job has no proxy. Name one in proxyId".to_owned())
        }
        ["proxy", part @ ("username" | "password")] => Some(format!("the proxy has no {part}")),
        ["service_token" | "service_name"] => {
            Some("the job has no service with a token. Name one in serviceIds".to_owned())
        }
        ["services", service, ..] if !has_service(service) => {
            Some(format!("the job has no service {service}. Name it in serviceIds"))
        }
        ["services", service, "token"] => Some(format!("the service {service} has no token")),
        ["services", service, "base_url"] => Some(format!("the service {service} has no base URL")),
        ["input", rest @ ..] if !rest.is_empty() => Some(format!("the input has no {}", rest.join("."))),
        // All of it is there, or it is a variable of the template's own, such as that of a loop.
        _ => None,
    }
}
