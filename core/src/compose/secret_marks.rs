//! Refuses a schema that marks `writeOnly` where the mark would keep nothing secret.
//!
//! `secret_inputs` finds the values that a mark is about. It must be asked of every mark whether it
//! is about any, because who writes one counts on it. Pure.

use std::collections::HashSet;

use serde_json::Value;

use super::applicable::{of_parts, same_level};
use crate::refusal::{Refusal, RefusalCode};

/// Keywords whose values are data or names, not schemas.
const DATA: [&str; 6] = ["const", "enum", "default", "examples", "required", "dependentRequired"];
/// Keywords whose values are schemas by name.
const SCHEMAS_BY_NAME: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];

const WHOLE: &str = "cannot mark the whole input as secret. Mark its properties instead";
const NOTHING: &str = "marks nothing as secret here, because this part of the schema describes no value of the \
    input. Mark the value itself, below `properties`, `items` or the like";
const OLD_DRAFT: &str =
    "is no keyword of this `$schema`, so it cannot be known which items are secret. Use `items`";

/// Checks every mark of a schema that compiles. Returns all refusals.
pub(super) fn check(schema: &Value) -> Result<(), Vec<Refusal>> {
    let mut marks = Marks { reach: Reach::of(schema), has_any: false, refusals: Vec::new() };
    let mut path = vec!["inputSchema".to_owned()];
    marks.below(schema, &mut path);
    let draft = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    if marks.has_any && !draft.is_empty() && !draft.contains("2020-12") {
        refuse_new_keyword(schema, &mut path, &mut marks.refusals);
    }
    if marks.refusals.is_empty() { Ok(()) } else { Err(marks.refusals) }
}

/// The schemas that apply to the input itself, and those that apply to values in it.
struct Reach {
    whole: HashSet<*const Value>,
    parts: HashSet<*const Value>,
}

impl Reach {
    fn of(root: &Value) -> Self {
        let mut reach = Self { whole: HashSet::new(), parts: HashSet::new() };
        let mut open = vec![(root, true)];
        while let Some((schema, is_whole)) = open.pop() {
            let seen = if is_whole { &mut reach.whole } else { &mut reach.parts };
            if seen.insert(schema) {
                open.extend(same_level(root, schema).into_iter().map(|schema| (schema, is_whole)));
                open.extend(of_parts(schema).into_iter().map(|schema| (schema, false)));
            }
        }
        reach
    }
}

struct Marks {
    reach: Reach,
    has_any: bool,
    refusals: Vec<Refusal>,
}

impl Marks {
    fn below(&mut self, schema: &Value, path: &mut Vec<String>) {
        match schema {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.within(&index.to_string(), item, path);
                }
            }
            Value::Object(map) => {
                for (keyword, value) in map {
                    match (keyword.as_str(), value) {
                        ("writeOnly", mark) => self.mark(schema, mark, path),
                        (data, _) if DATA.contains(&data) => {}
                        (by_name, Value::Object(schemas)) if SCHEMAS_BY_NAME.contains(&by_name) => {
                            path.push(keyword.clone());
                            for (name, schema) in schemas {
                                self.within(name, schema, path);
                            }
                            path.pop();
                        }
                        _ => self.within(keyword, value, path),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn within(&mut self, part: &str, schema: &Value, path: &mut Vec<String>) {
        path.push(part.to_owned());
        self.below(schema, path);
        path.pop();
    }

    fn mark(&mut self, schema: &Value, mark: &Value, path: &[String]) {
        let address = std::ptr::from_ref(schema);
        let message = match mark {
            Value::Bool(false) => return,
            Value::Bool(true) if self.reach.whole.contains(&address) => WHOLE,
            Value::Bool(true) if self.reach.parts.contains(&address) => {
                self.has_any = true;
                return;
            }
            Value::Bool(true) => NOTHING,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                "must be true or false"
            }
        };
        self.refusals.push(refusal(message, path, "writeOnly"));
    }
}

/// Refuses `prefixItems` wherever it stands. Before draft 2020-12 it means nothing, and `items`
/// beside it means all items.
fn refuse_new_keyword(schema: &Value, path: &mut Vec<String>, refusals: &mut Vec<Refusal>) {
    let parts: Vec<(String, &Value)> = match schema {
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        Value::Object(map) => map.iter().map(|(name, item)| (name.clone(), item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    if schema.get("prefixItems").is_some_and(Value::is_array) {
        refusals.push(refusal(OLD_DRAFT, path, "prefixItems"));
    }
    for (name, part) in parts {
        path.push(name);
        refuse_new_keyword(part, path, refusals);
        path.pop();
    }
}

fn refusal(message: &str, path: &[String], keyword: &str) -> Refusal {
    let path = path.iter().cloned().chain([keyword.to_owned()]).collect();
    Refusal::at(RefusalCode::Invalid, path, message)
}
