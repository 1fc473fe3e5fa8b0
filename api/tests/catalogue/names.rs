//! Names of every kind: one form, nothing that cannot be seen, found however they are written.

use serde_json::{Value, json};

use crate::api::TestApi;

const NFC: &str = "caf\u{e9}";
const NFD: &str = "cafe\u{301}";

/// The input that creates an object of this noun. `id` is a command's.
fn input(noun: &str, name: &str, id: &str) -> Value {
    match noun {
        "profile" | "service" => json!({ "name": name }),
        "proxy" => json!({ "name": name, "protocol": "HTTP", "address": "127.0.0.1:3128" }),
        "command" => json!({ "name": name, "spec": { "http": { "url": "https://example.test" } } }),
        "schedule" => json!({ "name": name, "cron": "0 0 1 1 *", "job": { "commandId": id } }),
        other => panic!("{other}"),
    }
}

const LISTS: [(&str, &str); 4] =
    [("profile", "profiles"), ("proxy", "proxies"), ("command", "commands"), ("schedule", "schedules")];

#[tokio::test]
async fn two_ways_of_writing_a_name_are_one_name_of_every_kind() {
    let api = TestApi::start().await;
    let command = api.create("command", "other").await;
    for (noun, list) in LISTS {
        let create = format!("{noun}Create");
        let created = api.mutate_ok(&create, "id name version", input(noun, NFD, &command)).await;
        assert_eq!(created["name"], NFC, "{noun}");
        for twin in [NFC, NFD, "cafe\u{301}\u{fe0f}"] {
            assert_eq!(api.refused(&create, input(noun, twin, &command)).await, ["TAKEN name"], "{noun}");
        }
        for search in [NFC, NFD, "af\u{e9}", "afe\u{301}", " CAFE\u{301} "] {
            let query =
                format!("query($search: String) {{ {list}(search: $search) {{ nodes {{ name }} }} }}");
            let found = api.data(&query, json!({ "search": search })).await[list].take();
            assert_eq!(found["nodes"], json!([{ "name": NFC }]), "{list} {search:?}");
        }
        for name in [NFC, NFD] {
            let query = format!("query($name: String) {{ {noun}(name: $name) {{ id }} }}");
            let found = api.data(&query, json!({ "name": name })).await[noun].take();
            assert_eq!(found["id"], created["id"], "{noun} {name:?}");
        }
        let update = format!("{noun}Update");
        let same = api.mutate_ok(&update, "version", json!({ "id": created["id"], "name": NFD })).await;
        assert_eq!(same["version"], created["version"], "{noun}: the same name is no change");
    }
}

#[tokio::test]
async fn a_name_with_what_cannot_be_seen_is_refused_for_every_kind() {
    let api = TestApi::start().await;
    let command = api.create("command", "other").await;
    for noun in ["profile", "proxy", "command", "schedule", "service"] {
        for unseen in ["\u{200b}", "\u{200d}", "\u{202e}", "\u{2028}", "\u{feff}", "\u{ad}", "\u{e000}", "\t"]
        {
            let bad = input(noun, &format!("a{unseen}b"), &command);
            assert_eq!(
                api.refused(&format!("{noun}Create"), bad).await,
                ["INVALID name"],
                "{noun} {unseen:?}"
            );
        }
    }
}

#[tokio::test]
async fn labels_are_kept_and_found_in_one_form() {
    let api = TestApi::start().await;
    let command = api.create("command", "other").await;
    let enqueue = |labels: Value| json!({ "commandId": command, "labels": labels });
    let job = api.mutate("jobEnqueue", "job { id labels }", enqueue(json!([NFD, NFC]))).await;
    assert_eq!(job["job"]["labels"], json!([NFC]));
    for label in [NFC, NFD] {
        let query = "query($filter: JobFilter) { jobs(filter: $filter) { nodes { id } } }";
        for filter in [json!({ "labels": [label] }), json!({ "search": label })] {
            let found = api.data(query, json!({ "filter": filter })).await["jobs"].take();
            assert_eq!(found["nodes"], json!([{ "id": job["job"]["id"] }]), "{filter}");
        }
    }
    assert_eq!(api.refused("jobEnqueue", enqueue(json!(["x", "a\u{202e}b"]))).await, ["INVALID labels.1"]);
    let profile = json!({ "name": "p", "labels": ["a\u{200b}"] });
    assert_eq!(api.refused("profileCreate", profile).await, ["INVALID labels.0"]);
}
