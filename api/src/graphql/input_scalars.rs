//! Checks times, durations, URLs and big integers in variables before an operation runs, to name
//! the variable in a refusal. async-graphql names only the types on the way to it.

use std::{collections::HashMap, sync::LazyLock};

use async_graphql::{
    InputType, InputValueError, Pos, ScalarType, Value, Variables,
    parser::{
        parse_schema,
        types::{BaseType, OperationDefinition, TypeKind, TypeSystemDefinition},
    },
};

use super::{
    roots,
    scalars::{BigInt, DateTime, Duration, Url},
};
use crate::error::{ApiError, Code};

/// The types of the fields of every input object.
static INPUTS: LazyLock<HashMap<String, HashMap<String, BaseType>>> = LazyLock::new(|| {
    let document = parse_schema(roots::schema().finish().sdl()).map(|document| document.definitions);
    let mut inputs = HashMap::new();
    for definition in document.unwrap_or_default() {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let TypeKind::InputObject(input) = of.node.kind else { continue };
        let fields =
            input.fields.into_iter().map(|field| (field.node.name.node.to_string(), field.node.ty.node.base));
        inputs.insert(of.node.name.node.to_string(), fields.collect());
    }
    inputs
});

/// A value that cannot be read, with its place, innermost part first.
struct Bad {
    place: Vec<String>,
    reason: String,
}

impl Bad {
    fn below(mut self, part: &impl ToString) -> Self {
        self.place.push(part.to_string());
        self
    }
}

/// Fails with BAD_REQUEST at the first scalar that cannot be read.
pub fn check(operation: &OperationDefinition, variables: &Variables) -> Result<(), ApiError> {
    for definition in &operation.variable_definitions {
        let name = &definition.node.name.node;
        let Some(value) = variables.get(name) else { continue };
        if let Err(bad) = of_type(value, &definition.node.var_type.node.base) {
            let Bad { mut place, reason } = bad.below(name);
            place.reverse();
            let message = format!("The variable `{}` cannot be read: {reason}.", place.join("."));
            return Err(ApiError::new(Code::BadRequest, message));
        }
    }
    Ok(())
}

fn of_type(value: &Value, of: &BaseType) -> Result<(), Bad> {
    match (of, value) {
        (_, Value::Null) => Ok(()),
        (BaseType::List(item), Value::List(values)) => {
            let mut values = values.iter().enumerate();
            values.try_for_each(|(index, value)| of_type(value, &item.base).map_err(|bad| bad.below(&index)))
        }
        // One value stands for a list of one.
        (BaseType::List(item), value) => of_type(value, &item.base),
        (BaseType::Named(of), value) => match (INPUTS.get(of.as_str()), value) {
            (Some(types), Value::Object(fields)) => fields.iter().try_for_each(|(name, value)| {
                let Some(of) = types.get(name.as_str()) else { return Ok(()) };
                of_type(value, of).map_err(|bad| bad.below(name))
            }),
            (Some(_), _) => Ok(()),
            (None, value) => scalar(value, of.as_str()),
        },
    }
}

/// All other types are left to the validation of the document.
fn scalar(value: &Value, of: &str) -> Result<(), Bad> {
    let reason = match of {
        "DateTime" => reason::<DateTime>(value),
        "Duration" => reason::<Duration>(value),
        "URL" => reason::<Url>(value),
        "BigInt" => reason::<BigInt>(value),
        _ => None,
    };
    reason.map_or(Ok(()), |reason| Err(Bad { place: Vec::new(), reason }))
}

/// Why a value cannot be read as this scalar.
fn reason<T: ScalarType + InputType>(value: &Value) -> Option<String> {
    let error: InputValueError<T> = ScalarType::parse(value.clone()).err()?;
    let message = error.into_server_error(Pos::default()).message;
    let reason = message.split_once("\": ").map_or(message.as_str(), |(_, reason)| reason);
    Some(reason.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    fn refused(declared: &str, variables: serde_json::Value) -> Option<String> {
        let document = parse_query(format!("query({declared}) {{ viewer {{ name }} }}")).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        check(&operation.node, &Variables::from_json(variables)).err().map(|error| error.message)
    }

    #[test]
    fn the_variable_that_cannot_be_read_is_named() {
        for (declared, variables, place) in [
            ("$at: DateTime", json!({ "at": "now" }), "`at`"),
            ("$list: [Duration!]!", json!({ "list": ["PT1S", "5m"] }), "`list.1`"),
            ("$list: [Duration!]!", json!({ "list": "5m" }), "`list`"),
            (
                "$input: CommandCreateInput!",
                json!({ "input": { "policy": { "timeout": 5 } } }),
                "`input.policy.timeout`",
            ),
            (
                "$input: ScheduleCreateInput!",
                json!({ "input": { "job": { "policy": { "rateLimits": [{ "per": "PT1S" }, { "per": "P1M" }] } } } }),
                "`input.job.policy.rateLimits.1.per`",
            ),
            (
                "$input: ServiceCreateInput!",
                json!({ "input": { "baseUrl": "api.example" } }),
                "`input.baseUrl`",
            ),
            (
                "$filter: JobFilter",
                json!({ "filter": { "createdAt": { "gte": "2026-11-22" } } }),
                "`filter.createdAt.gte`",
            ),
        ] {
            let message = refused(declared, variables).unwrap();
            assert!(message.contains(place) && message.ends_with('.'), "{message}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_validation() {
        for (declared, variables) in [
            ("$at: DateTime", json!({ "at": "2026-11-22T17:31:10Z" })),
            ("$at: DateTime", json!({ "at": null })),
            ("$at: DateTime", json!({ "other": "now" })),
            ("$input: CommandCreateInput!", json!({ "input": 7 })),
            (
                "$input: CommandCreateInput!",
                json!({ "input": { "unknown": "5m", "policy": null, "name": 7 } }),
            ),
            (
                "$input: ServiceCreateInput!",
                json!({ "input": { "settings": { "per": "5m", "at": [1, null] } } }),
            ),
            ("$x: Unknown", json!({ "x": "5m" })),
        ] {
            assert_eq!(refused(declared, variables.clone()), None, "{declared} {variables}");
        }
    }
}
