//! Rules for schemas, so that each check of an input ends soon and fetches nothing.
//!
//! `input` refuses schemas that break these rules when it compiles them, and inputs that would cost
//! too much when it checks them. Pure.

use std::collections::HashMap;

use serde_json::Value;

use super::applicable::{REFERENCES, of_item, of_property, same_level};
use crate::refusal::{Refusal, RefusalCode};

/// Most regular expressions in a schema. Each takes up to [`PATTERN_BYTES_MAX`] of memory.
const PATTERNS_MAX: usize = 100;
/// Most memory of one compiled regular expression, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 1024 * 1024;
/// Most applications of a schema to a value in one check. References can double them with each
/// level.
const EVALUATIONS_MAX: u64 = 500_000;
/// Longest chain of schemas that apply to the same value through each other, from a reference on.
/// Bounds the stack depth of a check.
const CHAIN_MAX: usize = 16;
/// The supported values of `$schema`.
const DRAFTS: [&str; 4] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
];

/// Returns whether the schema has references. Refuses the first part that breaks a rule.
pub(super) fn check(schema: &Value) -> Result<bool, Refusal> {
    let mut path = vec!["inputSchema".to_owned()];
    if let Some(draft) = schema.get("$schema").and_then(Value::as_str)
        && !DRAFTS.contains(&draft.trim_end_matches('#'))
    {
        let message = format!("is not a supported draft. Use one of {}", DRAFTS.join(", "));
        return Err(Refusal::invalid("inputSchema.$schema", message));
    }
    let mut rules = Rules { root: schema, chains: HashMap::new(), patterns: 0, has_references: false };
    rules.below(schema, &mut path)?;
    Ok(rules.has_references)
}

struct Rules<'a> {
    root: &'a Value,
    /// Lengths of chains by their first schema, `None` while one is being measured.
    chains: HashMap<*const Value, Option<usize>>,
    patterns: usize,
    has_references: bool,
}

impl<'a> Rules<'a> {
    fn below(&mut self, schema: &'a Value, path: &mut Vec<String>) -> Result<(), Refusal> {
        let parts: Vec<(String, &Value)> = match schema {
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
            }
            Value::Object(map) => map.iter().map(|(name, item)| (name.clone(), item)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Ok(()),
        };
        if let Some(message) = self.fault(schema, path.len() == 1) {
            return Err(Refusal { code: RefusalCode::Invalid, message, path: path.clone() });
        }
        for (name, part) in parts {
            path.push(name);
            self.below(part, path)?;
            path.pop();
        }
        Ok(())
    }

    fn fault(&mut self, schema: &'a Value, is_root: bool) -> Option<String> {
        let mut targets = REFERENCES.iter().filter_map(|keyword| schema.get(*keyword)?.as_str()).peekable();
        let has_references = targets.peek().is_some();
        self.has_references |= has_references;
        if targets.any(|target| target != "#" && !target.starts_with("#/")) {
            return Some("must refer to a part of this schema, such as `#/$defs/NAME`".to_owned());
        }
        if !is_root && schema.get("$id").is_some_and(Value::is_string) {
            return Some(
                "must not have its own `$id`, which would change what the references below it mean"
                    .to_owned(),
            );
        }
        self.patterns += usize::from(schema.get("pattern").is_some_and(Value::is_string));
        self.patterns +=
            schema.get("patternProperties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
        if self.patterns > PATTERNS_MAX {
            return Some(format!("the schema must have at most {PATTERNS_MAX} patterns"));
        }
        if has_references { self.chain(schema, 0).err().map(str::to_owned) } else { None }
    }

    /// Length of the longest chain of schemas that apply to the same value as this one, which is
    /// `depth` schemas into a chain.
    fn chain(&mut self, schema: &'a Value, depth: usize) -> Result<usize, &'static str> {
        const CIRCULAR: &str =
            "refers back to itself at the same level. Put the reference below a property or an item";
        const LONG: &str =
            "applies too many references to the same value. At most 16 schemas may follow each other";
        let known = self.chains.insert(std::ptr::from_ref(schema), None);
        let length = match known {
            Some(None) => return Err(CIRCULAR),
            Some(Some(length)) => length,
            None if depth >= CHAIN_MAX => return Err(LONG),
            None => {
                let mut longest = 0;
                for next in same_level(self.root, schema) {
                    longest = longest.max(self.chain(next, depth + 1)?);
                }
                longest + 1
            }
        };
        self.chains.insert(std::ptr::from_ref(schema), Some(length));
        if depth + length > CHAIN_MAX { Err(LONG) } else { Ok(length) }
    }
}

/// Whether checking the input could apply schemas to values more than [`EVALUATIONS_MAX`] times.
/// Needed only for schemas with references. Without them, the sizes of the schema and input bound
/// the cost.
pub(super) fn costs_too_much(schema: &Value, input: &Value) -> bool {
    let mut cost = Cost { root: schema, known: HashMap::new() };
    cost.of(schema, input) > EVALUATIONS_MAX
}

struct Cost<'a> {
    root: &'a Value,
    known: HashMap<(*const Value, *const Value), u64>,
}

impl<'a> Cost<'a> {
    /// Number of applications that follow from applying this schema to this value.
    fn of(&mut self, schema: &'a Value, value: &Value) -> u64 {
        let key = (std::ptr::from_ref(schema), std::ptr::from_ref(value));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if self.known.len() as u64 > EVALUATIONS_MAX {
            return u64::MAX;
        }
        let mut sum = 1u64;
        for next in same_level(self.root, schema) {
            sum = sum.saturating_add(self.of(next, value));
        }
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    for next in of_property(schema, name) {
                        sum = sum.saturating_add(self.of(next, value));
                    }
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    for next in of_item(schema, index) {
                        sum = sum.saturating_add(self.of(next, value));
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        self.known.insert(key, sum);
        sum
    }
}
