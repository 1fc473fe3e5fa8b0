//! Fingerprint: recognises the repeat of a request under its idempotency key, by what the request
//! means (docs/adr/0017).
//!
//! A request is kept as two hashes: of what its caller gave, and of what that came to. A repeat has
//! one of them in common. The first does not change when the command is saved meanwhile, and the
//! second is the same for a default that is given and one that is left out. Secret inputs are in
//! neither, so a client cannot find out values by trying them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::submit::DEFAULT_PRIORITY;
use crate::{
    clock::Time,
    compose::Input,
    ids::{ProfileId, ProxyId, ServiceId},
    job::JobRequest,
    policy::Policy,
    secret::Keyring,
    store::jobs::insert::Idempotency,
};

/// The version of the canonical form, the first byte of what is stored. A golden test holds the
/// form. To change it, take the next number, and keep comparing keys of this one.
const VERSION: u8 = 2;
const HASH_BYTES: usize = 32;

/// What a request came to: the job without its secrets.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    pub(super) profile: Option<ProfileId>,
    pub(super) proxy: Option<ProxyId>,
    pub(super) services: &'a [ServiceId],
    /// With the schema's defaults, and `***` in place of secrets.
    pub(super) input: &'a Value,
    pub(super) queue: &'a str,
    /// `None` for now.
    pub(super) run_at: Option<Time>,
    pub(super) policy: &'a Policy,
    /// Sorted, without duplicates.
    pub(super) labels: &'a [String],
}

/// Under which key a request is kept, and as what.
pub(super) fn of(
    keyring: &Keyring,
    key: &str,
    request: &JobRequest,
    given: &Input,
    resolved: &Resolved<'_>,
) -> Idempotency {
    let mut of = of_given(keyring, key, request, given, resolved.labels);
    of.hash.extend(digest(&as_resolved(request, resolved)));
    of
}

/// The same for a request of which it is not known what it came to, because it is refused now.
pub(super) fn of_given(
    keyring: &Keyring,
    key: &str,
    request: &JobRequest,
    given: &Input,
    labels: &[String],
) -> Idempotency {
    let mut hash = vec![VERSION];
    hash.extend(digest(&as_given(request, given, labels)));
    // Before version 2, a hash was made of secrets too. It is not compared then.
    let older = if given.secrets.is_empty() { legacy(keyring, request) } else { Vec::new() };
    Idempotency { key: key.to_owned(), hash, older }
}

/// Whether a request repeats the one whose hash is stored.
pub(super) fn is_repeat(request: &Idempotency, stored: &[u8]) -> bool {
    match stored.split_first() {
        _ if stored.len() == HASH_BYTES => request.older.iter().any(|older| older == stored),
        Some((&VERSION, stored)) => {
            let own = request.hash.get(1..).unwrap_or_default().chunks(HASH_BYTES);
            own.zip(stored.chunks(HASH_BYTES)).any(|(own, stored)| own == stored)
        }
        Some(_) | None => false,
    }
}

/// What the caller gave. Absent, null and empty are the same where the schema says so.
fn as_given(request: &JobRequest, given: &Input, labels: &[String]) -> Value {
    json!({
        "command": request.command.to_string(),
        "profile": request.profile.map(|id| id.to_string()),
        "proxy": request.proxy.map(|id| id.to_string()),
        "services": request.services.as_ref().map(|ids| texts(ids)),
        "input": if given.public.is_null() { json!({}) } else { given.public.clone() },
        "queue": request.queue,
        "priority": request.priority.unwrap_or(i32::from(DEFAULT_PRIORITY)),
        "runAt": request.run_at.map(|at| at.timestamp_micros()),
        "policy": request.policy.as_ref().map_or_else(|| json!({}), |patch| without_empty(json_of(patch))),
        "labels": labels,
        "fairnessKey": request.fairness_key,
        "dependsOn": sorted(texts(&request.depends_on)),
    })
}

/// What that came to, with all defaults.
fn as_resolved(request: &JobRequest, resolved: &Resolved<'_>) -> Value {
    json!({
        "command": request.command.to_string(),
        "profile": resolved.profile.map(|id| id.to_string()),
        "proxy": resolved.proxy.map(|id| id.to_string()),
        "services": texts(resolved.services),
        "input": resolved.input,
        "queue": resolved.queue,
        "priority": request.priority.unwrap_or(i32::from(DEFAULT_PRIORITY)),
        "runAt": resolved.run_at.map(|at| at.timestamp_micros()),
        "policy": json_of(&in_order(resolved.policy)),
        "labels": resolved.labels,
        "fairnessKey": request.fairness_key,
        "dependsOn": sorted(texts(&request.depends_on)),
    })
}

