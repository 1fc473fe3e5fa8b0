//! A job's input: its schema, its bounds, and which parts of it are secret.
//!
//! The API checks schemas when commands are saved and inputs when jobs are enqueued. It stores the
//! public part in plain text and the secret part sealed. Pure. Callers may cache compiled schemas.

use std::{collections::BTreeSet, fmt};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::{
    light, schema_rules,
    secret_inputs::{Input, find_secrets, split},
    secret_marks,
};
use crate::refusal::{Refusal, RefusalCode};

/// Largest schema, in bytes of JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of a schema, in levels.
pub const SCHEMA_DEPTH_MAX: usize = 64;
/// Largest input, in bytes of JSON.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of an input in levels, the object itself included.
pub const INPUT_DEPTH_MAX: usize = 32;
/// Most violations that are reported at once.
const REFUSALS_MAX: usize = 20;

/// A compiled schema.
pub struct InputSchema {
    schema: Value,
    /// `None` for `{}`, which accepts everything.
    validator: Option<Validator>,
    has_references: bool,
    has_secrets: bool,
}

/// Checks whether a value can be saved as a command's `inputSchema`: it compiles (see
/// [`InputSchema::compile`]), and each `writeOnly` in it keeps values of the input secret.
pub fn check_schema(schema: &Value) -> Result<(), Vec<Refusal>> {
    InputSchema::compile(schema)?;
    secret_marks::check(schema)
}

/// Compiles the schema and checks one input against it. See [`InputSchema::check`].
pub fn check_input(schema: &Value, input: &Value) -> Result<Input, Vec<Refusal>> {
    InputSchema::compile(schema)?.check(input)
}

impl InputSchema {
    /// Compiles a JSON Schema: an object of at most [`SCHEMA_BYTES_MAX`] bytes and
    /// [`SCHEMA_DEPTH_MAX`] levels, draft 2020-12 unless `$schema` says otherwise.
    ///
    /// References must point into the schema itself (`#/$defs/name`), because nothing is fetched,
    /// and must not lead back to themselves at the same level. `$id` is allowed only at the root.
    /// Patterns use Rust's `regex` syntax, which takes linear time. `format` is checked.
    ///
    /// Refusal paths begin with `inputSchema`.
    pub fn compile(schema: &Value) -> Result<Self, Vec<Refusal>> {
        let refused = |message: String| vec![Refusal::invalid("inputSchema", message)];
        let Some(object) = schema.as_object() else {
            return Err(refused(
                "must be a JSON Schema object, such as `{}`, which accepts every input".to_owned(),
            ));
        };
        check_bounds("inputSchema", schema, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX)?;
        let has_references = schema_rules::check(schema).map_err(|refusal| vec![refusal])?;
        let validator = if object.is_empty() { None } else { Some(build(schema)?) };
        Ok(Self { schema: schema.clone(), validator, has_references, has_secrets: mentions_secrets(schema) })
    }

    /// Checks an input and splits off its secrets. An input is an object (null means an empty one)
    /// of at most [`INPUT_BYTES_MAX`] bytes and [`INPUT_DEPTH_MAX`] levels, without NUL characters,
    /// which PostgreSQL does not store.
    ///
    /// First, missing top-level properties get their `default` from the schema. Deeper defaults are
    /// documentation, as in JSON Schema. Then each violation becomes a refusal with its path
    /// (`["input", "user", "age"]`), at most twenty. Messages never quote a value, which may be a
    /// secret. Of what is inside of a `writeOnly` value, the names too are secret, so the path ends
    /// at that value and the message names only the rule. Last, each value that the schema marks
    /// `writeOnly: true` is replaced by `***` and returned separately.
    pub fn check(&self, input: &Value) -> Result<Input, Vec<Refusal>> {
        let public = complete(&self.schema, input.clone())?;
        let pointers = self.secrets_of(&public)?;
        Ok(split(public, pointers))
    }

    /// JSON pointers of the secrets of an input that has its defaults, if it matches the schema.
    pub(crate) fn secrets_of(&self, public: &Value) -> Result<BTreeSet<String>, Vec<Refusal>> {
        if self.has_references && schema_rules::costs_too_much(&self.schema, public) {
            let message =
                "would take too long to check, because the schema's references multiply with each level";
            return Err(vec![Refusal::invalid("input", message)]);
        }
        if let Some(validator) = &self.validator
            && !validator.is_valid(public)
        {
            let secrets = self.pointers(public);
            let errors = validator.iter_errors(public).take(REFUSALS_MAX);
            let mut refusals: Vec<Refusal> =
                errors.map(|error| violation("input", &error, &secrets)).collect();
            refusals.dedup();
            return Err(refusals);
        }
        Ok(self.pointers(public))
    }

    /// Splits the secrets off an input without checking it.
    pub fn split(&self, input: Value) -> Input {
        let pointers = self.pointers(&input);
        split(input, pointers)
    }

    fn pointers(&self, input: &Value) -> BTreeSet<String> {
        if self.has_secrets { find_secrets(&self.schema, input) } else { BTreeSet::new() }
    }
}

