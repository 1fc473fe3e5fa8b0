//! The audit: who did what, from where, and what was changed by it. Pure.
//!
//! An entry is written in the transaction of the change that it tells of, and never changed
//! (`store::audit`). It holds no secret: of a secret it says that it was set.

use std::{net::IpAddr, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    clock::IdSource,
    ids::{self, ApiKeyId, AuditEventId, JobId},
};

/// The actor of what a worker does by itself.
pub const WORKER: &str = "worker";
/// The actor of what is done on the machine itself.
pub const COMMAND_LINE: &str = "callboard-api keys";
/// The actor with the configured key.
pub const CONFIGURED_KEY: &str = "CALLBOARD_API_KEY";
/// Actors that are no key of the catalogue. No such key may have their names.
pub const RESERVED: [&str; 3] = [WORKER, COMMAND_LINE, CONFIGURED_KEY];
/// The action of a rotation of the master key.
pub const ROTATION: &str = "keys rotate-master";
/// Longest text in a changed field, in bytes. Of a longer one its beginning and its hash are kept.
const TEXT_BYTES_MAX: usize = 1024;
/// Largest set of changed fields, in bytes of JSON. Of a larger one the names are kept.
const FIELDS_BYTES_MAX: usize = 64 * 1024;

/// Who does something: the holder of a key, or a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The name of the key, or of the schedule.
    pub name: String,
    /// The role of the key. `None` for a schedule, which an admin made.
    pub role: Option<&'static str>,
    /// Whether it is bound by what a command lets its jobs choose.
    pub is_bound: bool,
    /// The key in the catalogue. `None` for the configured key.
    pub key: Option<ApiKeyId>,
    /// The address of its client.
    pub address: Option<IpAddr>,
    /// How its operation came in: `http`, `sse` or `socket`.
    pub transport: Option<&'static str>,
}

/// Who does something to jobs, queues or workers, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct By {
    /// The holder of a key, or a schedule.
    pub actor: Arc<Actor>,
    /// The mutation. `None` for schedules and workers: what they do is in the events of the jobs.
    pub mutation: Option<&'static str>,
}

impl By {
    /// A worker by itself.
    pub fn worker() -> Self {
        Self { actor: Arc::new(Actor { name: WORKER.to_owned(), ..Actor::default() }), mutation: None }
    }

    /// A schedule, by its name.
    pub fn schedule(name: &str) -> Self {
        Self { actor: Arc::new(Actor { name: name.to_owned(), ..Actor::default() }), mutation: None }
    }

    /// The entry of a mutation. `None` for what is not audited.
    pub fn entry(&self, ids: IdSource) -> Option<Entry> {
        self.mutation.map(|mutation| Entry::new(ids.make(), &self.actor, mutation))
    }
}

/// What became of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, and nothing was changed.
    Refused,
}

impl Outcome {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Done, Self::Refused].into_iter().find(|each| each.as_str() == text)
    }
}

/// What something was done to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Object {
    /// The kind, as its ids begin: `service`, `job`.
    pub kind: Option<&'static str>,
    /// The public id, or the name of what has no id. `None` for many objects.
    pub id: Option<String>,
    /// The name.
    pub name: Option<String>,
}

impl Object {
    /// An object with its id and its name.
    pub fn new(kind: &'static str, id: &impl ToString, name: Option<&str>) -> Self {
        Self { kind: Some(kind), id: Some(id.to_string()), name: name.map(str::to_owned) }
    }

    /// The object with this public id, which a caller has given. `None` if it is no id: then it may
    /// be any text.
    pub fn with_id(given: &str) -> Option<Self> {
        let kind = ids::kind_of(given)?;
        Some(Self { kind: Some(kind), id: Some(given.to_owned()), name: None })
    }
}

/// An entry to write.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: AuditEventId,
    /// The name of who did it. `None` if nobody is known.
    pub actor: Option<String>,
    /// Their role.
    pub role: Option<&'static str>,
    /// Their key.
    pub key: Option<ApiKeyId>,
    /// The address of the client: behind a trusted proxy, the one that the proxy names.
    pub address: Option<IpAddr>,
    /// How it came in.
    pub transport: Option<&'static str>,
    /// The mutation, or `signIn`, or the field that was refused.
    pub action: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What it was done to.
    pub object: Object,
    /// The jobs, if it was done to many at once.
    pub jobs: Vec<JobId>,
    /// Objects of one call, or equal refusals of one moment.
    pub count: i32,
    /// The changed fields as they were and as they are.
    pub change: Change,
    /// The reason of a refusal, or what else there is to say.
    pub message: Option<String>,
    /// How long ago it was, when the entry is written.
    pub ago: Duration,
}