/// A policy with its limits in the order of their names, because they have no other.
fn in_order(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.limits.rate_limits.sort_by(|one, other| one.name.cmp(&other.name));
    policy.limits.caps.sort_by_key(|cap| cap.per.as_str());
    policy
}

fn texts(ids: &[impl ToString]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts
}

fn json_of(value: &impl Serialize) -> Value {
    // Fails only for maps whose keys are no strings.
    serde_json::to_value(value).unwrap_or_default()
}

/// A patch without the parts that change nothing.
fn without_empty(patch: Value) -> Value {
    let Value::Object(fields) = patch else { return patch };
    let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    let kept = fields.into_iter().map(|(name, value)| (name, without_empty(value)));
    kept.filter(|(_, value)| !is_empty(value)).collect()
}

fn digest(value: &Value) -> [u8; HASH_BYTES] {
    let mut text = String::from("callboard request v2\0");
    write_canonical(value, &mut text);
    Sha256::digest(text).into()
}

/// JSON with its keys in order, and one spelling of each number.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, &Value> = fields.iter().collect();
            out.push('{');
            for (index, (name, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Number(number) => out.push_str(&canonical_number(number)),
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// `1`, `1.0` and `1e0` are one number.
fn canonical_number(number: &serde_json::Number) -> String {
    /// All whole numbers of JSON that are not floats are smaller.
    const WHOLE_MAX: f64 = 1e20;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < WHOLE_MAX => {
            (float as i128).to_string()
        }
        Some(_) | None => number.to_string(),
    }
}

/// The hashes of releases before version 2, one per key of the keyring: over Rust's own text of the
/// request. Drop it when no job of such a release is left.
fn legacy(keyring: &Keyring, request: &JobRequest) -> Vec<[u8; HASH_BYTES]> {
    let mut text = format!(
        "{:?}|{:?}|{:?}|{:?}|{}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}",
        Some(request.command),
        request.profile,
        request.proxy,
        request.services,
        legacy_json(request.input.as_ref().unwrap_or(&Value::Null)),
        request.queue,
        request.priority,
        request.run_at,
        request.policy,
        request.labels,
        request.depends_on,
    );
    if let Some(key) = &request.fairness_key {
        text = format!("{text}|{key:?}");
    }
    keyring.macs("idempotency", text.as_bytes())
}

/// JSON with its fields in the order of their texts.
fn legacy_json(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}:{}", Value::from(name.as_str()), legacy_json(value))
            };
            format!("{{{}}}", sorted(fields.iter().map(field).collect()).join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(legacy_json).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        compose::SecretInputs,
        patch::{BackoffPatch, LimitsPatch, NewRateLimit, Patch, PolicyPatch},
    };

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn idempotency(request: &JobRequest) -> Idempotency {
        let keyring = Keyring::parse(&KEY.into()).unwrap();
        let input = request.input.clone().unwrap_or(Value::Null);
        let given = Input { public: input.clone(), secrets: SecretInputs::default() };
        let policy = request.policy.clone().unwrap_or_default().over(&Policy::default());
        let resolved = Resolved {
            profile: request.profile,
            proxy: None,
            services: &[],
            input: &if input.is_null() { json!({}) } else { input },
            queue: request.queue.as_deref().unwrap_or("default"),
            run_at: request.run_at,
            policy: &policy,
            labels: &sorted(request.labels.clone()),
        };
        of(&keyring, "k", request, &given, &resolved)
    }

    fn request() -> JobRequest {
        JobRequest::new(Uuid::from_u128(1).into())
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn the_canonical_form_never_changes() {
        let full = JobRequest {
            profile: Some(Uuid::from_u128(2).into()),
            proxy: Some(Uuid::from_u128(3).into()),
            services: Some(vec![Uuid::from_u128(4).into()]),
            input: Some(json!({ "b": [1.5, 2.0, null, "é"], "a": { "z": true, "y": -0.0 } })),
            queue: Some("mail".into()),
            priority: Some(9),
            run_at: Time::from_timestamp(1_800_000_000, 0),
            policy: Some(PolicyPatch {
                max_attempts: Patch::Set(5),
                timeout: Patch::Clear,
                backoff: Patch::Set(BackoffPatch { jitter: Patch::Set(0.5), ..BackoffPatch::default() }),
                ..PolicyPatch::default()
            }),
            labels: vec!["x".into(), "y".into()],
            fairness_key: Some("customer".into()),
            depends_on: vec![Uuid::from_u128(6).into(), Uuid::from_u128(5).into()],
            ..request()
        };
        let hashes = [request(), full].map(|request| hex(&idempotency(&request).hash));
        let expected = [
            "02143fd1037905b5e11f8b76ebb6b89a4514a600e4caa242fd69b8da7097358c09\
             e0bfc3bf81cc5d8e5d166ea34b3069810aa35d6e8be9231cb3e8d70561bae280",
            "02b4edc34d106e4eb69a24c3029d93ce5439934f91ee7829ebb50dafe3be00f8cc\
             37c8560bdbae57e52fe6d5423f0290b636e36b4fc49955be1a14dff71600967c",
        ];
        assert_eq!(hashes, expected);
    }

    /// A policy with rate limits of these names.
    fn limited(names: &[&str]) -> PolicyPatch {
        let per = "PT1S".parse().unwrap();
        let limit = |name: &&str| NewRateLimit { name: (*name).to_owned(), limit: 1, per, burst: None };
        let rate_limits = Patch::Set(names.iter().map(limit).collect());
        PolicyPatch {
            limits: LimitsPatch { rate_limits, ..LimitsPatch::default() },
            ..PolicyPatch::default()
        }
    }

    #[test]
    fn requests_that_mean_the_same_are_repeats() {
        let with = |input: Value| JobRequest { input: Some(input), ..request() };
        let policy = |policy| JobRequest { policy: Some(policy), ..request() };
        let default = Policy::default();
        for (one, other) in [
            (request(), with(json!({}))),
            (request(), with(Value::Null)),
            (request(), JobRequest { priority: Some(4), ..request() }),
            (request(), JobRequest { queue: Some("default".into()), ..request() }),
            (request(), policy(PolicyPatch::default())),
            (request(), policy(PolicyPatch { limits: LimitsPatch::default(), ..PolicyPatch::default() })),
            (request(), policy(PolicyPatch { max_attempts: Patch::Set(3), ..PolicyPatch::default() })),
            (request(), policy(PolicyPatch { max_attempts: Patch::Clear, ..PolicyPatch::default() })),
            (
                request(),
                policy(PolicyPatch { timeout: Patch::Set(default.timeout), ..PolicyPatch::default() }),
            ),
            (
                request(),
                policy(PolicyPatch {
                    backoff: Patch::Set(BackoffPatch::default()),
                    ..PolicyPatch::default()
                }),
            ),
            (policy(limited(&["a", "b"])), policy(limited(&["b", "a"]))),
            (with(json!({ "n": 1 })), with(json!({ "n": 1.0 }))),
            (with(json!({ "n": [0, 1e3] })), with(json!({ "n": [-0.0, 1000] }))),
            (with(json!({ "a": 1, "b": 2 })), with(json!({ "b": 2, "a": 1 }))),
            (
                JobRequest { labels: vec!["a".into(), "b".into()], ..request() },
                JobRequest { labels: vec!["b".into(), "a".into()], ..request() },
            ),
        ] {
            let (one, other) = (idempotency(&one), idempotency(&other));
            assert!(is_repeat(&one, &other.hash) && is_repeat(&other, &one.hash), "{one:?} {other:?}");
        }
    }

    #[test]
    fn other_requests_are_none() {
        let with = |input: Value| JobRequest { input: Some(input), ..request() };
        let own = idempotency(&request());
        for other in [
            with(json!({ "a": 1 })),
            with(json!({ "a": null })),
            with(json!({ "a": "1" })),
            JobRequest { priority: Some(5), ..request() },
            JobRequest { queue: Some("other".into()), ..request() },
            JobRequest { profile: Some(Uuid::from_u128(1).into()), ..request() },
            JobRequest { labels: vec!["a".into()], ..request() },
            JobRequest { fairness_key: Some("a".into()), ..request() },
            JobRequest { depends_on: vec![Uuid::from_u128(1).into()], ..request() },
            JobRequest { run_at: Time::from_timestamp(1_800_000_000, 0), ..request() },
            JobRequest::new(Uuid::from_u128(9).into()),
        ] {
            assert!(!is_repeat(&own, &idempotency(&other).hash), "{other:?}");
        }
        for malformed in [&[][..], &[1, 2, 3], &[9; 65], &own.hash[..1]] {
            assert!(!is_repeat(&own, malformed));
        }
    }

    #[test]
    fn hashes_of_releases_before_are_recognised_under_every_key() {
        let new = "qrvM3e7/ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJk=";
        let (before, rotated) = (
            Keyring::parse(&KEY.into()).unwrap(),
            Keyring::parse(&format!("{new},{KEY}").as_str().into()).unwrap(),
        );
        let asked = JobRequest { input: Some(json!({ "b": 1, "a": [true, "x"] })), ..request() };
        let stored = legacy(&before, &asked).remove(0);
        // As commit a1530f0 stored it.
        assert_eq!(hex(&stored), "cb0aeb8ce2953343b277eb97334d5b304b5b2e6b42cdfa7897a0b4694994fef1");
        let own = Idempotency { older: legacy(&rotated, &asked), ..idempotency(&asked) };
        assert!(is_repeat(&own, &stored));
        assert!(!is_repeat(&idempotency(&request()), &stored));
    }
}
