//! Who may use which query, mutation and subscription: one table in code, held against
//! `schema.graphql` and against `docs/api.md`, and tried over every transport.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::parser::{
    parse_schema,
    types::{TypeKind, TypeSystemDefinition},
};
use callboard::{catalogue::KeyCreate, clock, store::catalogue::api_keys::Role};
use callboard_api::auth::rules::{EVERY_FIELD, Need, ROOTS, RULES};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    harness::Harness,
    visitor::{Answer, Shown, Visitor},
};

const SCHEMA: &str = include_str!("../../../schema.graphql");
const DOCS: &str = include_str!("../../../docs/api.md");

/// The fields of each type of the schema.
fn fields() -> BTreeMap<String, BTreeSet<String>> {
    let mut fields = BTreeMap::new();
    // The parser does not read the description of the whole schema, which is its last part.
    let (types, _) = SCHEMA.split_once("\n\"\"\"\nCallboard: ").unwrap();
    for definition in parse_schema(types).unwrap().definitions {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let TypeKind::Object(object) = of.node.kind else { continue };
        let names = object.fields.iter().map(|field| field.node.name.node.to_string()).collect();
        fields.insert(of.node.name.node.to_string(), names);
    }
    fields
}

#[test]
fn every_operation_has_one_rule_and_every_rule_a_field() {
    let fields = fields();
    let mut ruled: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (on, _, names) in RULES {
        ruled.entry(on).or_default().extend(*names);
    }
    for (on, names) in ruled {
        let known = fields.get(on).unwrap_or_else(|| panic!("there is a rule for {on}, but no such type"));
        for name in &names {
            let is_known = *name == EVERY_FIELD || known.contains(*name);
            assert!(is_known, "there is a rule for {on}.{name}, but no such field");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{on}.{name} has two rules");
        }
        if ROOTS.contains(&on) {
            let missing: Vec<&String> = known.iter().filter(|name| !names.contains(&name.as_str())).collect();
            assert!(missing.is_empty(), "without a rule in api/src/auth/rules.rs: {on}.{missing:?}");
        }
    }
}

/// The table of `docs/api.md`, as the rules say it.
fn table() -> String {
    let mut text = String::from("| needs | queries | mutations | subscriptions |\n|---|---|---|---|\n");
    let needs = [
        (Need::Nothing, "nothing"),
        (Need::Role(callboard_api::auth::Role::Viewer), "VIEWER"),
        (Need::Role(callboard_api::auth::Role::Operator), "OPERATOR"),
        (Need::Role(callboard_api::auth::Role::Admin), "ADMIN"),
    ];
    for (need, name) in needs {
        let cell = |root: &&str| {
            let rules = RULES.iter().filter(|(on, of, _)| on == root && *of == need);
            let mut names: Vec<&str> = rules.flat_map(|(.., names)| names.iter().copied()).collect();
            names.sort_unstable();
            let names: Vec<String> = names.iter().map(|name| format!(" `{name}`")).collect();
            format!("{} |", names.join(","))
        };
        let cells: Vec<String> = ROOTS.iter().map(cell).collect();
        text.extend(["| ", name, " |", &cells.concat(), "\n"]);
    }
    text
}

#[test]
fn the_documentation_has_the_table() {
    let table = table();
    assert!(DOCS.contains(&table), "docs/api.md lacks this table:\n{table}");
}

/// What `docs/api.md` says that each operation needs: 0 for nothing to 3 for ADMIN.
fn documented() -> BTreeMap<String, usize> {
    let rows = DOCS.lines().skip_while(|line| !line.starts_with("| needs |")).skip(2).take(4);
    let mut needs = BTreeMap::new();
    for (level, row) in rows.enumerate() {
        let names = row.split('`').skip(1).step_by(2);
        needs.extend(names.map(|name| (name.to_owned(), level)));
    }
    needs
}

/// The least input of each input type, made from the schema.
struct Inputs(BTreeMap<String, Value>);