/// The input as an object within its bounds, with the schema's defaults of its missing properties.
fn complete(schema: &Value, input: Value) -> Result<Value, Vec<Refusal>> {
    let mut public = match input {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Object(_) => input,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(vec![Refusal::invalid("input", "must be a JSON object")]);
        }
    };
    if let (Value::Object(map), Some(Value::Object(properties))) = (&mut public, schema.get("properties")) {
        for (name, property) in properties {
            if let Some(default) = property.get("default")
                && !map.contains_key(name)
            {
                map.insert(name.clone(), default.clone());
            }
        }
    }
    check_bounds("input", &public, INPUT_BYTES_MAX, INPUT_DEPTH_MAX)?;
    Ok(public)
}

/// The schema of a saved command: compiled, if it is light (`schema_rules::weight`). `Evaluator`
/// checks inputs with it, whatever it is.
pub struct ReadySchema {
    schema: Value,
    light: Option<(InputSchema, usize)>,
    has_secrets: bool,
}

impl ReadySchema {
    /// Compiles the schema if it is light.
    pub fn new(schema: Value) -> Self {
        let weight = schema_rules::weight(&schema);
        let light = weight.and_then(|weight| Some((InputSchema::compile(&schema).ok()?, weight)));
        Self { light, has_secrets: mentions_secrets(&schema), schema }
    }

    /// The schema as it was written.
    pub(crate) const fn schema(&self) -> &Value {
        &self.schema
    }

    /// Whether it marks anything as secret.
    pub(crate) const fn has_secrets(&self) -> bool {
        self.has_secrets
    }

    /// See [`complete`].
    pub(crate) fn complete(&self, input: Value) -> Result<Value, Vec<Refusal>> {
        complete(&self.schema, input)
    }

    /// The compiled schema, if checking this input with it takes little.
    pub(crate) fn light_for(&self, input: &Value) -> Option<&InputSchema> {
        let (schema, weight) = self.light.as_ref()?;
        (weight.saturating_mul(light::size_of(input)) <= light::COST_MAX).then_some(schema)
    }
}

impl fmt::Debug for ReadySchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadySchema").field("is_light", &self.light.is_some()).finish_non_exhaustive()
    }
}

fn build(schema: &Value) -> Result<Validator, Vec<Refusal>> {
    let options = jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(schema_rules::PATTERN_BYTES_MAX))
        .should_validate_formats(true);
    options.build(schema).map_err(|error| vec![violation("inputSchema", &error, &BTreeSet::new())])
}

/// The refusal of a violation. `secrets` are the pointers of what must not be shown.
fn violation(root: &str, error: &jsonschema::ValidationError<'_>, secrets: &BTreeSet<String>) -> Refusal {
    let at = error.instance_path().as_str();
    let holds = |secret: &&String| {
        at.strip_prefix(secret.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let secret = secrets.iter().find(holds);
    let message = match secret {
        Some(_) => {
            let rule = error.kind().keyword();
            let rule = if rule == "falseSchema" { "false" } else { rule };
            format!("breaks the schema's rule `{rule}`. It is writeOnly, so no more is shown")
        }
        None => error.masked().to_string().chars().take(500).collect(),
    };
    let parts = secret.map_or(at, String::as_str).split('/').skip(1);
    let path = std::iter::once(root.to_owned()).chain(parts.map(unescaped)).collect();
    Refusal::at(RefusalCode::Invalid, path, message)
}

/// Escapes a property name for use in a JSON pointer.
pub(super) fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// Checks size, depth and the absence of NUL characters.
fn check_bounds(path: &str, value: &Value, bytes_max: usize, depth_max: usize) -> Result<(), Vec<Refusal>> {
    let refused = |message: String| Err(vec![Refusal::invalid(path, message)]);
    match check_depth(value, depth_max) {
        Err(Shape::TooDeep) => return refused(format!("must be nested at most {depth_max} levels deep")),
        Err(Shape::HasNul) => {
            return refused("must not contain a NUL character, which cannot be stored".to_owned());
        }
        Ok(()) => {}
    }
    let mut counter = Counter(0);
    let size = serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0);
    if size > bytes_max {
        return refused(format!("must be at most {bytes_max} bytes of JSON, not {size}"));
    }
    Ok(())
}

enum Shape {
    TooDeep,
    HasNul,
}

fn check_depth(value: &Value, left: usize) -> Result<(), Shape> {
    let text = |text: &str| if text.contains('\0') { Err(Shape::HasNul) } else { Ok(()) };
    match value {
        Value::String(string) => text(string),
        Value::Array(_) | Value::Object(_) if left == 0 => Err(Shape::TooDeep),
        Value::Array(items) => items.iter().try_for_each(|item| check_depth(item, left - 1)),
        Value::Object(map) => map.iter().try_for_each(|(name, item)| {
            text(name)?;
            check_depth(item, left - 1)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Counts the bytes written to it.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn mentions_secrets(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().any(mentions_secrets),
        Value::Object(map) => {
            map.get("writeOnly") == Some(&Value::Bool(true)) || map.values().any(mentions_secrets)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

impl fmt::Debug for InputSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputSchema").field("has_secrets", &self.has_secrets).finish_non_exhaustive()
    }
}
