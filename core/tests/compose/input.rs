//! Input schemas, inputs, and their secrets.

use callboard::{
    compose::{
        INPUT_BYTES_MAX, Input, InputSchema, SCHEMA_BYTES_MAX, SecretInputs, check_input, check_schema,
    },
    refusal::{Refusal, RefusalCode},
};
use serde_json::{Value, json};

fn paths(result: Result<impl Sized, Vec<Refusal>>) -> Vec<String> {
    let refusals = result.err().unwrap_or_default();
    assert!(refusals.iter().all(|refusal| refusal.code == RefusalCode::Invalid));
    refusals.into_iter().map(|refusal| refusal.path.join(" ")).collect()
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[test]
fn valid_schemas_are_accepted() {
    for schema in [
        json!({}),
        json!({"type": "object", "properties": {"a": {"type": "string", "format": "email"}}}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}),
        json!({"$defs": {"tree": {"properties": {"child": {"$ref": "#/$defs/tree"}}}}, "$ref": "#/$defs/tree"}),
        json!({"properties": {"self": {"$ref": "#"}}}),
        json!({"$defs": {"x y": {"type": "object"}}, "allOf": [{"$ref": "#/$defs/x%20y"}, {"$ref": "#/$defs/x%20y"}]}),
    ] {
        assert_eq!(check_schema(&schema), Ok(()), "{schema}");
    }
}

#[test]
fn invalid_schemas_are_refused_with_paths() {
    for (schema, path) in [
        (json!(true), "inputSchema"),
        (json!(null), "inputSchema"),
        (json!([]), "inputSchema"),
        (json!({"type": "strnig"}), "inputSchema type"),
        (json!({"properties": {"a": {"pattern": "("}}}), "inputSchema properties a pattern"),
        (json!({"properties": {"a": {"$ref": "https://x.test/schema"}}}), "inputSchema properties a"),
        (json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), "inputSchema properties a"),
        (json!({"$dynamicRef": "other.json#x"}), "inputSchema"),
        (json!({"$ref": "#"}), "inputSchema"),
        (json!({"allOf": [{"anyOf": [{"$ref": "#"}]}]}), "inputSchema allOf 0 anyOf 0"),
        (
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
            "inputSchema $defs a",
        ),
        (json!({"$anchor": "me", "if": {"$ref": "#me"}}), "inputSchema if"),
        (json!({"if": {"$ref": "#"}}), "inputSchema if"),
        (json!({"$schema": "http://json-schema.org/draft-04/schema#"}), "inputSchema $schema"),
        (
            json!({"$defs": {"a": {"$id": "http://x.test/a", "allOf": [{"$ref": "#/$defs/b"}], "$defs": {"b": {"$ref": "#"}}}}}),
            "inputSchema $defs a",
        ),
        (json!({"allOf": vec![json!({"pattern": "x"}); 101]}), "inputSchema allOf 100"),
        (json!({"description": "x".repeat(SCHEMA_BYTES_MAX)}), "inputSchema"),
        (nested(70), "inputSchema"),
    ] {
        assert_eq!(paths(check_schema(&schema)), [path], "{schema}");
    }
    assert!(check_schema(&json!({"$ref": "#/nowhere"})).is_err());
}

#[test]
fn violations_are_refused_with_paths() {
    let schema = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "mail": {"format": "email"},
            "users": {"type": "array", "items": {"properties": {"a/b~": {"type": "integer"}}}},
        },
        "additionalProperties": false,
    });
    let schema = InputSchema::compile(&schema).unwrap();
    assert!(schema.check(&json!({"name": "ab", "mail": "a@b.test", "users": [{"a/b~": 1}]})).is_ok());
    for (input, path) in [
        (json!({}), "input"),
        (json!(null), "input"),
        (json!({"name": "a"}), "input name"),
        (json!({"name": "ab", "mail": "x"}), "input mail"),
        (json!({"name": "ab", "users": [{}, {"a/b~": "x"}]}), "input users 1 a/b~"),
        (json!({"name": "ab", "other": 1}), "input"),
        (json!([]), "input"),
        (json!("x"), "input"),
    ] {
        assert_eq!(paths(schema.check(&input)), [path], "{input}");
    }
}

#[test]
fn violations_never_quote_a_value_and_are_bounded() {
    let schema = json!({"properties": {"pin": {"writeOnly": true, "maxLength": 3}, "n": {"enum": ["a"]}},
        "patternProperties": {"^x": {"type": "string"}}});
    let input = json!({"pin": "hunter2", "n": "hunter2"});
    for refusal in check_input(&schema, &input).unwrap_err() {
        assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
    }
    let many: serde_json::Map<String, Value> = (0..50).map(|n| (format!("x{n}"), json!(n))).collect();
    assert_eq!(check_input(&schema, &many.into()).unwrap_err().len(), 20);
}

#[test]
fn inputs_are_bounded() {
    let check = |input: Value| check_input(&json!({}), &input);
    assert!(check(json!({"a": "x".repeat(INPUT_BYTES_MAX - 8)})).is_ok());
    assert_eq!(paths(check(json!({"a": "x".repeat(INPUT_BYTES_MAX - 7)}))), ["input"]);
    assert!(check(nested(31)).is_ok());
    assert_eq!(paths(check(nested(32))), ["input"]);
    assert_eq!(paths(check(json!({"a": "b\0"}))), ["input"]);
    assert_eq!(paths(check(json!({"a\0": 1}))), ["input"]);
    assert_eq!(check(json!(null)).unwrap().public, json!({}));
}

