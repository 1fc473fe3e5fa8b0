//! `writeOnly` keeps a value secret wherever a schema may have it, or is refused when it is saved.

use callboard::compose::{InputSchema, check_schema};
use proptest::prelude::*;
use serde_json::{Value, json};

const CANARY: &str = "wJalrXUtnFEMI";

/// The public part of an input, as text.
fn public(schema: &Value, input: &Value) -> String {
    InputSchema::compile(schema).unwrap().split(input.clone()).public.to_string()
}

#[test]
fn a_mark_is_honoured_wherever_it_describes_a_value() {
    let mark = json!({ "writeOnly": true });
    let a = json!({ "a": CANARY });
    let list = json!({ "a": ["x", CANARY] });
    for (schema, input) in [
        (json!({ "properties": { "a": mark } }), &a),
        (json!({ "allOf": [{ "properties": { "a": mark } }] }), &a),
        (json!({ "properties": { "a": { "allOf": [mark] } } }), &a),
        (json!({ "properties": { "a": { "anyOf": [{}, { "oneOf": [mark] }] } } }), &a),
        (json!({ "properties": { "a": { "not": { "not": mark } } } }), &a),
        (json!({ "if": {}, "then": { "properties": { "a": mark } } }), &a),
        (json!({ "if": { "properties": { "a": mark } } }), &a),
        (json!({ "else": { "properties": { "a": mark } } }), &a),
        (json!({ "dependentSchemas": { "b": { "properties": { "a": mark } } } }), &a),
        (json!({ "dependencies": { "b": { "properties": { "a": mark } }, "c": ["a"] } }), &a),
        (json!({ "patternProperties": { "^a": mark } }), &a),
        (json!({ "additionalProperties": mark }), &a),
        (json!({ "unevaluatedProperties": mark }), &a),
        (json!({ "$defs": { "s": mark }, "properties": { "a": { "$ref": "#/$defs/s" } } }), &a),
        (json!({ "$defs": { "s": { "properties": { "a": mark } } }, "$ref": "#/$defs/s" }), &a),
        (json!({ "properties": { "a": { "items": mark } } }), &list),
        (json!({ "properties": { "a": { "prefixItems": [{}, mark] } } }), &list),
        (json!({ "properties": { "a": { "prefixItems": [{}], "items": mark } } }), &list),
        (json!({ "properties": { "a": { "unevaluatedItems": mark } } }), &list),
        (json!({ "properties": { "a": { "contains": mark } } }), &list),
        (json!({ "properties": { "writeOnly": true, "a": mark } }), &a),
    ] {
        assert_eq!(check_schema(&schema), Ok(()), "{schema}");
        let shown = public(&schema, input);
        assert!(!shown.contains(CANARY) && shown.contains("***"), "{schema}: {shown}");
    }
}

#[test]
fn a_mark_that_would_keep_nothing_secret_is_refused_with_its_path() {
    let mark = json!({ "writeOnly": true });
    for (schema, path) in [
        (mark.clone(), "writeOnly"),
        (json!({ "allOf": [mark] }), "allOf 0 writeOnly"),
        (json!({ "$defs": { "s": mark }, "$ref": "#/$defs/s" }), "$defs s writeOnly"),
        (json!({ "dependencies": { "a": mark } }), "dependencies a writeOnly"),
        (json!({ "dependentSchemas": { "a": mark } }), "dependentSchemas a writeOnly"),
        (json!({ "$defs": { "s": mark } }), "$defs s writeOnly"),
        (json!({ "definitions": { "s": mark } }), "definitions s writeOnly"),
        (json!({ "propertyNames": mark }), "propertyNames writeOnly"),
        (json!({ "properties": { "a": { "contentSchema": mark } } }), "properties a contentSchema writeOnly"),
        (json!({ "x-note": mark }), "x-note writeOnly"),
        (json!({ "writeOnly": true, "properties": { "a": { "$ref": "#" } } }), "writeOnly"),
        (
            json!({ "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": { "a": { "prefixItems": [{}], "items": mark } } }),
            "properties a prefixItems",
        ),
    ] {
        let refusals = check_schema(&schema).unwrap_err();
        let paths: Vec<String> = refusals.iter().map(|refusal| refusal.path[1..].join(" ")).collect();
        assert_eq!(paths, [path], "{schema}");
    }
    let data = json!({ "properties": { "a": { "const": mark, "default": mark, "examples": [mark], "enum": [mark] } } });
    assert_eq!(check_schema(&data), Ok(()), "data is no mark");
    assert_eq!(check_schema(&json!({ "properties": { "writeOnly": true } })), Ok(()), "nor is a name");
    assert!(check_schema(&json!({ "properties": { "a": { "writeOnly": "yes" } } })).is_err());
}