impl Inputs {
    async fn read(harness: &Harness) -> Self {
        let query = "{ __schema { types { name kind enumValues { name } inputFields { name defaultValue
            type { ...T } } } } }
            fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
        let types = harness.data(query, json!({})).await["__schema"]["types"].take();
        let name = |of: &Value| of["name"].as_str().unwrap().to_owned();
        Self(types.as_array().unwrap().iter().map(|of| (name(of), of.clone())).collect())
    }

    fn of(&self, of: &Value) -> Value {
        match (of["kind"].as_str().unwrap(), of["name"].as_str()) {
            ("NON_NULL", _) => self.of(&of["ofType"]),
            ("LIST", _) => json!([]),
            ("INPUT_OBJECT", Some("CommandSpecInput")) => json!({ "program": { "program": "/bin/true" } }),
            ("INPUT_OBJECT", Some(name)) => {
                let fields = self.0[name]["inputFields"].as_array().unwrap();
                let required = fields
                    .iter()
                    .filter(|field| field["type"]["kind"] == "NON_NULL" && field["defaultValue"].is_null());
                required
                    .map(|field| (field["name"].as_str().unwrap().to_owned(), self.of(&field["type"])))
                    .collect()
            }
            ("ENUM", Some(name)) => self.0[name]["enumValues"][0]["name"].clone(),
            (_, Some("Int" | "Float")) => json!(1),
            (_, Some("Boolean")) => json!(true),
            (_, Some("JSON")) => json!({}),
            (_, Some("DateTime")) => json!("2100-01-01T00:00:00Z"),
            (_, Some("Duration")) => json!("PT1S"),
            _ => json!("x"),
        }
    }
}

/// An operation with the least arguments that the schema accepts.
struct Operation {
    name: String,
    query: String,
    variables: Value,
}

async fn operations(harness: &Harness, inputs: &Inputs) -> Vec<Operation> {
    const OF: &str = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
    let mut operations = Vec::new();
    for (root, keyword) in [("Query", "query"), ("Mutation", "mutation"), ("Subscription", "subscription")] {
        let query = format!(
            "{{ __type(name: \"{root}\") {{ fields {{ name type {{ {OF} }} args {{ name defaultValue type {{ {OF} }} }} }} }} }}"
        );
        let fields = harness.data(&query, json!({})).await["__type"]["fields"].take();
        for field in fields.as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            let required = field["args"].as_array().unwrap().iter();
            let required: Vec<&Value> = required
                .filter(|arg| arg["type"]["kind"] == "NON_NULL" && arg["defaultValue"].is_null())
                .collect();
            let named = |arg: &&Value| arg["name"].as_str().unwrap().to_owned();
            let variables: Value = required.iter().map(|arg| (named(arg), inputs.of(&arg["type"]))).collect();
            let each = |form: fn(&str, &str) -> String| {
                let texts: Vec<String> =
                    required.iter().map(|arg| form(&named(arg), &written(&arg["type"]))).collect();
                if texts.is_empty() { String::new() } else { format!("({})", texts.join(", ")) }
            };
            let declared = each(|name, of| format!("${name}: {of}"));
            let passed = each(|name, _| format!("{name}: ${name}"));
            let query = format!("{keyword}{declared} {{ {name}{passed} {{ __typename }} }}");
            operations.push(Operation { name: name.to_owned(), query, variables });
        }
    }
    operations
}

/// A type as it is written.
fn written(of: &Value) -> String {
    match of["kind"].as_str().unwrap() {
        "NON_NULL" => format!("{}!", written(&of["ofType"])),
        "LIST" => format!("[{}]", written(&of["ofType"])),
        _ => of["name"].as_str().unwrap().to_owned(),
    }
}

/// A caller of the table, and its level: 0 for nobody to 3 for an ADMIN. `None` for one whose key
/// no longer works.
struct Column {
    name: &'static str,
    visitor: Visitor,
    level: Option<usize>,
}

