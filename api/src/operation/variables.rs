//! Completes variables by their defaults, and refuses those that contain U+0000, which Postgres
//! cannot store.

use async_graphql::{Value, Variables, parser::types::OperationDefinition};

use super::scan::holds_nul;
use crate::error::ApiError;

/// Refuses variables that contain U+0000 in any string or key, and says in which.
pub(super) fn check(variables: &Variables) -> Result<(), ApiError> {
    match variables.iter().find_map(|(name, value)| below(value, || name.to_string())) {
        None => Ok(()),
        Some(mut place) => {
            place.reverse();
            Err(holds_nul(&format!("The variable `{}`", place.join("."))))
        }
    }
}

/// Adds the defaults of the variables that were not given, so that whatever reads the variables has
/// the same values.
pub(super) fn add_defaults(variables: &mut Variables, operation: &OperationDefinition) {
    for definition in &operation.variable_definitions {
        let name = &definition.node.name.node;
        if let Some(default) =
            definition.node.default_value.as_ref().filter(|_| !variables.contains_key(name))
        {
            variables.insert(name.clone(), default.node.clone());
        }
    }
}

/// The path to the first string or object that holds U+0000, innermost part first.
fn place_of_nul(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => text.contains('\0').then(Vec::new),
        Value::List(items) => {
            items.iter().enumerate().find_map(|(index, item)| below(item, || index.to_string()))
        }
        Value::Object(fields) if fields.keys().any(|name| name.contains('\0')) => Some(Vec::new()),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| below(value, || name.to_string())),
        Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => None,
    }
}

/// The same for a value with a name in its parent.
fn below(value: &Value, name: impl FnOnce() -> String) -> Option<Vec<String>> {
    let mut place = place_of_nul(value)?;
    place.push(name());
    Some(place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_variable_that_holds_nul_is_named() {
        for (variables, place) in [
            (json!({ "a": "x\0" }), "`a`"),
            (json!({ "input": { "labels": ["x", "\0"] } }), "`input.labels.1`"),
            (json!({ "input": { "a": { "\0": 1 } } }), "`input.a`"),
        ] {
            let error = check(&Variables::from_json(variables)).unwrap_err();
            assert!(error.message.contains(place), "{error}");
        }
        assert_eq!(check(&Variables::from_json(json!({ "a": [1, null, { "b": "\\u0000" }] }))), Ok(()));
    }
}
