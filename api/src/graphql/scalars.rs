//! The contract's scalars `DateTime`, `Duration`, `JSON`, `URL` and `BigInt`.
//!
//! async-graphql's own scalars for chrono, url and serde_json are not used, because their formats
//! and descriptions differ from the contract.

use std::borrow::Cow;

use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, OutputType, Positioned, Scalar, ScalarType,
    ServerResult, Value, parser::types::Field, registry::Registry,
};
use axum::body::Bytes;
use callboard::{
    clock::{Time, written},
    duration::IsoDuration,
};
use chrono::Datelike as _;

/// A time in RFC 3339, UTC with `Z` and milliseconds: `2026-11-22T17:31:10.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateTime(pub Time);

/// A time in RFC 3339, UTC with `Z` and milliseconds: `2026-11-22T17:31:10.123Z`. Inputs may have
/// any offset.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        let time = chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        // An offset can lead out of the years that RFC 3339 can write.
        time.filter(|time| (0..=9999).contains(&time.year())).map(Self).ok_or_else(|| {
            InputValueError::custom("must be RFC 3339 with an offset, such as 2026-11-22T17:31:10.123Z")
        })
    }

    fn to_value(&self) -> Value {
        Value::String(written(self.0))
    }
}

/// An ISO 8601 duration, zero to `P366D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub IsoDuration);

/// An ISO 8601 duration such as `PT30S`, `PT5M` or `P1D`, zero to `P366D`, without months or years.
/// Days are 24 hours. Fractions of seconds (`PT0.25S`) are kept to the millisecond.
#[Scalar(name = "Duration", specified_by_url = "https://www.iso.org/standard/70907.html")]
impl ScalarType for Duration {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        text.parse().map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Any JSON value.
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub serde_json::Value);

/// Any JSON value. Used only where Callboard does not define the shape: inputs, settings and
/// results.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        value.into_json().map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        JsonText::from(&self.0).to_value()
    }
}

/// The scalar `JSON` as text, for values that are large or come as text. It is written as it is.
#[derive(Debug, Clone)]
pub struct JsonText(Bytes);

impl JsonText {
    /// JSON that Postgres or serde has written.
    pub fn new(text: impl Into<Bytes>) -> Self {
        Self(text.into())
    }

    /// What `operation::Written` writes as it is. A tree of a large value would take many times its
    /// memory.
    fn to_value(&self) -> Value {
        Value::Binary(self.0.clone())
    }
}

impl From<&serde_json::Value> for JsonText {
    fn from(value: &serde_json::Value) -> Self {
        Self(value.to_string().into())
    }
}

impl OutputType for JsonText {
    fn type_name() -> Cow<'static, str> {
        <Json as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Json as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(self.to_value())
    }
}

/// An absolute URL, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url(pub String);

/// An absolute URL.
#[Scalar(name = "URL", specified_by_url = "https://url.spec.whatwg.org/")]
impl ScalarType for Url {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        url::Url::parse(text)
            .map(|_| Self(text.clone()))
            .map_err(|_| InputValueError::custom("must be an absolute URL, such as https://example.com/api"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A 64-bit integer, written as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BigInt(pub i64);

/// A 64-bit integer as a decimal string, because `Int` ends at 2147483647. Inputs may also be plain
/// integers.
#[Scalar(name = "BigInt")]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        let parsed = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64(),
            Value::Null
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Object(_) => return Err(InputValueError::expected_type(value)),
        };
        parsed
            .map(Self)
            .ok_or_else(|| InputValueError::custom("must be a 64-bit integer as a string, such as \"42\""))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &impl ScalarType) -> String {
        let Value::String(text) = value.to_value() else { panic!("not a string") };
        text
    }

    #[test]
    fn times_always_have_milliseconds_and_z() {
        for (given, written) in [
            ("2026-11-22T17:31:10Z", "2026-11-22T17:31:10.000Z"),
            ("2026-11-22T17:31:10.123456789Z", "2026-11-22T17:31:10.123Z"),
            ("2026-11-22T19:31:10.5+02:00", "2026-11-22T17:31:10.500Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(text(&DateTime::parse(given.into()).unwrap()), written);
        }
        for bad in [
            "2026-11-22",
            "2026-11-22T17:31:10",
            "now",
            "",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert!(DateTime::parse(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_urls_and_big_integers_read_back() {
        assert_eq!(text(&Duration::parse("PT90S".into()).unwrap()), "PT1M30S");
        assert!(Duration::parse("P1M".into()).is_err());
        assert_eq!(text(&Url::parse("https://Example.com".into()).unwrap()), "https://Example.com");
        assert!(Url::parse("/relative".into()).is_err());
        assert_eq!(text(&BigInt::parse("9223372036854775807".into()).unwrap()), "9223372036854775807");
        assert_eq!(BigInt::parse(7.into()).unwrap(), BigInt(7));
        assert!(BigInt::parse("1e3".into()).is_err());
        assert!(BigInt::parse(true.into()).is_err());
    }

    #[test]
    fn json_keeps_the_order_of_its_keys() {
        let given = serde_json::json!({ "z": 1, "a": [true, null, { "m": "x" }] });
        let Value::Binary(text) = Json(given.clone()).to_value() else { panic!("not a text") };
        assert_eq!(text, given.to_string());
        let value = Value::from_json(given.clone()).unwrap();
        assert_eq!(Json::parse(value).unwrap().0, given);
    }
}