impl Entry {
    /// Something that was done by an actor.
    pub fn new(id: AuditEventId, actor: &Actor, action: &str) -> Self {
        Self {
            id,
            actor: Some(actor.name.clone()).filter(|name| !name.is_empty()),
            role: actor.role,
            key: actor.key,
            address: actor.address,
            transport: actor.transport,
            action: action.to_owned(),
            outcome: Outcome::Done,
            object: Object::default(),
            jobs: Vec::new(),
            count: 1,
            change: Change::default(),
            message: None,
            ago: Duration::ZERO,
        }
    }

    /// Says to what it was done.
    #[must_use]
    pub fn on(mut self, object: Object) -> Self {
        self.object = object;
        self
    }

    /// Says to which jobs it was done.
    #[must_use]
    pub fn on_jobs(mut self, jobs: Vec<JobId>) -> Self {
        self.object.kind = Some("job");
        self.count = i32::try_from(jobs.len()).unwrap_or(i32::MAX);
        self.jobs = jobs;
        self
    }

    /// Says what was changed.
    #[must_use]
    pub fn changing(mut self, change: Change) -> Self {
        self.change = change;
        self
    }

    /// Makes it a refusal, with the reason.
    #[must_use]
    pub fn refused(mut self, why: impl Into<String>) -> Self {
        (self.outcome, self.message) = (Outcome::Refused, Some(why.into()));
        self
    }
}

/// The changed fields of an object, before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// As they were. `None` for a new object.
    pub before: Option<Value>,
    /// As they are. `None` for a deleted object.
    pub after: Option<Value>,
}

impl Change {
    /// The fields that differ. Both values must be free of secrets.
    pub fn between(before: Option<&Value>, after: Option<&Value>) -> Self {
        let (mut before, mut after) = (before.map(fields), after.map(fields));
        if let (Some(before), Some(after)) = (&mut before, &mut after) {
            let same: Vec<String> = before
                .iter()
                .filter(|(name, value)| after.get(*name) == Some(*value))
                .map(|(name, _)| name.clone())
                .collect();
            for name in same {
                before.remove(&name);
                after.remove(&name);
            }
        }
        Self { before: before.map(bounded), after: after.map(bounded) }
    }

    /// Adds fields to what is after: secrets as `***`, or what is not a part of the object.
    #[must_use]
    pub fn and(mut self, name: &str, value: Value) -> Self {
        let after = self.after.get_or_insert_with(|| Value::Object(Map::new()));
        after[name] = value;
        self
    }
}

fn fields(value: &Value) -> Map<String, Value> {
    let Value::Object(fields) = value else {
        return Map::from_iter([("value".to_owned(), shortened(value.clone()))]);
    };
    fields.iter().map(|(name, value)| (name.clone(), shortened(value.clone()))).collect()
}

/// The value with long texts cut.
fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            let hash = Sha256::digest(text.as_bytes());
            let start: String = text.chars().take(200).collect();
            let [a, b, c, d, ..]: [u8; 32] = hash.into();
            let hash = u32::from_be_bytes([a, b, c, d]);
            format!("{start}… ({} bytes, sha256 {hash:08x}…)", text.len()).into()
        }
        Value::Array(items) => items.into_iter().map(shortened).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, shortened(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn bounded(fields: Map<String, Value>) -> Value {
    let value = Value::Object(fields);
    if value.to_string().len() <= FIELDS_BYTES_MAX {
        return value;
    }
    let Value::Object(fields) = value else { return value };
    Value::Object(fields.into_iter().map(|(name, _)| (name, "… (too large to keep)".into())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_changed_fields_are_kept() {
        let (before, after) = (json!({ "a": 1, "b": [1], "c": null }), json!({ "a": 1, "b": [2], "c": "x" }));
        let change = Change::between(Some(&before), Some(&after));
        assert_eq!(change.before, Some(json!({ "b": [1], "c": null })));
        assert_eq!(change.after, Some(json!({ "b": [2], "c": "x" })));
        let created = Change::between(None, Some(&after)).and("token", "***".into());
        assert_eq!((created.before, created.after.unwrap()["token"].clone()), (None, json!("***")));
        assert_eq!(Change::between(Some(&before), None).before, Some(before));
    }

    #[test]
    fn long_texts_and_large_changes_are_cut() {
        let long = json!({ "script": "é".repeat(2000) });
        let kept = Change::between(None, Some(&long)).after.unwrap();
        let text = kept["script"].as_str().unwrap();
        assert!(text.len() < 600 && text.contains("(4000 bytes, sha256 "), "{text}");
        let large: Value = json!({ "a": vec!["x".repeat(1000); 100] });
        let kept = Change::between(None, Some(&large)).after.unwrap();
        assert_eq!(kept, json!({ "a": "… (too large to keep)" }));
    }
}
