//! Behaviour in which async-graphql's versions differ (order of fields, null propagation, missing
//! keys), and pages and nodes.

use serde_json::{Value, json};

use crate::test_server::{TestServer, start_default};

/// Returns the response as text, because the order of its keys matters.
async fn text(server: &TestServer, query: &str) -> String {
    let body = json!({ "query": query }).to_string();
    let request = server.graphql(reqwest::Method::POST).header("content-type", "application/json").body(body);
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn fields_are_returned_in_query_order() {
    let server = start_default().await;
    assert_eq!(
        text(&server, "{ fragile { slow fine b: slow a: fine } z: hello a: hello }").await,
        r#"{"data":{"fragile":{"slow":2,"fine":1,"b":2,"a":1},"z":"hello world","a":"hello world"},"extensions":{"cost":7}}"#
    );
}

#[tokio::test]
async fn a_failed_nullable_field_is_null_and_the_others_are_returned() {
    let server = start_default().await;
    let response = text(&server, "{ fragile { fine nullable } hello }").await;
    assert!(
        response.starts_with(
            r#"{"data":{"fragile":{"fine":1,"nullable":null},"hello":"hello world"},"extensions":{"cost":4},"errors":["#
        ),
        "{response}"
    );
    let response: Value = serde_json::from_str(&response).unwrap();
    assert_eq!(response["errors"][0]["path"], json!(["fragile", "nullable"]));
}

#[tokio::test]
async fn a_failed_non_null_field_makes_its_parent_null() {
    let server = start_default().await;
    let response = text(&server, "{ fragile { fine notNull } hello }").await;
    assert!(
        response.starts_with(
            r#"{"data":{"fragile":null,"hello":"hello world"},"extensions":{"cost":4},"errors":["#
        ),
        "{response}"
    );
    let response: Value = serde_json::from_str(&response).unwrap();
    assert_eq!(response["errors"][0]["path"], json!(["fragile", "notNull"]));
    assert_eq!(response["errors"][0]["extensions"]["code"], "NOT_FOUND");
    let response = text(&server, "{ hello many { notNull } }").await;
    assert!(response.starts_with(r#"{"data":null,"extensions":{"cost":3},"errors":["#), "{response}");
}

#[tokio::test]
async fn pages_go_forwards_and_backwards() {
    let server = start_default().await;
    let numbers = |response: &Value| -> Vec<i64> {
        let nodes = response["data"]["jobs"]["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["number"].as_i64().unwrap()).collect()
    };
    let fields = "{ nodes { number } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount countAtLeast }";
    let first = server.execute(&format!("{{ jobs(first: 3) {fields} }}")).await;
    assert_eq!(numbers(&first), [1, 2, 3]);
    let info = &first["data"]["jobs"]["pageInfo"];
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(true), &json!(false)));
    assert_eq!(info["endCursor"], first["data"]["jobs"]["edges"][2]["cursor"]);
    assert_eq!(first["data"]["jobs"]["totalCount"], 100);
    assert_eq!(first["data"]["jobs"]["countAtLeast"], 100);
    let after = info["endCursor"].as_str().unwrap();
    let second = server.execute(&format!("{{ jobs(first: 2, after: \"{after}\") {fields} }}")).await;
    assert_eq!(numbers(&second), [4, 5]);
    assert_eq!(second["data"]["jobs"]["pageInfo"]["hasPreviousPage"], true);
    let last = server.execute(&format!("{{ jobs(last: 2) {fields} }}")).await;
    assert_eq!(numbers(&last), [99, 100]);
    assert_eq!(last["data"]["jobs"]["pageInfo"]["hasNextPage"], false);
    assert_eq!(numbers(&server.execute("{ jobs { nodes { number } } }").await).len(), 25);
    for (arguments, code) in [
        ("first: 101", "BAD_REQUEST"),
        ("first: -1", "BAD_REQUEST"),
        ("first: 1, last: 1", "BAD_REQUEST"),
        ("after: \"x\"", "BAD_CURSOR"),
        ("before: \"eyJ4IjoxfQ\"", "BAD_CURSOR"),
    ] {
        let response = server.execute(&format!("{{ jobs({arguments}) {{ nodes {{ number }} }} }}")).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], code, "{arguments}");
    }
}

#[tokio::test]
async fn nodes_are_loaded_by_the_prefix_of_their_id() {
    let server = start_default().await;
    let listed = server.execute("{ jobs(first: 2) { nodes { id } } }").await;
    let (one, two) = (&listed["data"]["jobs"]["nodes"][0]["id"], &listed["data"]["jobs"]["nodes"][1]["id"]);
    let response =
        server.execute(&format!("{{ node(id: {one}) {{ __typename id ... on Job {{ number }} }} }}")).await;
    assert_eq!(response["data"]["node"], json!({ "__typename": "Job", "id": one, "number": 1 }));
    for id in ["", "x", "job_", "job_01", "task_01h455vb4pex5vsknk084sn02q", "job_7zzzzzzzzzzzzzzzzzzzzzzzzz"]
    {
        let response = server.execute(&format!("{{ node(id: \"{id}\") {{ id }} }}")).await;
        assert_eq!(response, json!({ "data": { "node": null }, "extensions": { "cost": 2 } }), "{id}");
    }
    let response = server.execute(&format!("{{ nodes(ids: [{two}, \"x\", {one}]) {{ id }} }}")).await;
    assert_eq!(response["data"]["nodes"], json!([{ "id": two }, null, { "id": one }]));
    let many = vec!["\"x\""; 101].join(",");
    let response = server.execute(&format!("{{ nodes(ids: [{many}]) {{ id }} }}")).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "BAD_REQUEST");
}
