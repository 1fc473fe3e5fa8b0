//! Proxies: create, import, update, delete, and every refusal.

use serde_json::{Value, json};

use crate::api::{TestApi, set};

const ALL: &str = "id name protocol address hasCredentials version createdAt updatedAt
    health { status latency exitAddress checkedAt failure } profiles { totalCount }";

#[tokio::test]
async fn a_proxy_reads_back_without_its_credentials() {
    let api = TestApi::start().await;
    let input = json!({
        "name": "exit", "protocol": "SOCKS5", "address": "proxy.test:1080", "username": "an-odd-user",
        "password": "hush-hush",
    });
    let created = api.mutate_ok("proxyCreate", ALL, input).await;
    assert!(created["id"].as_str().unwrap().starts_with("proxy_"));
    assert_eq!((&created["protocol"], &created["address"]), (&json!("SOCKS5"), &json!("proxy.test:1080")));
    assert_eq!((&created["hasCredentials"], &created["profiles"]["totalCount"]), (&json!(true), &json!(0)));
    let unknown = json!({
        "status": "UNKNOWN", "latency": null, "exitAddress": null, "checkedAt": null, "failure": null,
    });
    assert_eq!(created["health"], unknown);
    let query = format!(
        "query($id: ID!) {{ a: proxy(id: $id) {{ {ALL} }} b: proxy(name: \"exit\") {{ {ALL} }}
         c: node(id: $id) {{ ... on Proxy {{ {ALL} }} }} gone: proxy(id: \"proxy_x\") {{ id }} }}"
    );
    let read = api.data(&query, json!({ "id": created["id"] })).await;
    for alias in ["a", "b", "c"] {
        assert_eq!(read[alias], created, "{alias}");
    }
    assert_eq!(read["gone"], Value::Null);
    api.assert_never_returned(&["an-odd-user", "hush-hush"]);
}

#[tokio::test]
async fn share_links_are_imported() {
    let api = TestApi::start().await;
    for (link, name, protocol, address, has_credentials) in [
        ("http://user:pa%3Ass@proxy.test:8080#My%20exit", "My exit", "HTTP", "proxy.test:8080", true),
        ("https://proxy.test:443", "proxy.test:443", "HTTPS", "proxy.test:443", false),
        ("socks5://[2001:db8::1]:1080/", "[2001:db8::1]:1080", "SOCKS5", "[2001:db8::1]:1080", false),
    ] {
        let created = api.mutate_ok("proxyImport", ALL, json!({ "link": link })).await;
        let expected = json!([name, protocol, address, has_credentials]);
        assert_eq!(
            json!(["name", "protocol", "address", "hasCredentials"].map(|field| &created[field])),
            expected
        );
    }
    let named =
        api.mutate_ok("proxyImport", ALL, json!({ "link": "http://h:1#other", "name": "mine" })).await;
    assert_eq!(named["name"], "mine");
    for link in [
        "vless://0123-secret@h:1",
        "ss://secret@h:1",
        "nonsense",
        "",
        "http://secret@h",
        "http://h:1/secret",
        "http://sec%0Aret:p@h:1",
        "http://user:sec%00ret@h:1",
        "http://:secret@h:1",
        "http://sec%3Aret:p@h:1",
    ] {
        assert_eq!(api.refused("proxyImport", json!({ "link": link })).await, ["INVALID link"], "{link}");
    }
    assert_eq!(
        api.refused("proxyImport", json!({ "link": "http://h:1", "name": "mine" })).await,
        ["TAKEN name"]
    );
    let both = api.refused("proxyImport", json!({ "link": "x", "name": "" })).await;
    assert_eq!(set(both.iter().map(String::as_str)), set(["INVALID link", "INVALID name"]));
    api.assert_never_returned(&["secret", "pa:ss", "pa%3Ass"]);
}

#[tokio::test]
async fn an_update_keeps_absent_fields_and_clears_null_ones() {
    let api = TestApi::start().await;
    let input =
        json!({ "name": "x", "protocol": "HTTP", "address": "h:1", "username": "u", "password": "p" });
    let created = api.mutate_ok("proxyCreate", ALL, input).await;
    let id = &created["id"];
    assert_eq!(api.mutate_ok("proxyUpdate", ALL, json!({ "id": id })).await, created);
    let moved = api
        .mutate_ok("proxyUpdate", ALL, json!({ "id": id, "version": 1, "name": "y", "address": "h:2" }))
        .await;
    assert_eq!(
        (&moved["address"], &moved["hasCredentials"], &moved["version"]),
        (&json!("h:2"), &json!(true), &json!(2))
    );
    assert_eq!(api.refused("proxyUpdate", json!({ "id": id, "username": null })).await, ["INVALID password"]);
    let bare =
        api.mutate_ok("proxyUpdate", ALL, json!({ "id": id, "username": null, "password": null })).await;
    assert_eq!(bare["hasCredentials"], false);
    assert_eq!(api.refused("proxyUpdate", json!({ "id": id, "password": "p" })).await, ["INVALID password"]);
    assert_eq!(
        api.refused("proxyUpdate", json!({ "id": id, "version": 1 })).await,
        ["STALE_VERSION version"]
    );
    let nulls = api.refused("proxyUpdate", json!({ "id": id, "name": null, "address": null })).await;
    assert_eq!(set(nulls.iter().map(String::as_str)), set(["INVALID name", "INVALID address"]));
}

#[tokio::test]
async fn all_problems_of_a_proxy_are_reported_at_once() {
    let api = TestApi::start().await;
    api.create("proxy", "taken").await;
    let profile = api.create("profile", "p").await;
    let bad =
        json!({ "name": "", "protocol": "HTTP", "address": "http://h:1", "username": "a:b", "password": "" });
    let refused = api.refused("proxyCreate", bad).await;
    let expected = set(["INVALID name", "INVALID address", "INVALID username", "INVALID password"]);
    assert_eq!(set(refused.iter().map(String::as_str)), expected);
    let taken = json!({ "name": "taken", "protocol": "HTTPS", "address": "h:1" });
    assert_eq!(api.refused("proxyCreate", taken).await, ["TAKEN name"]);
    assert_eq!(api.refused("proxyUpdate", json!({ "id": profile, "name": "x" })).await, ["NOT_FOUND id"]);
    let query = "mutation {
        proxyCreate(input: { name: \"a\", protocol: VLESS, address: \"h:1\" }) { proxy { id } } }";
    assert_eq!(api.error(query, json!({})).await, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_proxy_in_use_cannot_be_deleted() {
    let api = TestApi::start().await;
    let id = api.create("proxy", "x").await;
    let profile = json!({ "name": "p", "chromeProfilePath": "p", "proxyIds": [id] });
    let profile = api.mutate_ok("profileCreate", "id", profile).await;
    let spec = json!({ "http": { "url": "https://example.test" } });
    let command =
        api.mutate_ok("commandCreate", "id", json!({ "name": "c", "spec": spec, "proxyId": id })).await;
    let listed = api.data("{ proxy(name: \"x\") { profiles { nodes { name } } } }", json!({})).await;
    assert_eq!(listed["proxy"]["profiles"]["nodes"], json!([{ "name": "p" }]));
    assert_eq!(api.refused("proxyDelete", json!({ "id": id })).await, ["IN_USE id"]);
    api.mutate_ok("profileUpdate", "id", json!({ "id": profile["id"], "proxyIds": [] })).await;
    assert_eq!(api.refused("proxyDelete", json!({ "id": id })).await, ["IN_USE id"]);
    api.mutate_ok("commandUpdate", "id", json!({ "id": command["id"], "proxyId": null })).await;
    let deleted = api.mutate("proxyDelete", "deletedId", json!({ "id": id, "version": 1 })).await;
    assert_eq!(deleted["deletedId"], json!(id));
    assert_eq!(api.refused("proxyDelete", json!({ "id": id })).await, ["NOT_FOUND id"]);
}
