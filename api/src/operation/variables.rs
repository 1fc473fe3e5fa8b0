//! Refuses variables that contain U+0000, which Postgres cannot store.

use async_graphql::{Value, Variables};

use super::scan::holds_nul;
use crate::error::ApiError;

/// Refuses variables that contain U+0000 in any string or key.
pub(super) fn check(variables: &Variables) -> Result<(), ApiError> {
    if variables.values().any(has_nul) { Err(holds_nul()) } else { Ok(()) }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::List(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => false,
    }
}
