//! The secret parts of a job's input: where the schema marks them, and their values.
//!
//! `input` finds and splits them off at enqueue. The store seals [`SecretInputs::to_text`] with the
//! job, and the worker opens it into a [`super::SecretValues`]. Values are never shown.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{
    applicable::{of_item, of_property, same_level},
    input::escaped,
};
use crate::secret::MASK;

/// An input that matches its schema.
#[derive(Debug)]
pub struct Input {
    /// The part that may be stored and shown, with secrets as `***`.
    pub public: Value,
    /// The secrets, to be sealed.
    pub secrets: SecretInputs,
}

/// The values of an input's secrets by their JSON pointers (`/login/password`).
#[derive(Clone, Default, PartialEq)]
pub struct SecretInputs(BTreeMap<String, Value>);

/// A text that [`SecretInputs::to_text`] did not write. Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored secrets of an input are malformed")]
pub struct BadSecretInputs;

impl SecretInputs {
    /// Whether the input has no secrets.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their JSON pointers in the input.
    pub fn pointers(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// One text to seal and store. [`from_text`](Self::from_text) reads it back.
    pub fn to_text(&self) -> SecretString {
        serde_json::json!(self.0).to_string().into()
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    pub fn from_text(text: &SecretString) -> Result<Self, BadSecretInputs> {
        serde_json::from_str(text.expose_secret()).map(Self).map_err(|_| BadSecretInputs)
    }

    /// Puts each value back where the input has `***`, and returns those that were. Places that are
    /// missing or hold something else stay unchanged.
    #[must_use = "the secrets that are kept must stay secret"]
    pub fn put_back(&self, input: &mut Value) -> Self {
        let mut kept = BTreeMap::new();
        for (pointer, value) in &self.0 {
            if let Some(place) = input.pointer_mut(pointer).filter(|place| *place == MASK) {
                place.clone_from(value);
                kept.insert(pointer.clone(), value.clone());
            }
        }
        Self(kept)
    }

    /// The pointers of these secrets that `others` do not keep secret, neither as a whole nor as
    /// part of a larger value.
    pub fn missing_from(&self, others: &Self) -> Vec<&str> {
        let is_kept = |pointer: &&String| {
            let is_part_of = |whole: &String| {
                pointer
                    .strip_prefix(whole.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            others.0.keys().any(is_part_of)
        };
        self.0.keys().filter(|pointer| !is_kept(pointer)).map(String::as_str).collect()
    }

    /// One value by its pointer, as JSON.
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.0.get(pointer)
    }

    /// Each value as a template renders it: a string unquoted, anything else as JSON.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, SecretString)> {
        self.0.iter().map(|(pointer, value)| (pointer.as_str(), text_of(value).into()))
    }

    /// Every string and number in the values, for redaction.
    pub(super) fn leaves(&self) -> Vec<SecretString> {
        let mut leaves = Vec::new();
        self.0.values().for_each(|value| add_leaves(value, &mut leaves));
        leaves
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn add_leaves(value: &Value, leaves: &mut Vec<SecretString>) {
    match value {
        Value::String(_) | Value::Number(_) => leaves.push(text_of(value).into()),
        Value::Array(items) => items.iter().for_each(|item| add_leaves(item, leaves)),
        Value::Object(map) => map.values().for_each(|item| add_leaves(item, leaves)),
        Value::Null | Value::Bool(_) => {}
    }
}

impl fmt::Debug for SecretInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Moves the values at `pointers` out of the input.
pub(crate) fn split(mut public: Value, pointers: BTreeSet<String>) -> Input {
    let mut secrets = BTreeMap::new();
    for pointer in pointers {
        if let Some(place) = public.pointer_mut(&pointer) {
            secrets.insert(pointer, std::mem::replace(place, MASK.into()));
        }
    }
    Input { public, secrets: SecretInputs(secrets) }
}

/// JSON pointers of the outermost values that the schema marks `writeOnly`. A mark in any branch of
/// `allOf`, `anyOf`, `oneOf`, `if`, `then` or `else` counts, whether the branch matches or not.
pub(crate) fn find_secrets(schema: &Value, input: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(schema, &[schema], input, &mut String::new(), &mut found);
    found
}

fn collect(
    root: &Value,
    schemas: &[&Value],
    value: &Value,
    pointer: &mut String,
    found: &mut BTreeSet<String>,
) {
    let schemas = spread(root, schemas);
    if !pointer.is_empty() && schemas.iter().any(|schema| is_secret(schema)) {
        found.insert(pointer.clone());
        return;
    }
    let length = pointer.len();
    let mut inner = |part: &str, schemas: &[&Value], value: &Value| {
        if schemas.is_empty() {
            return;
        }
        pointer.push('/');
        pointer.push_str(&escaped(part));
        collect(root, schemas, value, pointer, found);
        pointer.truncate(length);
    };
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let of: Vec<&Value> = schemas.iter().flat_map(|schema| of_property(schema, name)).collect();
                inner(name, &of, value);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let of: Vec<&Value> = schemas.iter().flat_map(|schema| of_item(schema, index)).collect();
                inner(&index.to_string(), &of, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a schema marks its values as secret.
pub(super) fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

/// The schemas and all subschemas that apply to the same value, each once.
pub(super) fn spread<'a>(root: &'a Value, schemas: &[&'a Value]) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<&Value> = schemas.to_vec();
    while let Some(schema) = open.pop() {
        if seen.insert(std::ptr::from_ref(schema)) {
            all.push(schema);
            open.extend(same_level(root, schema));
        }
    }
    all
}