async fn columns(harness: &Harness) -> Vec<Column> {
    let mut columns = Vec::new();
    let mut add = |name, shown, level| {
        columns.push(Column { name, visitor: Visitor::new(harness.address, shown), level });
    };
    add("nobody", Shown::Nothing, Some(0));
    for (name, role, level) in
        [("VIEWER", Role::Viewer, 1), ("OPERATOR", Role::Operator, 2), ("ADMIN", Role::Admin, 3)]
    {
        let (_, text) = harness.create_key(name, role).await;
        let cookie = harness.open_session(&text).await;
        add(name, Shown::Key(text), Some(level));
        add(name, Shown::Cookie(cookie), Some(level));
    }
    let (revoked, text) = harness.create_key("revoked", Role::Admin).await;
    let ended = harness.open_session(&text).await;
    harness.keys.key_revoke(revoked).await.unwrap();
    harness.eventually_refused(&text).await;
    add("revoked", Shown::Key(text), None);
    // A browser cannot forget the cookie of a session that has ended, so it counts as nothing.
    add("ended session", Shown::Cookie(ended), Some(0));
    let expires_at = Some(clock::now() + chrono::Duration::milliseconds(300));
    let new = KeyCreate { name: "expired".into(), role: Role::Admin, expires_at };
    let (_, expired) = harness.keys.key_create(new).await.unwrap();
    add("expired", Shown::Key(expired.expose_secret().to_owned()), None);
    add("unknown", Shown::Key("cb_unknown".into()), None);
    harness.eventually_refused(expired.expose_secret()).await;
    columns
}

#[tokio::test]
async fn every_operation_answers_each_caller_as_documented() {
    let harness = Harness::new().await;
    let inputs = Inputs::read(&harness).await;
    let operations = operations(&harness, &inputs).await;
    let documented = documented();
    let columns = columns(&harness).await;
    assert!(operations.len() > 50 && columns.len() == 11, "{} {}", operations.len(), columns.len());
    for Operation { name, query, variables } in &operations {
        let needed = documented[name];
        for Column { name: caller, visitor, level } in &columns {
            // It would end the session of the column.
            if name == "sessionDelete" && matches!(visitor.shown, Shown::Cookie(_)) {
                continue;
            }
            let (http, events, socket) = tokio::join!(
                visitor.over_http(query, variables),
                visitor.over_events(query, variables),
                visitor.over_socket(query, variables)
            );
            for (transport, answer) in [("http", &http), ("sse", &events), ("socket", &socket)] {
                let case = format!("{name} by {caller} ({:?}) over {transport}: {answer:?}", visitor.shown);
                let is_closed = answer.is_closed(4401);
                match level {
                    None if transport == "socket" => assert!(is_closed, "{case}"),
                    None => assert!(answer.has("UNAUTHENTICATED"), "{case}"),
                    Some(level) => {
                        assert!(matches!(answer, Answer::Codes(_)), "{case}");
                        assert!(!answer.has("INTERNAL") && !answer.has("VALIDATION_FAILED"), "{case}");
                        let is_unknown = *level == 0 && needed > 0;
                        assert_eq!(answer.has("UNAUTHENTICATED"), is_unknown, "{case}");
                        assert_eq!(answer.has("FORBIDDEN"), *level > 0 && *level < needed, "{case}");
                    }
                }
            }
        }
    }
    for (key, can, cannot) in [
        ("cb_viewer", "jobs", "jobCancel"),
        ("cb_operator", "jobCancel", "apiKeys"),
        ("cb_admin", "apiKeys", ""),
    ] {
        let response = harness.execute(key, "{ viewer { can } }", json!({})).await;
        let names = response["data"]["viewer"]["can"].as_array().unwrap();
        assert!(names.contains(&json!(can)) && !names.contains(&json!(cannot)), "{response}");
    }
}

/// Ways of writing an operation that select the same field, or that no type allows.
fn spellings(query: &str) -> Vec<String> {
    let (head, field) = query.strip_suffix(" }").unwrap().split_once(" { ").unwrap();
    let root = match head.split(['(', ' ']).next().unwrap() {
        "query" => "Query",
        "mutation" => "Mutation",
        _ => "Subscription",
    };
    let mut spellings = vec![
        format!("{head} {{ alias: {field} }}"),
        format!("{head} {{ ... {{ {field} }} }}"),
        format!("{head} {{ ... @include(if: true) {{ {field} }} }}"),
    ];
    for on in [root, "Query", "Job", "Nothing"] {
        spellings.push(format!("{head} {{ ... on {on} {{ {field} }} }}"));
        spellings.push(format!("{head} {{ ...F }} fragment F on {on} {{ ... {{ {field} }} }}"));
    }
    spellings
}

