//! References inside a schema (`$ref` and its kin): only local ones, and none in circles.
//!
//! `input` refuses the others when a schema is compiled, because the validator would fetch them, or never come back;
//! `secret_inputs` follows them. Pure.

use std::collections::HashMap;

use serde_json::Value;

use crate::refusal::{Refusal, RefusalCode};

/// Keywords that point to another schema.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Refuses the first reference that leads out of the schema, or back to itself for the same value.
pub(super) fn check(schema: &Value) -> Result<(), Refusal> {
    Check { root: schema, visits: HashMap::new() }.below(schema, &mut vec!["inputSchema".to_owned()])
}

struct Check<'a> {
    root: &'a Value,
    /// Schemas that were followed: true once everything behind them is known to end.
    visits: HashMap<*const Value, bool>,
}

impl<'a> Check<'a> {
    fn below(&mut self, schema: &'a Value, path: &mut Vec<String>) -> Result<(), Refusal> {
        let refused = |message: &str, path: &[String]| {
            Err(Refusal { code: RefusalCode::Invalid, message: message.to_owned(), path: path.to_vec() })
        };
        let parts: Vec<(String, &Value)> = match schema {
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
            }
            Value::Object(map) => map.iter().map(|(name, item)| (name.clone(), item)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Ok(()),
        };
        let targets = REFERENCES.iter().filter_map(|keyword| schema.get(*keyword)?.as_str());
        if targets.clone().any(|target| !target.starts_with('#')) {
            let message =
                "refers to another document: only references into the schema itself (`#...`) are followed";
            return refused(message, path);
        }
        if targets.count() > 0 && self.goes_in_circles(schema) {
            return refused(
                "refers back to itself without going a level down: no input could be checked",
                path,
            );
        }
        for (name, part) in parts {
            path.push(name);
            self.below(part, path)?;
            path.pop();
        }
        Ok(())
    }

    /// Whether checking a value against `schema` leads to checking that same value against it again.
    fn goes_in_circles(&mut self, schema: &'a Value) -> bool {
        if self.visits.insert(std::ptr::from_ref(schema), false) == Some(false) {
            return true;
        }
        let circular = same_level(self.root, schema).into_iter().any(|next| {
            self.visits.get(&std::ptr::from_ref(next)) != Some(&true) && self.goes_in_circles(next)
        });
        if !circular {
            self.visits.insert(std::ptr::from_ref(schema), true);
        }
        circular
    }
}

/// The schemas that apply to the same value as `schema` does.
pub(super) fn same_level<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut next = Vec::new();
    for keyword in ["allOf", "anyOf", "oneOf"] {
        next.extend(schema.get(keyword).and_then(Value::as_array).into_iter().flatten());
    }
    next.extend(["if", "then", "else", "not"].iter().filter_map(|keyword| schema.get(*keyword)));
    next.extend(
        schema.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(|map| map.values()),
    );
    for keyword in REFERENCES {
        next.extend(schema.get(keyword).and_then(Value::as_str).and_then(|target| referred(root, target)));
    }
    next
}

/// What a local reference points to: a JSON pointer or an `$anchor`.
fn referred<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    let fragment = target.strip_prefix('#')?;
    if fragment.is_empty() || fragment.starts_with('/') {
        return root.pointer(&percent_decoded(fragment));
    }
    anchored(root, fragment)
}

fn anchored<'a>(schema: &'a Value, anchor: &str) -> Option<&'a Value> {
    let is_it = |keyword: &str| schema.get(keyword).and_then(Value::as_str) == Some(anchor);
    if is_it("$anchor") || is_it("$dynamicAnchor") {
        return Some(schema);
    }
    match schema {
        Value::Object(map) => map.values().find_map(|inner| anchored(inner, anchor)),
        Value::Array(items) => items.iter().find_map(|inner| anchored(inner, anchor)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn percent_decoded(text: &str) -> String {
    let as_form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(as_form.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}
