//! Profiles: create, read, update, delete, and every refusal.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::{TestApi, set};

const ALL: &str =
    "id name chromeProfilePath description labels environment proxySelection version createdAt updatedAt
    secrets { name isSet hint updatedAt expiresAt } services { id name } proxies { id name }";
const PASSWORD: &str = "correct horse battery staple";

#[tokio::test]
async fn a_profile_reads_back_as_created() {
    let api = TestApi::start().await;
    let (first, second) = (api.create("service", "first").await, api.create("service", "second").await);
    let proxy = api.create("proxy", "exit").await;
    let input = json!({
        "name": "Alice", "chromeProfilePath": "team/alice", "description": "buys things",
        "labels": ["b", "a", "b"],
        "environment": { "LANG": "de", "TZ": "UTC" }, "serviceIds": [second, first], "proxyIds": [proxy],
        "secrets": [
            { "name": "password", "value": PASSWORD, "expiresAt": "2999-01-01T00:00:00Z" },
            { "name": "pin", "value": "4711" },
        ],
    });
    let created = api.mutate_ok("profileCreate", ALL, input).await;
    let id = created["id"].as_str().unwrap();
    assert!(id.starts_with("profile_"), "{id}");
    assert_eq!(created["labels"], json!(["a", "b"]));
    assert_eq!(created["environment"], json!({ "LANG": "de", "TZ": "UTC" }));
    assert_eq!((&created["version"], &created["proxySelection"]), (&json!(1), &json!("FIRST_HEALTHY")));
    assert_eq!(
        created["services"],
        json!([{ "id": second, "name": "second" }, { "id": first, "name": "first" }])
    );
    assert_eq!(created["proxies"], json!([{ "id": proxy, "name": "exit" }]));
    let password = &created["secrets"][0];
    assert_eq!(
        (&password["name"], &password["isSet"], &password["hint"]),
        (&json!("password"), &json!(true), &json!("aple"))
    );
    assert_eq!(password["expiresAt"], "2999-01-01T00:00:00.000Z");
    assert_eq!(
        (&created["secrets"][1]["hint"], &created["secrets"][1]["expiresAt"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        created["createdAt"].as_str().unwrap().ends_with('Z')
            && created["createdAt"].as_str().unwrap().len() == 24
    );

    let query = format!(
        "query($id: ID!) {{ a: profile(id: $id) {{ {ALL} }} b: profile(name: \"Alice\") {{ {ALL} }}
         c: node(id: $id) {{ ... on Profile {{ {ALL} }} }} }}"
    );
    let read = api.data(&query, json!({ "id": id })).await;
    for alias in ["a", "b", "c"] {
        assert_eq!(read[alias], created, "{alias}");
    }
    api.assert_never_returned(&[PASSWORD, "4711"]);
}

#[tokio::test]
async fn a_missing_object_is_null_and_not_an_error() {
    let api = TestApi::start().await;
    let service = api.create("service", "s").await;
    let query = "query($id: ID!) { profile(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id } }";
    for id in
        ["", "profile_", "nonsense", "profile_01h455vb4pex5vsknk084sn02q", "job_01h455vb4pex5vsknk084sn02q"]
    {
        let data = api.data(query, json!({ "id": id })).await;
        assert_eq!(data, json!({ "profile": null, "node": null, "nodes": [null] }), "{id}");
    }
    let data = api.data(query, json!({ "id": service })).await;
    assert_eq!((&data["profile"], &data["node"]["id"]), (&Value::Null, &json!(service)));
    assert_eq!(api.data("{ profile(name: \"nobody\") { id } }", json!({})).await["profile"], Value::Null);
    assert_eq!(api.error("{ profile { id } }", json!({})).await, "BAD_REQUEST");
    let both = "query($id: ID!) { profile(id: $id, name: \"x\") { id } services { totalCount } }";
    let (status, response) = api.execute(Some("cb_admin"), both, json!({ "id": "profile_" })).await;
    assert_eq!(
        (status, &response["data"]["services"]["totalCount"]),
        (StatusCode::OK, &json!(1)),
        "{response}"
    );
    assert_eq!(response["errors"][0]["path"], json!(["profile"]));
}

