//! The meanings of docs/contract.graphql. `npm run contract` compares names and types only.
//!
//! conformance/meanings.txt names the tests of each described part. Here are those that belong to
//! no other file.

use std::{collections::BTreeSet, path::Path};

use async_graphql::parser::{
    parse_schema,
    types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition},
};
use serde_json::{Value, json};

use crate::harness::{Harness, reasons};

const CONTRACT: &str = include_str!("../../../docs/contract.graphql");
const MEANINGS: &str = include_str!("../../../conformance/meanings.txt");
const NOT_YET: &str = include_str!("../../../conformance/node/not-yet.txt");

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty())
}

/// The paths of all parts of the contract that have a description.
fn described() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut add = |path: String, is_described: bool| {
        if is_described {
            paths.insert(path);
        }
    };
    for definition in parse_schema(CONTRACT).unwrap().definitions {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let name = of.node.name.node.to_string();
        add(name.clone(), of.node.description.is_some());
        let fields: Vec<FieldDefinition> = match &of.node.kind {
            TypeKind::Object(object) => object.fields.iter().map(|field| field.node.clone()).collect(),
            TypeKind::Interface(object) => object.fields.iter().map(|field| field.node.clone()).collect(),
            TypeKind::Scalar | TypeKind::Union(_) | TypeKind::Enum(_) | TypeKind::InputObject(_) => {
                Vec::new()
            }
        };
        for field in fields {
            add(format!("{name}.{}", field.name.node), field.description.is_some());
            for argument in &field.arguments {
                let InputValueDefinition { name: argument, description, .. } = &argument.node;
                add(format!("{name}.{}.{}", field.name.node, argument.node), description.is_some());
            }
        }
        if let TypeKind::InputObject(input) = &of.node.kind {
            for field in &input.fields {
                add(format!("{name}.{}", field.node.name.node), field.node.description.is_some());
            }
        }
        if let TypeKind::Enum(values) = &of.node.kind {
            for value in &values.values {
                add(format!("{name}.{}", value.node.value.node), value.node.description.is_some());
            }
        }
    }
    paths
}

#[test]
fn every_described_part_of_the_contract_has_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = BTreeSet::new();
    for line in lines(MEANINGS) {
        let (part, test) = line.split_once(' ').unwrap();
        let (file, test) = test.split_once(": ").unwrap_or_else(|| panic!("{line}"));
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("{file}"));
        assert!(source.contains(&format!("fn {test}()")), "there is no test {test} in {file}");
        named.insert(part.to_owned());
    }
    let not_yet: BTreeSet<&str> = lines(NOT_YET).collect();
    let is_to_come = |path: &str| {
        not_yet.contains(path) || path.split_once('.').is_some_and(|(of, _)| not_yet.contains(of))
    };
    let described = described();
    assert!(described.len() > 80, "{}", described.len());
    let untested: Vec<&String> =
        described.iter().filter(|path| !named.contains(*path) && !is_to_come(path)).collect();
    assert_eq!(untested, Vec::<&String>::new(), "parts of the contract that conformance/meanings.txt lacks");
    let unknown: Vec<&String> =
        named.iter().filter(|part| !described.contains(*part) && !part.starts_with("Rule.")).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "parts that the contract does not describe");
}

#[tokio::test]
async fn a_priority_is_0_to_9_and_4_by_default() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    for (given, expected) in [(Value::Null, 4), (json!(0), 0), (json!(9), 9)] {
        let job = harness.enqueue(json!({ "commandId": command, "priority": given })).await;
        assert_eq!(harness.read_job(job, "priority").await["priority"], expected);
    }
    for bad in [-1, 10] {
        let input = json!({ "commandId": command, "priority": bad });
        assert_eq!(harness.refused("jobEnqueue", input).await, ["INVALID priority"]);
    }
}

#[tokio::test]
async fn jobs_enqueue_takes_1_to_1000_jobs() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = json!({ "commandId": command });
    assert_eq!(harness.refused("jobsEnqueue", json!({ "jobs": [] })).await.len(), 1);
    assert_eq!(harness.refused("jobsEnqueue", json!({ "jobs": vec![&job; 1001] })).await.len(), 1);
    let payload = harness.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": vec![&job; 1000] })).await;
    assert_eq!(payload["jobs"].as_array().unwrap().len(), 1000);
    let page = harness.data("{ jobs { totalCount } }", json!({})).await;
    assert_eq!(page["jobs"]["totalCount"], 1000);
}