#[tokio::test]
async fn no_spelling_of_an_operation_escapes_its_rule() {
    let harness = Harness::new().await;
    let inputs = Inputs::read(&harness).await;
    let documented = documented();
    for Operation { name, query, variables } in operations(&harness, &inputs).await {
        for (key, level) in [(None, 0), (Some("cb_viewer"), 1)] {
            if documented[&name] <= level {
                continue;
            }
            let shown = key.map_or(Shown::Nothing, |key| Shown::Key(key.to_owned()));
            let visitor = harness.visitor(shown);
            let code = if level == 0 { "UNAUTHENTICATED" } else { "FORBIDDEN" };
            for spelled in spellings(&query) {
                let (http, events, socket) = tokio::join!(
                    visitor.respond(&spelled, &variables),
                    visitor.over_events(&spelled, &variables),
                    visitor.over_socket(&spelled, &variables)
                );
                assert_eq!(http["data"], Value::Null, "{spelled}: {http}");
                for answer in [Answer::of(&http), events, socket] {
                    assert!(answer.has(code), "{spelled} at level {level}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_a_directive_leaves_out_is_decided_once() {
    let harness = Harness::new().await;
    let create = "apiKeyCreate(input: { name: \"x\", role: ADMIN })";
    for (head, directive) in [
        ("mutation($x: Boolean = true)", "@skip(if: $x)"),
        ("mutation($x: Boolean! = true)", "@skip(if: $x)"),
        ("mutation($x: Boolean = false)", "@include(if: $x)"),
        ("mutation", "@skip(if: true)"),
    ] {
        let query = format!("{head} {{ {create} {directive} {{ key }} }}");
        let response = harness.execute("cb_operator", &query, json!({})).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN", "{query}: {response}");
    }
    for (head, directive) in
        [("query($x: Boolean = true)", "@skip(if: $x)"), ("query($x: Boolean = false)", "@include(if: $x)")]
    {
        for (field, inner) in [("apiKeys", "{ totalCount }"), ("viewer", "{ name }")] {
            for query in [
                format!("{head} {{ __typename {field} {directive} {inner} }}"),
                format!("{head} {{ __typename ... {directive} {{ {field} {inner} }} }}"),
                format!("{head} {{ __typename ...F {directive} }} fragment F on Query {{ {field} {inner} }}"),
            ] {
                let response = harness.execute("cb_viewer", &query, json!({})).await;
                assert_eq!(response["data"], json!({ "__typename": "Query" }), "{query}");
                assert!(response["errors"].is_null(), "{query}");
            }
        }
    }
    assert_eq!(harness.data("{ apiKeys { totalCount } }", json!({})).await["apiKeys"]["totalCount"], 0);
}

#[tokio::test]
async fn an_operation_that_is_refused_in_part_does_nothing() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await.to_string();
    let query = "mutation($job: ID!) {
        jobCancel(input: { id: $job }) { job { id } }
        commandDelete(input: { id: $job }) { deletedId }
    }";
    let response = harness.execute("cb_operator", query, json!({ "job": job })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN", "{response}");
    assert_eq!(response["errors"][0]["path"], json!(["commandDelete"]), "{response}");
    assert_eq!(harness.read_job(job.parse().unwrap(), "state").await["state"], "QUEUED");
}

#[tokio::test]
async fn a_key_is_seen_by_an_admin_only_also_as_a_node() {
    let harness = Harness::new().await;
    let (id, _) = harness.create_key("ci", Role::Viewer).await;
    let query = "query($id: ID!) { node(id: $id) { __typename id } nodes(ids: [$id]) { id } }";
    for (key, is_seen) in [("cb_viewer", false), ("cb_operator", false), ("cb_admin", true)] {
        let response = harness.execute(key, query, json!({ "id": id.to_string() })).await;
        assert_eq!(response["data"]["node"].is_object(), is_seen, "{key}: {response}");
        assert_eq!(response["data"]["nodes"][0].is_object(), is_seen, "{key}: {response}");
    }
    let query = "query($id: ID!) { node(id: $id) { ... on ApiKey { name } } }";
    let response = harness.execute("cb_viewer", query, json!({ "id": id.to_string() })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN", "{response}");
}
