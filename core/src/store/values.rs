//! Converts values to and from columns: JSON, limits and arrays.

use std::borrow::Cow;

use super::StoreError;
use crate::{limit::Limits, text::storable_json};

/// A Postgres array literal, for columns whose values are arrays. They are sent as text, because
/// `unnest` flattens arrays of arrays.
pub(super) fn array_literal(elements: impl Iterator<Item = String>) -> String {
    let mut literal = String::from("{");
    for (index, element) in elements.enumerate() {
        if index > 0 {
            literal.push(',');
        }
        literal.push('"');
        for character in element.chars() {
            if matches!(character, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(character);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

/// The limits that a row declares.
pub(super) fn limits_of(
    table: &'static str,
    max_concurrency: Option<i32>,
    rate_limits: serde_json::Value,
    caps: Option<serde_json::Value>,
) -> Result<Limits, StoreError> {
    let max_concurrency = max_concurrency.and_then(|most| u32::try_from(most).ok());
    Ok(Limits {
        max_concurrency,
        rate_limits: from_json(table, "rate_limits", rate_limits)?,
        caps: caps.map(|caps| from_json(table, "caps", caps)).transpose()?.unwrap_or_default(),
    })
}

/// A value as JSON text for a jsonb column, without what Postgres refuses in its strings.
pub(super) fn to_json<T: serde::Serialize>(column: &'static str, value: &T) -> Result<String, StoreError> {
    let json =
        serde_json::to_string(value).map_err(|error| StoreError::corrupt("(new row)", column, &error))?;
    Ok(match storable_json(&json) {
        Cow::Owned(replaced) => replaced,
        Cow::Borrowed(_) => json,
    })
}

/// An optional value as JSON text for a jsonb column.
pub(super) fn optional_json<T: serde::Serialize>(
    column: &'static str,
    value: Option<&T>,
) -> Result<Option<String>, StoreError> {
    value.map(|value| to_json(column, value)).transpose()
}

/// Reads a jsonb column.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    json: serde_json::Value,
) -> Result<T, StoreError> {
    serde_json::from_value(json).map_err(|error| StoreError::corrupt(table, column, &error))
}