#[tokio::test]
async fn a_page_has_25_items_by_default_and_at_most_100() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let jobs = vec![json!({ "commandId": command }); 110];
    harness.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": jobs })).await;
    for (arguments, count) in [("", 25), ("(first: 100)", 100), ("(last: 3)", 3), ("(first: null)", 25)] {
        let data = harness.data(&format!("{{ jobs{arguments} {{ nodes {{ id }} }} }}"), json!({})).await;
        assert_eq!(data["jobs"]["nodes"].as_array().unwrap().len(), count, "{arguments}");
    }
    for arguments in ["first: 101", "last: 101", "first: -1", "first: 1, last: 1"] {
        let code = harness.error(&format!("{{ jobs({arguments}) {{ totalCount }} }}"), json!({})).await;
        assert_eq!(code, "BAD_REQUEST", "{arguments}");
    }
}

#[tokio::test]
async fn a_refused_mutation_returns_null_and_its_reasons() {
    let harness = Harness::new().await;
    for (mutation, object, input) in [
        ("jobCancel", "job", json!({ "id": "job_00000000000000000000000000" })),
        ("jobRetry", "job", json!({ "id": "x" })),
        ("profileUpdate", "profile", json!({ "id": "profile_00000000000000000000000000" })),
        ("scheduleUpdate", "schedule", json!({ "id": "x" })),
    ] {
        let payload = harness.mutate(mutation, &format!("{object} {{ id }}"), input).await;
        assert_eq!(payload[object], Value::Null, "{mutation}");
        assert_eq!(reasons(&payload), ["NOT_FOUND id"], "{mutation}");
    }
}

#[tokio::test]
async fn a_state_that_does_not_allow_a_change_refuses_it() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let id = json!({ "id": job.to_string() });
    assert_eq!(harness.refused("jobRetry", id.clone()).await, ["NOT_ALLOWED_IN_STATE id"]);
    harness.mutate("jobCancel", "job { id }", id.clone()).await;
    assert_eq!(harness.refused("jobCancel", id).await, ["NOT_ALLOWED_IN_STATE id"]);
}

#[tokio::test]
async fn a_hint_needs_sixteen_characters() {
    let harness = Harness::new().await;
    for (length, hint) in [(15, Value::Null), (16, json!("wxyz"))] {
        let token = format!("{}wxyz", "a".repeat(length - 4));
        let service = json!({ "name": format!("s{length}"), "token": token });
        let payload = harness.mutate("serviceCreate", "service { token { isSet hint } }", service).await;
        assert_eq!(payload["service"]["token"], json!({ "isSet": true, "hint": hint }), "{length}");
        assert!(!payload.to_string().contains(&token));
    }
}

#[tokio::test]
async fn a_profile_directory_is_relative_and_never_leaves_the_root() {
    let harness = Harness::new().await;
    for bad in ["/etc", "..", "../x", "a/../b", "a//b", "", "~/x", ".hidden", "a/."] {
        let input = json!({ "name": "p", "chromeProfilePath": bad });
        let payload = harness.mutate("profileCreate", "profile { id }", input).await;
        assert_eq!(reasons(&payload), ["INVALID chromeProfilePath"], "{bad}");
    }
    let profile = json!({ "name": "p", "chromeProfilePath": "team/alice" });
    harness.create("profileCreate", "profile", profile).await;
}

#[tokio::test]
async fn scalars_have_the_forms_of_the_contract() {
    let harness = Harness::new().await;
    let input = json!({
        "policy": { "timeout": "PT30S", "grace": "PT0.25S", "expiresAfter": "P1D" },
        "inputSchema": { "type": "object", "properties": { "x": {} } },
    });
    let command = harness.create_command("hello", input).await;
    for value in [json!(null), json!(true), json!(1.5), json!("text"), json!([1, { "a": [] }])] {
        let input = json!({ "commandId": command, "input": { "x": value } });
        let job = harness.enqueue(input).await;
        let shown = harness.read_job(job, "createdAt input policy { timeout grace expiresAfter }").await;
        let policy = json!({ "timeout": "PT30S", "grace": "PT0.25S", "expiresAfter": "P1D" });
        assert_eq!((&shown["policy"], &shown["input"]), (&policy, &json!({ "x": value })));
        let created = shown["createdAt"].as_str().unwrap();
        let form: String = created.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(form, "0000-00-00T00:00:00.000Z", "{created}");
    }
    for (url, is_fine) in [("https://api.example/v1", true), ("/v1", false), ("api.example", false)] {
        let query = "mutation($url: URL!) { serviceCreate(input: { name: \"s\", baseUrl: $url }) {
            service { baseUrl } userErrors { code } } }";
        let response = harness.execute("cb_admin", query, json!({ "url": url })).await;
        let shown = &response["data"]["serviceCreate"]["service"]["baseUrl"];
        assert_eq!(shown.is_string(), is_fine, "{url}: {response}");
    }
}