#[tokio::test]
async fn all_problems_of_a_profile_are_reported_at_once() {
    let api = TestApi::start().await;
    let (service, proxy) = (api.create("service", "s").await, api.create("proxy", "x").await);
    let input = json!({
        "name": " padded", "chromeProfilePath": "../outside", "description": "x".repeat(2001),
        "labels": ["fine", ""],
        "environment": { "CALLBOARD_X": "1", "FINE": "1", "no name": "1", "NUMBER": 1 },
        "secrets": [
            { "name": "1st", "value": "x" }, { "name": "empty", "value": "" },
            { "name": "late", "value": "x", "expiresAt": "2001-01-01T00:00:00Z" },
            { "name": "twice", "value": "x" }, { "name": "twice", "value": "y" },
        ],
        "serviceIds": [service, proxy, "garbage", "service_01h455vb4pex5vsknk084sn02q", service],
        "proxyIds": [proxy, service],
    });
    let refused = api.refused("profileCreate", input).await;
    let expected = set([
        "INVALID name",
        "INVALID chromeProfilePath",
        "INVALID description",
        "INVALID labels.1",
        "INVALID environment.CALLBOARD_X",
        "INVALID environment.no name",
        "INVALID environment.NUMBER",
        "INVALID secrets.0.name",
        "INVALID secrets.1.value",
        "INVALID secrets.2.expiresAt",
        "INVALID secrets.4.name",
        "NOT_FOUND serviceIds.1",
        "NOT_FOUND serviceIds.2",
        "NOT_FOUND serviceIds.3",
        "INVALID serviceIds.4",
        "NOT_FOUND proxyIds.1",
    ]);
    assert_eq!(set(refused.iter().map(String::as_str)), expected);
    let many = vec![service; 101];
    let input = json!({ "name": "a", "chromeProfilePath": "a", "serviceIds": many, "environment": [] });
    let refused = api.refused("profileCreate", input).await;
    assert_eq!(set(refused.iter().map(String::as_str)), set(["TOO_MANY serviceIds", "INVALID environment"]));
    assert_eq!(api.data("{ profiles { totalCount } }", json!({})).await["profiles"]["totalCount"], 0);
}

#[tokio::test]
async fn names_and_directories_are_unique() {
    let api = TestApi::start().await;
    api.create("profile", "alice").await;
    let bob = api.create("profile", "bob").await;
    let taken = json!({ "name": "alice", "chromeProfilePath": "p/alice" });
    assert_eq!(api.refused("profileCreate", taken).await, ["TAKEN name", "TAKEN chromeProfilePath"]);
    assert_eq!(api.refused("profileUpdate", json!({ "id": bob, "name": "alice" })).await, ["TAKEN name"]);
    let path = json!({ "id": bob, "chromeProfilePath": "p/alice" });
    assert_eq!(api.refused("profileUpdate", path).await, ["TAKEN chromeProfilePath"]);
    api.mutate_ok("profileUpdate", "id", json!({ "id": bob, "name": "bob", "chromeProfilePath": "p/bob" }))
        .await;
}

#[tokio::test]
async fn a_profile_created_without_a_directory_gets_its_own() {
    let api = TestApi::start().await;
    let one = api.mutate_ok("profileCreate", ALL, json!({ "name": "one" })).await;
    let other =
        api.mutate_ok("profileCreate", ALL, json!({ "name": "other", "chromeProfilePath": null })).await;
    let paths = [&one, &other].map(|profile| profile["chromeProfilePath"].as_str().unwrap());
    assert!(paths.iter().all(|path| path.len() == 32) && paths[0] != paths[1], "{paths:?}");
}