/// Names inside of a value are as secret as what is below them.
#[test]
fn a_refusal_names_nothing_inside_of_a_secret() {
    let long = format!("{CANARY}{CANARY}");
    let draft_7 = "http://json-schema.org/draft-07/schema#";
    for (rule, rules) in [
        ("unevaluatedProperties", json!({ "unevaluatedProperties": false })),
        ("false", json!({ "additionalProperties": false })),
        ("propertyNames", json!({ "propertyNames": { "maxLength": 3 } })),
        ("propertyNames", json!({ "propertyNames": { "pattern": "^x" } })),
        ("type", json!({ "patternProperties": { "^w": { "type": "string" } } })),
        ("maxLength", json!({ "additionalProperties": { "items": { "maxLength": 3 } } })),
        ("required", json!({ "required": ["b"] })),
        ("minProperties", json!({ "minProperties": 2 })),
        ("not", json!({ "not": { "required": [CANARY] } })),
        ("anyOf", json!({ "anyOf": [{ "required": ["b"] }, { "maxProperties": 0 }] })),
        ("enum", json!({ "enum": [{}] })),
        ("unevaluatedProperties", json!({ "allOf": [{ "unevaluatedProperties": false }] })),
    ] {
        for (secret, input, path) in [
            (json!({ "properties": { "pw": null } }), json!({ "pw": { CANARY: [long] } }), "input pw"),
            (json!({ "patternProperties": { "^p": null } }), json!({ "pw": { CANARY: [long] } }), "input pw"),
            (
                json!({ "properties": { "a/b": { "items": null } } }),
                json!({ "a/b": [{ CANARY: [long] }] }),
                "input a/b 0",
            ),
        ] {
            let mut marked = rules.clone();
            marked["writeOnly"] = true.into();
            let schema = secret.to_string().replace("null", &marked.to_string());
            let mut schema: Value = serde_json::from_str(&schema).unwrap();
            if !rules.to_string().contains("unevaluated") {
                schema["$schema"] = draft_7.into();
            }
            let refusals = InputSchema::compile(&schema).unwrap().check(&input).unwrap_err();
            assert!(!format!("{refusals:?}").contains(CANARY), "{schema}: {refusals:?}");
            assert_eq!(refusals.len(), 1, "{schema}: {refusals:?}");
            assert_eq!(refusals[0].path.join(" "), path, "{schema}");
            let said = format!("breaks the schema's rule `{rule}`. It is writeOnly, so no more is shown");
            assert_eq!(refusals[0].message, said, "{schema}");
        }
    }
    // Outside, names are shown as before.
    let schema = json!({ "properties": { "pw": { "writeOnly": true } }, "additionalProperties": false });
    let refusals = InputSchema::compile(&schema).unwrap().check(&json!({ "pw": 1, "pwd": 2 })).unwrap_err();
    assert_eq!(refusals[0].message, "Additional properties are not allowed ('pwd' was unexpected)");
}

/// A schema with one mark somewhere, and an object or a list around it for every level.
fn marked() -> impl Strategy<Value = Value> {
    let mark = Just(json!({ "type": "string", "writeOnly": true }));
    mark.prop_recursive(7, 20, 1, |inner| {
        (inner, 0usize..24).prop_map(|(inner, keyword)| match keyword {
            0 => json!({ "properties": { "a": inner } }),
            1 => json!({ "properties": { "b": {}, "a": inner }, "additionalProperties": false }),
            2 => json!({ "patternProperties": { "^[ab]$": inner } }),
            3 => json!({ "additionalProperties": inner, "properties": { "b": {} } }),
            4 => json!({ "unevaluatedProperties": inner }),
            5 => json!({ "items": inner }),
            6 => json!({ "prefixItems": [{}, inner] }),
            7 => json!({ "prefixItems": [{}], "items": inner }),
            8 => json!({ "contains": inner }),
            9 => json!({ "unevaluatedItems": inner }),
            10 => json!({ "allOf": [{}, inner] }),
            11 => json!({ "anyOf": [inner, {}] }),
            12 => json!({ "oneOf": [inner] }),
            13 => json!({ "not": { "not": inner } }),
            14 => json!({ "if": inner, "then": {} }),
            15 => json!({ "if": {}, "then": inner }),
            16 => json!({ "else": inner }),
            17 => json!({ "dependentSchemas": { "a": inner } }),
            18 => json!({ "dependencies": { "a": inner, "b": ["a"] } }),
            19 => json!({ "propertyNames": inner }),
            20 => json!({ "$defs": { "x": inner } }),
            21 => json!({ "additionalItems": inner }),
            22 => json!({ "contentSchema": inner }),
            _ => json!({ "x-unknown": inner }),
        })
    })
}

/// Values in which the canary stands in every place at which the mark may be.
fn values(depth: usize) -> Vec<Value> {
    if depth == 0 {
        return vec![json!(CANARY)];
    }
    let inner = values(depth - 1);
    let around = inner.iter().flat_map(|value| {
        [json!({ "a": value }), json!({ "a": value, "b": "x" }), json!(["x", value]), json!([value])]
    });
    around.chain([json!(CANARY)]).collect()
}

/// Whether the schema, as its validator sees it, finds the mark at the canary: it then refuses a
/// value of another type there.
fn describes_canary(schema: &Value, input: &Value) -> bool {
    let Ok(compiled) = InputSchema::compile(schema) else { return false };
    let other: Value =
        serde_json::from_str(&input.to_string().replace(&format!("\"{CANARY}\""), "7")).unwrap();
    compiled.check(input).is_ok() && compiled.check(&other).is_err()
}

proptest! {
    #[test]
    fn a_marked_value_is_never_public_unless_the_schema_is_refused(
        schema in marked(), draft in prop::option::of(prop::sample::select(vec![
            "https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2019-09/schema",
            "http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-06/schema#",
        ])),
    ) {
        let mut schema = schema;
        if let Some(draft) = draft {
            schema["$schema"] = json!(draft);
        }
        if check_schema(&schema).is_err() {
            return Ok(());
        }
        for input in values(3).iter().filter(|input| input.is_object()) {
            if describes_canary(&schema, input) {
                let shown = public(&schema, input);
                prop_assert!(!shown.contains(CANARY), "{schema} shows {shown}");
            }
        }
    }
}
