//! Which subschemas may apply to a value, to its properties and to its items.
//!
//! The result may contain too many, never too few: conditions and patterns are not evaluated.
//! `schema_rules` bounds the cost of a check with it, and `secret_inputs` finds `writeOnly` with
//! it. Pure.

use serde_json::Value;

/// Keywords that refer to another schema.
pub(super) const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// The subschemas that apply to the same value as `schema`.
pub(super) fn same_level<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut next = Vec::new();
    for keyword in ["allOf", "anyOf", "oneOf"] {
        next.extend(schema.get(keyword).and_then(Value::as_array).into_iter().flatten());
    }
    next.extend(["if", "then", "else", "not"].iter().filter_map(|keyword| schema.get(*keyword)));
    // `dependencies` of older drafts also has lists of names.
    for keyword in ["dependentSchemas", "dependencies"] {
        let map = schema.get(keyword).and_then(Value::as_object).into_iter().flat_map(|map| map.values());
        next.extend(map.filter(|schema| !schema.is_array()));
    }
    for keyword in REFERENCES {
        next.extend(schema.get(keyword).and_then(Value::as_str).and_then(|target| referred(root, target)));
    }
    next
}

/// Resolves a local reference: `#`, or `#` and a JSON pointer.
fn referred<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    root.pointer(&percent_decoded(target.strip_prefix('#')?))
}

fn percent_decoded(text: &str) -> String {
    let as_form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(as_form.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Every subschema that may apply to a property. Patterns are not matched, so a pattern that marks
/// secrets marks all properties.
pub(super) fn of_property<'a>(schema: &'a Value, name: &str) -> Vec<&'a Value> {
    let named = schema.get("properties").and_then(|properties| properties.get(name));
    let by_pattern =
        schema.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(|map| map.values());
    let others =
        ["additionalProperties", "unevaluatedProperties"].iter().filter_map(|keyword| schema.get(*keyword));
    // A property named in `properties` is not an additional property.
    let others = others.filter(|_| named.is_none());
    named.into_iter().chain(by_pattern).chain(others).collect()
}

/// Every subschema that [`of_property`] or [`of_item`] returns for some name or index.
pub(super) fn of_parts(schema: &Value) -> Vec<&Value> {
    let by_name = ["properties", "patternProperties"].iter().filter_map(|keyword| schema.get(*keyword));
    let by_name = by_name.filter_map(Value::as_object).flat_map(|map| map.values());
    let lists = ["prefixItems", "items"].iter().filter_map(|keyword| schema.get(*keyword));
    let lists = lists.filter_map(Value::as_array).flatten();
    let others = [
        "additionalProperties",
        "unevaluatedProperties",
        "items",
        "additionalItems",
        "unevaluatedItems",
        "contains",
    ];
    let others = others.iter().filter_map(|keyword| schema.get(*keyword)).filter(|schema| !schema.is_array());
    by_name.chain(lists).chain(others).collect()
}

/// Every subschema that may apply to an item.
pub(super) fn of_item(schema: &Value, index: usize) -> Vec<&Value> {
    let prefix = schema.get("prefixItems").or_else(|| schema.get("items").filter(|items| items.is_array()));
    let own = prefix.and_then(|prefix| prefix.get(index));
    let rest =
        ["items", "additionalItems", "unevaluatedItems"].iter().filter_map(|keyword| schema.get(*keyword));
    let rest = rest.filter(|rest| own.is_none() && !rest.is_array());
    own.into_iter().chain(rest).chain(schema.get("contains")).collect()
}
