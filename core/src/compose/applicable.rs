//! Which parts of a schema may apply to a value, to its properties and to its items.
//!
//! Called by `schema_rules`, which bounds what a check may cost, and `secret_inputs`, which looks for `writeOnly`. Answers
//! more rather than less: conditions and patterns are not tried. Pure.

use serde_json::Value;

/// Keywords that point to another schema.
pub(super) const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

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

/// What a local reference points to: `#` or `#/` and a JSON pointer.
fn referred<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    root.pointer(&percent_decoded(target.strip_prefix('#')?))
}

fn percent_decoded(text: &str) -> String {
    let as_form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(as_form.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Every schema that may apply to a property. A pattern is not tried: one that marks secrets marks them all.
pub(super) fn of_property<'a>(schema: &'a Value, name: &str) -> Vec<&'a Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(name));
    let by_pattern =
        schema.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
    let others =
        ["additionalProperties", "unevaluatedProperties"].iter().filter_map(|keyword| schema.get(*keyword));
    // What `properties` names is no additional property.
    let others = others.filter(|_| named.is_none());
    named.into_iter().chain(by_pattern).chain(others).collect()
}

/// Every schema that may apply to an item.
pub(super) fn of_item(schema: &Value, index: usize) -> Vec<&Value> {
    let prefix = schema.get("prefixItems").or_else(|| schema.get("items").filter(|items| items.is_array()));
    let own = prefix.and_then(|prefix| prefix.get(index));
    let rest =
        ["items", "additionalItems", "unevaluatedItems"].iter().filter_map(|keyword| schema.get(*keyword));
    let rest = rest.filter(|rest| own.is_none() && !rest.is_array());
    own.into_iter().chain(rest).chain(schema.get("contains")).collect()
}
