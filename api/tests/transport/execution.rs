//! What async-graphql answers, where its versions differ: fields in the order of the query, nulls that bubble, keys that
//! are never missing; and pages and nodes.

use serde_json::{Value, json};

use crate::toy::{Toy, toy};

/// The answer as text, because its order counts.
async fn text(toy: &Toy, query: &str) -> String {
    let body = json!({ "query": query }).to_string();
    let request = toy.graphql(reqwest::Method::POST).header("content-type", "application/json").body(body);
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn fields_come_in_the_order_of_the_query() {
    let toy = toy().await;
    assert_eq!(
        text(&toy, "{ fragile { slow fine b: slow a: fine } z: hello a: hello }").await,
        r#"{"data":{"fragile":{"slow":2,"fine":1,"b":2,"a":1},"z":"hello world","a":"hello world"}}"#
    );
}

#[tokio::test]
async fn a_nullable_field_that_fails_is_null_and_nothing_else_is() {
    let toy = toy().await;
    let answer = text(&toy, "{ fragile { fine nullable } hello }").await;
    assert!(
        answer.starts_with(
            r#"{"data":{"fragile":{"fine":1,"nullable":null},"hello":"hello world"},"errors":["#
        ),
        "{answer}"
    );
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["errors"][0]["path"], json!(["fragile", "nullable"]));
}

#[tokio::test]
async fn a_field_that_cannot_be_null_takes_its_parent_with_it() {
    let toy = toy().await;
    let answer = text(&toy, "{ fragile { fine notNull } hello }").await;
    assert!(answer.starts_with(r#"{"data":{"fragile":null,"hello":"hello world"},"errors":["#), "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["errors"][0]["path"], json!(["fragile", "notNull"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND");
    let answer = text(&toy, "{ hello many { notNull } }").await;
    assert!(answer.starts_with(r#"{"data":null,"errors":["#), "{answer}");
}

#[tokio::test]
async fn pages_go_both_ways() {
    let toy = toy().await;
    let numbers = |answer: &Value| -> Vec<i64> {
        let nodes = answer["data"]["jobs"]["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["number"].as_i64().unwrap()).collect()
    };
    let fields = "{ nodes { number } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount countAtLeast }";
    let first = toy.ask(&format!("{{ jobs(first: 3) {fields} }}")).await;
    assert_eq!(numbers(&first), [1, 2, 3]);
    let info = &first["data"]["jobs"]["pageInfo"];
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(true), &json!(false)));
    assert_eq!(info["endCursor"], first["data"]["jobs"]["edges"][2]["cursor"]);
    assert_eq!(first["data"]["jobs"]["totalCount"], 100);
    assert_eq!(first["data"]["jobs"]["countAtLeast"], 100);
    let after = info["endCursor"].as_str().unwrap();
    let second = toy.ask(&format!("{{ jobs(first: 2, after: \"{after}\") {fields} }}")).await;
    assert_eq!(numbers(&second), [4, 5]);
    assert_eq!(second["data"]["jobs"]["pageInfo"]["hasPreviousPage"], true);
    let last = toy.ask(&format!("{{ jobs(last: 2) {fields} }}")).await;
    assert_eq!(numbers(&last), [99, 100]);
    assert_eq!(last["data"]["jobs"]["pageInfo"]["hasNextPage"], false);
    assert_eq!(numbers(&toy.ask("{ jobs { nodes { number } } }").await).len(), 25);
    for (arguments, code) in [
        ("first: 101", "BAD_REQUEST"),
        ("first: -1", "BAD_REQUEST"),
        ("first: 1, last: 1", "BAD_REQUEST"),
        ("after: \"x\"", "BAD_CURSOR"),
        ("before: \"eyJ4IjoxfQ\"", "BAD_CURSOR"),
    ] {
        let answer = toy.ask(&format!("{{ jobs({arguments}) {{ nodes {{ number }} }} }}")).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{arguments}");
    }
}

#[tokio::test]
async fn nodes_are_found_by_their_prefix() {
    let toy = toy().await;
    let listed = toy.ask("{ jobs(first: 2) { nodes { id } } }").await;
    let (one, two) = (&listed["data"]["jobs"]["nodes"][0]["id"], &listed["data"]["jobs"]["nodes"][1]["id"]);
    let answer = toy.ask(&format!("{{ node(id: {one}) {{ __typename id ... on Job {{ number }} }} }}")).await;
    assert_eq!(answer["data"]["node"], json!({ "__typename": "Job", "id": one, "number": 1 }));
    for nothing in
        ["", "x", "job_", "job_01", "task_01h455vb4pex5vsknk084sn02q", "job_7zzzzzzzzzzzzzzzzzzzzzzzzz"]
    {
        let answer = toy.ask(&format!("{{ node(id: \"{nothing}\") {{ id }} }}")).await;
        assert_eq!(answer, json!({ "data": { "node": null } }), "{nothing}");
    }
    let answer = toy.ask(&format!("{{ nodes(ids: [{two}, \"x\", {one}]) {{ id }} }}")).await;
    assert_eq!(answer["data"]["nodes"], json!([{ "id": two }, null, { "id": one }]));
    let many = vec!["\"x\""; 101].join(",");
    let answer = toy.ask(&format!("{{ nodes(ids: [{many}]) {{ id }} }}")).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST");
}