#[test]
fn top_level_defaults_are_applied_and_deeper_ones_are_not() {
    let schema = json!({"required": ["a"], "properties": {
        "a": {"default": 1}, "b": {"default": {"x": 1}}, "c": {"properties": {"d": {"default": 1}}},
    }});
    let input = check_input(&schema, &json!({"b": 2, "c": {}})).unwrap();
    assert_eq!(input.public, json!({"a": 1, "b": 2, "c": {}}));
}

fn split(schema: &Value, input: &Value) -> (Value, Vec<String>) {
    let Input { public, secrets } = check_input(schema, input).unwrap();
    assert!(!public.to_string().contains("SECRET") && !format!("{secrets:?}").contains("SECRET"));
    (public, secrets.pointers().into_iter().collect())
}

#[test]
fn write_only_values_are_split_off_wherever_they_are() {
    let secret = json!({"writeOnly": true});
    for (schema, input, public, pointers) in [
        (
            json!({"properties": {"a": secret}}),
            json!({"a": "SECRET", "b": 1}),
            json!({"a": "***", "b": 1}),
            vec!["/a"],
        ),
        (json!({"properties": {"a": secret}}), json!({"b": 1}), json!({"b": 1}), vec![]),
        (
            json!({"properties": {"list": {"items": {"properties": {"x/y~": secret}}}}}),
            json!({"list": [{"x/y~": "SECRET"}, {"z": 1}, {"x/y~": {"deep": "SECRET"}}]}),
            json!({"list": [{"x/y~": "***"}, {"z": 1}, {"x/y~": "***"}]}),
            vec!["/list/0/x~1y~0", "/list/2/x~1y~0"],
        ),
        (json!({"additionalProperties": secret}), json!({"a": "SECRET"}), json!({"a": "***"}), vec!["/a"]),
        (
            json!({"properties": {"open": {}}, "additionalProperties": secret}),
            json!({"open": 1, "a": "SECRET"}),
            json!({"open": 1, "a": "***"}),
            vec!["/a"],
        ),
        (
            json!({"patternProperties": {"_key$": secret}}),
            json!({"a_key": "SECRET"}),
            json!({"a_key": "***"}),
            vec!["/a_key"],
        ),
        (
            json!({"properties": {"a": {"prefixItems": [{}, secret], "items": false}}}),
            json!({"a": [1, "SECRET"]}),
            json!({"a": [1, "***"]}),
            vec!["/a/1"],
        ),
        (
            json!({"anyOf": [{"properties": {"a": {"allOf": [secret]}}}, {"required": ["b"]}]}),
            json!({"a": "SECRET", "b": 1}),
            json!({"a": "***", "b": 1}),
            vec!["/a"],
        ),
        (
            json!({"$defs": {"login": {"properties": {"pin": {"$ref": "#/$defs/login/$defs/s"}, "sub": {"$ref": "#/$defs/login"}},
                "$defs": {"s": secret}}}, "$ref": "#/$defs/login"}),
            json!({"pin": "SECRET", "sub": {"sub": {"pin": "SECRET"}}}),
            json!({"pin": "***", "sub": {"sub": {"pin": "***"}}}),
            vec!["/pin", "/sub/sub/pin"],
        ),
        (
            json!({"properties": {"a": {"default": "SECRET", "writeOnly": true}}}),
            json!({}),
            json!({"a": "***"}),
            vec!["/a"],
        ),
    ] {
        assert_eq!(
            split(&schema, &input),
            (public, pointers.into_iter().map(str::to_owned).collect()),
            "{schema}"
        );
    }
}

#[test]
fn secrets_are_stored_and_read_back() {
    let schema = json!({"properties": {"a": {"writeOnly": true}, "b": {"writeOnly": true}}});
    let secrets = check_input(&schema, &json!({"a": "x", "b": [1, "y"]})).unwrap().secrets;
    let text = secrets.to_text();
    assert_eq!(SecretInputs::from_text(&text).unwrap(), secrets);
    assert!(SecretInputs::from_text(&"nonsense".into()).is_err());
    assert!(!secrets.is_empty() && SecretInputs::default().is_empty());
}

#[test]
fn references_that_multiply_are_bounded() {
    let twice = json!({"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "required": ["b"]});
    let deep = check_input(&twice, &nested(31)).unwrap_err();
    assert!(deep[0].message.contains("too long to check"), "{}", deep[0].message);
    assert_eq!(
        paths(check_input(&twice, &nested(2)))[0],
        "input",
        "a small input is checked and does not match"
    );
    let chain = |length: usize| {
        let link = |n: usize| (n.to_string(), json!({"$ref": format!("#/$defs/{}", n + 1)}));
        let mut links: serde_json::Map<String, Value> = (0..length).map(link).collect();
        links.insert(length.to_string(), json!({}));
        check_schema(&json!({ "$defs": links }))
    };
    assert_eq!(chain(15), Ok(()));
    assert!(chain(16).unwrap_err()[0].message.contains("too many references"));
    assert!(chain(1500).is_err());
}

#[test]
fn patterns_take_linear_time() {
    let schema = json!({"properties": {"a": {"pattern": "^(a+)+$"}}});
    let start = std::time::Instant::now();
    assert!(check_input(&schema, &json!({"a": format!("{}b", "a".repeat(50_000))})).is_err());
    assert!(start.elapsed().as_secs() < 5);
    assert!(check_schema(&json!({"properties": {"a": {"pattern": "(?=x)"}}})).is_err(), "needs backtracking");
}
