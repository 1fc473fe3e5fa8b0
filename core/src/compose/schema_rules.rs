//! Rules for schemas, so that each check of an input ends soon and fetches nothing.
//!
//! `input` refuses schemas that break these rules when it compiles them, and inputs that would cost
//! too much when it checks them. Pure.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    applicable::{REFERENCES, of_item, of_property, same_level},
    light::size_of,
};
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
/// Formats whose check takes linear time.
const LIGHT_FORMATS: [&str; 8] = ["date", "time", "date-time", "email", "hostname", "ipv4", "uri", "uuid"];
/// Longest pattern of a light schema, in bytes.
const LIGHT_PATTERN_BYTES_MAX: usize = 500;
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
            return Err(Refusal::at(RefusalCode::Invalid, path.clone(), message));
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

/// What a check with this schema costs, at most, for each byte of the input. `None` for a schema of
/// which this is not known, because it refers to itself, looks at values several times, or has
/// unusual keywords, formats or patterns.
pub(super) fn weight(schema: &Value) -> Option<usize> {
    let Value::Object(map) = schema else { return schema.is_boolean().then_some(1) };
    let mut sum = 1_usize;
    for (keyword, value) in map {
        sum = sum.saturating_add(match keyword.as_str() {
            "$schema" | "$id" | "$comment" | "type" | "title" | "description" | "default" | "examples"
            | "readOnly" | "writeOnly" | "deprecated" | "minimum" | "maximum" | "exclusiveMinimum"
            | "exclusiveMaximum" | "multipleOf" | "minLength" | "maxLength" | "minItems" | "maxItems"
            | "minProperties" | "maxProperties" => 1,
            "uniqueItems" => 4,
            "required" | "enum" | "const" => size_of(value),
            "properties" => sum_of(value.as_object()?.values())?,
            "items" | "prefixItems" | "allOf" | "anyOf" | "oneOf" if value.is_array() => {
                sum_of(value.as_array()?.iter())?
            }
            "items"
            | "additionalProperties"
            | "additionalItems"
            | "propertyNames"
            | "contains"
            | "not"
            | "if"
            | "then"
            | "else" => weight(value)?,
            "format" if LIGHT_FORMATS.contains(&value.as_str()?) => 8,
            "pattern" => pattern_weight(value.as_str()?)?,
            "patternProperties" => {
                let patterns = value.as_object()?;
                let mut sum = sum_of(patterns.values())?;
                for pattern in patterns.keys() {
                    sum = sum.saturating_add(pattern_weight(pattern)?);
                }
                sum
            }
            _ => return None,
        });
    }
    Some(sum)
}

fn sum_of<'a>(mut schemas: impl Iterator<Item = &'a Value>) -> Option<usize> {
    schemas.try_fold(0_usize, |sum, schema| Some(sum.saturating_add(weight(schema)?)))
}

