//! The object that a refused operation would have been done to.

use async_graphql::Value;
use callboard::{audit::Object, name::check_queue};

/// The arguments and fields of inputs that name the object of an operation.
const OBJECTS: [&str; 3] = ["id", "jobId", "commandId"];

/// The object that a field's arguments name. A text that is no id is not kept, because it may be
/// anything. A queue has no id but its name.
pub fn object_of<'a>(field: &str, arguments: impl Iterator<Item = (&'a str, &'a Value)>) -> Object {
    for (name, value) in arguments {
        let given = |wanted: &str| match value {
            Value::String(_) if name == wanted => text_of(value),
            Value::Object(fields) if name == "input" => text_of(fields.get(wanted)?),
            Value::Object(_)
            | Value::String(_)
            | Value::Null
            | Value::Number(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_)
            | Value::List(_) => None,
        };
        if let Some(object) = OBJECTS.into_iter().filter_map(given).find_map(Object::with_id) {
            return object;
        }
        if field.starts_with("queue")
            && let Some(queue) = given("name").filter(|name| check_queue("name", name).is_ok())
        {
            return Object::new("queue", &queue, Some(queue));
        }
    }
    Object::default()
}

fn text_of(value: &Value) -> Option<&str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_object_of_a_refusal_is_what_the_caller_has_named_by_its_id() {
        let (service, job) = ("service_01h455vb4pex5vsknk084sn02q", "job_01h455vb4pex5vsknk084sn02q");
        let command = "command_01h455vb4pex5vsknk084sn02q";
        let input = |json: serde_json::Value| [("input", Value::from_json(json).unwrap())];
        let found = |field: &str, arguments: &[(&str, Value)]| {
            let object = object_of(field, arguments.iter().map(|(name, value)| (*name, value)));
            (object.kind.unwrap_or_default(), object.id.unwrap_or_default())
        };
        for (field, arguments, expected) in [
            ("serviceUpdate", input(json!({ "id": service, "commandId": command })), ("service", service)),
            ("jobCancel", input(json!({ "id": job, "reason": service })), ("job", job)),
            (
                "jobEnqueue",
                input(json!({ "commandId": command, "profileId": service })),
                ("command", command),
            ),
            ("jobLog", [("jobId", job.into())], ("job", job)),
            ("node", [("id", service.into())], ("service", service)),
            ("queuePause", input(json!({ "name": "mail" })), ("queue", "mail")),
            ("serviceCreate", input(json!({ "name": "mail" })), ("", "")),
            ("jobCancel", input(json!({ "id": "cb_a key by mistake" })), ("", "")),
            ("jobCancel", input(json!({ "id": 7 })), ("", "")),
            ("queuePause", input(json!({ "name": "a\u{7}" })), ("", "")),
        ] {
            assert_eq!(found(field, &arguments), (expected.0, expected.1.to_owned()), "{field}");
        }
    }
}