#[tokio::test]
async fn an_update_keeps_absent_fields_and_clears_null_ones() {
    let api = TestApi::start().await;
    let (service, proxy) = (api.create("service", "s").await, api.create("proxy", "x").await);
    let input = json!({
        "name": "a", "chromeProfilePath": "a", "description": "d", "labels": ["l"],
        "environment": { "A": "1" },
        "serviceIds": [service], "proxyIds": [proxy], "proxySelection": "ROUND_ROBIN",
        "secrets": [{ "name": "one", "value": "1" }, { "name": "two", "value": "2" }],
    });
    let created = api.mutate_ok("profileCreate", ALL, input).await;
    let id = &created["id"];

    let same = api.mutate_ok("profileUpdate", ALL, json!({ "id": id })).await;
    assert_eq!(same, created, "an empty update does not change the version");
    let labelled =
        api.mutate_ok("profileUpdate", ALL, json!({ "id": id, "version": 1, "labels": ["m"] })).await;
    assert_eq!(
        (&labelled["labels"], &labelled["version"], &labelled["description"]),
        (&json!(["m"]), &json!(2), &json!("d"))
    );

    let changes = json!({
        "id": id, "description": null, "labels": null, "environment": null, "serviceIds": null,
        "proxyIds": null,
        "proxySelection": null, "secrets": [{ "name": "three", "value": PASSWORD }], "removeSecrets": ["one"],
    });
    let cleared = api.mutate_ok("profileUpdate", ALL, changes).await;
    let expected = json!([null, [], {}, [], [], "FIRST_HEALTHY", 3]);
    let found = ["description", "labels", "environment", "services", "proxies", "proxySelection", "version"]
        .map(|f| &cleared[f]);
    assert_eq!(json!(found), expected);
    let names: Vec<&str> = cleared["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["three", "two"]);

    let bad = json!({
        "id": id, "name": null, "chromeProfilePath": null, "secrets": [{ "name": "two", "value": "x" }],
        "removeSecrets": ["two", "unknown"],
    });
    let refused = api.refused("profileUpdate", bad).await;
    let expected = set([
        "INVALID name",
        "INVALID chromeProfilePath",
        "INVALID removeSecrets.0",
        "NOT_FOUND removeSecrets.1",
    ]);
    assert_eq!(set(refused.iter().map(String::as_str)), expected);
    api.assert_never_returned(&[PASSWORD]);
}

#[tokio::test]
async fn concurrent_updates_do_not_overwrite_each_other() {
    let api = TestApi::start().await;
    let id = api.create("profile", "a").await;
    api.mutate_ok("profileUpdate", "id", json!({ "id": id, "version": 1, "description": "mine" })).await;
    let stale = json!({ "id": id, "version": 1, "description": "yours" });
    assert_eq!(api.refused("profileUpdate", stale).await, ["STALE_VERSION version"]);
    assert_eq!(
        api.refused("profileDelete", json!({ "id": id, "version": 1 })).await,
        ["STALE_VERSION version"]
    );
    let read = api.data("{ profile(name: \"a\") { description version } }", json!({})).await;
    assert_eq!(read["profile"], json!({ "description": "mine", "version": 2 }));
    let (one, other) = tokio::join!(
        api.mutate(
            "profileUpdate",
            "profile { version }",
            json!({ "id": id, "version": 2, "description": "one" })
        ),
        api.mutate(
            "profileUpdate",
            "profile { version }",
            json!({ "id": id, "version": 2, "description": "other" })
        ),
    );
    let winners = [one, other].iter().filter(|payload| payload["profile"]["version"] == 3).count();
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_profile_in_use_cannot_be_deleted() {
    let api = TestApi::start().await;
    let (id, service) = (api.create("profile", "a").await, api.create("service", "s").await);
    let spec = json!({ "http": { "url": "https://example.test" } });
    let command =
        api.mutate_ok("commandCreate", "id", json!({ "name": "c", "spec": spec, "profileId": id })).await;
    assert_eq!(api.refused("profileDelete", json!({ "id": id })).await, ["IN_USE id"]);
    api.mutate("commandDelete", "deletedId", json!({ "id": command["id"] })).await;
    let deleted = api.mutate("profileDelete", "deletedId", json!({ "id": id, "version": 1 })).await;
    assert_eq!(deleted, json!({ "deletedId": id, "userErrors": [] }));
    for gone in [id.as_str(), &service, "", "profile_"] {
        assert_eq!(api.refused("profileDelete", json!({ "id": gone })).await, ["NOT_FOUND id"], "{gone}");
        assert_eq!(
            api.refused("profileUpdate", json!({ "id": gone, "name": "b" })).await,
            ["NOT_FOUND id"],
            "{gone}"
        );
    }
}

#[tokio::test]
async fn only_an_admin_changes_the_catalogue() {
    let api = TestApi::start().await;
    let mutation =
        "mutation { profileCreate(input: { name: \"a\", chromeProfilePath: \"a\" }) { profile { id } } }";
    for (key, status, code) in [
        (None, StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        (Some("cb_wrong"), StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        (Some("cb_viewer"), StatusCode::OK, "FORBIDDEN"),
        (Some("cb_operator"), StatusCode::OK, "FORBIDDEN"),
    ] {
        let (found, response) = api.execute(key, mutation, json!({})).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], code, "{response}");
        assert_eq!(found, status, "{response}");
    }
    let (_, response) = api.execute(Some("cb_viewer"), "{ profiles { totalCount } }", json!({})).await;
    assert_eq!(response["data"]["profiles"]["totalCount"], 0);
    let (_, response) = api.execute(None, "{ viewer { name } }", json!({})).await;
    assert_eq!(response["data"], json!({ "viewer": null }));
    assert!(response["errors"].is_null(), "{response}");
    let (_, response) =
        api.execute(Some("cb_operator"), "{ viewer { name role expiresAt } }", json!({})).await;
    let viewer = json!({ "name": "cb_operator", "role": "OPERATOR", "expiresAt": null });
    assert_eq!(response["data"]["viewer"], viewer);
}