/// The most steps that a pattern takes for each byte of a text, which are the states that it
/// compiles to. `None` for patterns with more than letters, classes, groups and repetitions.
fn pattern_weight(pattern: &str) -> Option<usize> {
    if pattern.len() > LIGHT_PATTERN_BYTES_MAX || !pattern.is_ascii() || pattern.contains("(?") {
        return None;
    }
    let (mut states, mut factor, mut class) = (8_usize, 1_usize, 0);
    let mut rest = pattern;
    let mut last = ' ';
    while let Some(c) = rest.chars().next() {
        rest = &rest[1..];
        match c {
            '\\' => {
                if rest.starts_with(['p', 'P', 'u', 'x', 'k']) {
                    return None;
                }
                rest = rest.get(1..)?;
                states += 32;
            }
            '[' => (class, states) = (states, states + 2 + 14 * usize::from(rest.starts_with('^'))),
            '.' => states += 16,
            '{' if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                let (counts, after) = rest.split_once('}')?;
                let count = counts.split(',').filter_map(|count| count.parse::<usize>().ok()).max()?.max(1);
                rest = after;
                match last {
                    // A group, perhaps with other repetitions in it.
                    ')' => factor = factor.saturating_mul(count),
                    ']' => states = states.saturating_add(count.saturating_mul(states - class)),
                    _ => states = states.saturating_add(count.saturating_mul(32)),
                }
            }
            _ => states += 2,
        }
        last = c;
    }
    Some(states.saturating_mul(factor))
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::compose::{InputSchema, light::COST_MAX};

    #[test]
    fn what_people_write_is_light() {
        for schema in [
            json!({}),
            json!({ "type": "object", "properties": { "a": { "type": "string", "writeOnly": true } }, "required": ["a"] }),
            json!({ "properties": { "a": { "type": "array", "items": { "enum": ["b", "c"] }, "uniqueItems": true } } }),
            json!({ "properties": { "a": { "pattern": "^[a-z0-9-]{1,63}$" }, "b": { "format": "email" } } }),
            json!({ "additionalProperties": false, "patternProperties": { "^x-": { "anyOf": [{ "type": "null" }, true] } } }),
        ] {
            let weight = weight(&schema).unwrap_or_else(|| panic!("not light: {schema}"));
            assert!(weight < 4000, "{weight}: {schema}");
        }
        for schema in [
            json!({ "properties": { "a": { "$ref": "#" } } }),
            json!({ "unevaluatedProperties": false }),
            json!({ "properties": { "a": { "format": "regex" } } }),
            json!({ "properties": { "a": { "pattern": "\\p{L}" } } }),
            json!({ "properties": { "a": { "pattern": "(?i)a" } } }),
            json!({ "properties": { "a": { "pattern": 1 } } }),
            json!({ "dependentSchemas": {} }),
        ] {
            assert_eq!(weight(&schema), None, "{schema}");
        }
    }

    /// The dearest checks that are still light take a moment, even without optimisation.
    #[test]
    fn a_light_check_ends_soon() {
        let branches: Vec<Value> = (0..300).map(|n| json!({ "type": "string", "minLength": n })).collect();
        let nested = (0..20)
            .fold(json!({ "type": "string" }), |inner, _| json!({ "oneOf": [inner, { "type": "null" }] }));
        for (schema, one) in [
            (json!({ "items": { "anyOf": branches } }), json!(1)),
            (json!({ "items": nested }), json!(1)),
            (json!({ "items": { "pattern": "[01]*1[01]{200}$" } }), json!("0110".repeat(40))),
            (json!({ "items": { "pattern": "((a{5}|b){5}){5}c$" } }), json!("aaaaab".repeat(20))),
            (json!({ "items": { "format": "hostname" } }), json!("a.".repeat(100))),
            (json!({ "uniqueItems": true }), json!([1, 2])),
        ] {
            let weight = weight(&schema).unwrap();
            let count = COST_MAX / weight / size_of(&one);
            let schema = json!({ "properties": { "a": schema } });
            let input = json!({ "a": vec![one; count.min(60_000)] });
            let compiled = InputSchema::compile(&schema).unwrap();
            let since = Instant::now();
            drop(compiled.secrets_of(&input));
            assert!(since.elapsed() < Duration::from_secs(5), "{:?}: {schema}", since.elapsed());
        }
    }

    #[test]
    fn repetitions_multiply_the_weight_of_a_pattern() {
        for (small, large) in
            [("a{9}", "a{99}"), ("(a{9}){9}", "(a{9}){99}"), ("[ab]{9}", "[^ab]{9}"), ("ab", "a.b")]
        {
            assert!(pattern_weight(small) < pattern_weight(large), "{small} and {large}");
        }
        assert!(pattern_weight("((a{99}){99}){99}") > Some(10_000_000));
        for odd in ["é", "a{99999999999999999999}", "\\u0041", "\\"] {
            assert_eq!(pattern_weight(odd), None, "{odd}");
        }
    }
}
