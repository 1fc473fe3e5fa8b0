//! Services: create, read, update, delete, tokens, and every refusal.

use serde_json::{Value, json};

use crate::api::{TestApi, set};

const ALL: &str =
    "id name baseUrl settings version createdAt updatedAt token { name isSet hint updatedAt expiresAt }
    profiles { totalCount nodes { name } }";
const TOKEN: &str = "ghp_0123456789abcdef";

#[tokio::test]
async fn a_service_reads_back_without_its_token() {
    let api = TestApi::start().await;
    let input = json!({
        "name": "github", "baseUrl": "https://API.example.test", "token": TOKEN,
        "settings": { "z": 1, "a": [null, "ü"] },
    });
    let created = api.mutate_ok("serviceCreate", ALL, input).await;
    assert!(created["id"].as_str().unwrap().starts_with("service_"));
    assert_eq!(created["baseUrl"], "https://api.example.test");
    assert_eq!(created["settings"], json!({ "z": 1, "a": [null, "ü"] }));
    let token = &created["token"];
    assert_eq!(
        (&token["name"], &token["isSet"], &token["hint"]),
        (&json!("token"), &json!(true), &json!("cdef"))
    );
    assert_eq!(created["profiles"], json!({ "totalCount": 0, "nodes": [] }));

    let query = format!(
        "query($id: ID!) {{ a: service(id: $id) {{ {ALL} }} b: service(name: \"github\") {{ {ALL} }}
         c: node(id: $id) {{ ... on Service {{ {ALL} }} }} gone: service(id: \"profile_x\") {{ id }} }}"
    );
    let read = api.data(&query, json!({ "id": created["id"] })).await;
    for alias in ["a", "b", "c"] {
        assert_eq!(read[alias], created, "{alias}");
    }
    assert_eq!(read["gone"], Value::Null);

    let bare = api.mutate_ok("serviceCreate", ALL, json!({ "name": "bare" })).await;
    assert_eq!((&bare["baseUrl"], &bare["settings"]), (&Value::Null, &json!({})));
    assert_eq!(
        bare["token"],
        json!({ "name": "token", "isSet": false, "hint": null, "updatedAt": null, "expiresAt": null })
    );
    api.assert_never_returned(&[TOKEN]);
}

#[tokio::test]
async fn a_new_token_is_a_new_version() {
    let api = TestApi::start().await;
    let id = api.create("service", "s").await;
    let input = json!({ "id": id, "token": TOKEN, "expiresAt": "2999-01-01T00:00:00+01:00" });
    let refreshed = api.mutate_ok("serviceTokenRefresh", ALL, input).await;
    assert_eq!((&refreshed["version"], &refreshed["token"]["hint"]), (&json!(2), &json!("cdef")));
    assert_eq!(refreshed["token"]["expiresAt"], "2998-12-31T23:00:00.000Z");
    let again = api.mutate_ok("serviceTokenRefresh", ALL, json!({ "id": id, "token": "short" })).await;
    assert_eq!((&again["token"]["hint"], &again["token"]["expiresAt"]), (&Value::Null, &Value::Null));
    let bad = json!({ "id": id, "token": "", "expiresAt": "2001-01-01T00:00:00Z" });
    let refused = api.refused("serviceTokenRefresh", bad).await;
    assert_eq!(set(refused.iter().map(String::as_str)), set(["INVALID token", "INVALID expiresAt"]));
    assert_eq!(
        api.refused("serviceTokenRefresh", json!({ "id": "nobody", "token": "x" })).await,
        ["NOT_FOUND id"]
    );
    let long = "x".repeat(65_537);
    assert_eq!(
        api.refused("serviceTokenRefresh", json!({ "id": id, "token": long })).await,
        ["INVALID token"]
    );
    api.assert_never_returned(&[TOKEN]);
}

#[tokio::test]
async fn an_update_keeps_absent_fields_and_clears_null_ones() {
    let api = TestApi::start().await;
    let input = json!({ "name": "s", "baseUrl": "https://a.test", "token": TOKEN, "settings": { "a": 1 } });
    let created = api.mutate_ok("serviceCreate", ALL, input).await;
    let id = &created["id"];
    assert_eq!(api.mutate_ok("serviceUpdate", ALL, json!({ "id": id })).await, created);
    let cleared = api
        .mutate_ok("serviceUpdate", ALL, json!({ "id": id, "version": 1, "baseUrl": null, "settings": null }))
        .await;
    assert_eq!(
        (&cleared["baseUrl"], &cleared["settings"], &cleared["version"]),
        (&Value::Null, &json!({}), &json!(2))
    );
    assert_eq!(cleared["token"], created["token"], "an update keeps the token");
    let set_again = json!({ "id": id, "name": "t", "baseUrl": "http://b.test/v1", "settings": { "b": 2 } });
    let set_again = api.mutate_ok("serviceUpdate", ALL, set_again).await;
    assert_eq!((&set_again["name"], &set_again["baseUrl"]), (&json!("t"), &json!("http://b.test/v1")));
    let stale = json!({ "id": id, "version": 2, "name": "u" });
    assert_eq!(api.refused("serviceUpdate", stale).await, ["STALE_VERSION version"]);
    assert_eq!(api.refused("serviceUpdate", json!({ "id": id, "name": null })).await, ["INVALID name"]);
}

#[tokio::test]
async fn all_problems_of_a_service_are_reported_at_once() {
    let api = TestApi::start().await;
    let proxy = api.create("proxy", "x").await;
    api.create("service", "taken").await;
    let bad = json!({ "name": "1st", "baseUrl": "ftp://a.test", "token": "", "settings": [] });
    let refused = api.refused("serviceCreate", bad).await;
    let expected = set(["INVALID name", "INVALID baseUrl", "INVALID token", "INVALID settings"]);
    assert_eq!(set(refused.iter().map(String::as_str)), expected);
    let credentials = json!({ "name": "s", "baseUrl": "https://user:hush@a.test" });
    assert_eq!(api.refused("serviceCreate", credentials).await, ["INVALID baseUrl"]);
    assert_eq!(api.refused("serviceCreate", json!({ "name": "taken" })).await, ["TAKEN name"]);
    assert_eq!(api.refused("serviceUpdate", json!({ "id": proxy, "name": "x" })).await, ["NOT_FOUND id"]);
    let relative = "mutation { serviceCreate(input: { name: \"s\", baseUrl: \"/v1\" }) { service { id } } }";
    let (_, response) = api.execute(Some("cb_admin"), relative, json!({})).await;
    assert!(response["errors"][0]["message"].as_str().unwrap().contains("absolute URL"), "{response}");
    api.assert_never_returned(&["hush"]);
}

#[tokio::test]
async fn a_service_in_use_cannot_be_deleted() {
    let api = TestApi::start().await;
    let id = api.create("service", "s").await;
    let profile = json!({ "name": "p", "chromeProfilePath": "p", "serviceIds": [id] });
    let profile = api.mutate_ok("profileCreate", "id", profile).await;
    let spec = json!({ "http": { "url": "https://example.test" } });
    let command = json!({ "name": "c", "spec": spec, "serviceIds": [id] });
    let command = api.mutate_ok("commandCreate", "id", command).await;
    let listed =
        api.data("{ service(name: \"s\") { profiles { totalCount nodes { name } } } }", json!({})).await;
    assert_eq!(listed["service"]["profiles"], json!({ "totalCount": 1, "nodes": [{ "name": "p" }] }));
    assert_eq!(api.refused("serviceDelete", json!({ "id": id })).await, ["IN_USE id"]);
    api.mutate_ok("profileUpdate", "id", json!({ "id": profile["id"], "serviceIds": [] })).await;
    assert_eq!(api.refused("serviceDelete", json!({ "id": id })).await, ["IN_USE id"]);
    api.mutate_ok("commandUpdate", "id", json!({ "id": command["id"], "serviceIds": null })).await;
    assert_eq!(
        api.refused("serviceDelete", json!({ "id": id, "version": 7 })).await,
        ["STALE_VERSION version"]
    );
    let deleted = api.mutate("serviceDelete", "deletedId", json!({ "id": id })).await;
    assert_eq!(deleted["deletedId"], json!(id));
    assert_eq!(api.refused("serviceDelete", json!({ "id": id })).await, ["NOT_FOUND id"]);
}
