//! A list of catalogue objects takes the same number of SQL statements whatever its length.

use serde_json::{Value, json};

use crate::{api::TestApi, statements::Statements};

const OBJECTS: usize = 25;

/// An API with [`OBJECTS`] of each noun that refer to each other.
async fn api_with_objects() -> TestApi {
    let api = TestApi::start().await;
    let (mut services, mut proxies) = (Vec::new(), Vec::new());
    for number in 0..OBJECTS {
        let input = json!({ "name": format!("s{number}"), "token": "a token of some length" });
        services.push(api.mutate_ok("serviceCreate", "id", input).await["id"].take());
        proxies.push(Value::from(api.create("proxy", &format!("x{number}")).await));
    }
    for number in 0..OBJECTS {
        let three_of =
            |all: &[Value]| (0..3).map(|step| all[(number + step) % OBJECTS].clone()).collect::<Vec<_>>();
        let profile = json!({
            "name": format!("p{number}"), "chromeProfilePath": format!("p{number}"),
            "serviceIds": three_of(&services), "proxyIds": three_of(&proxies),
            "secrets": [
                { "name": "pin", "value": "4711" }, { "name": "token", "value": "another long token" },
            ],
        });
        let profile = api.mutate_ok("profileCreate", "id", profile).await["id"].take();
        let command = json!({
            "name": format!("c{number}"), "spec": { "http": { "url": "https://example.test" } },
            "profileId": profile, "proxyId": proxies[number], "serviceIds": three_of(&services),
        });
        api.mutate_ok("commandCreate", "id", command).await;
    }
    api
}

/// Queries the first `size` objects and returns the number of nodes and of statements.
async fn cost(
    api: &TestApi,
    statements: &Statements,
    list: &str,
    fields: &str,
    size: usize,
) -> (usize, usize) {
    let query =
        format!("query($first: Int!) {{ {list}(first: $first) {{ totalCount nodes {{ {fields} }} }} }}");
    statements.take_count();
    let data = api.data(&query, json!({ "first": size })).await;
    (data[list]["nodes"].as_array().unwrap().len(), statements.take_count())
}

#[tokio::test]
async fn lists_take_a_constant_number_of_statements() {
    let api = api_with_objects().await;
    let statements = Statements::watch();
    for (list, fields, most) in [
        ("profiles", "id name environment", 2),
        ("profiles", "id heldBy { id }", 3),
        ("profiles", "id secrets { name hint } services { name } proxies { name health { status } }", 7),
        ("profiles", "proxies { health { coolingUntil } usage { name } }", 5),
        ("profiles", "services { token { hint } profiles(first: 2) { totalCount nodes { name } } }", 7),
        ("services", "id token { isSet } profiles(first: 3) { nodes { name secrets { name } } }", 6),
        ("proxies", "id profiles { nodes { name proxies { name } } }", 6),
        ("commands", "id name queue", 2),
        ("commands", "id kind spec { __typename } inputSchema policy { timeout }", 3),
        ("commands", "kind profile { name services { name } } proxy { name } services { name }", 8),
    ] {
        let few = cost(&api, &statements, list, fields, 2).await;
        let many = cost(&api, &statements, list, fields, OBJECTS).await;
        assert_eq!((few.0, many.0), (2, OBJECTS), "{list}");
        assert_eq!(few.1, many.1, "{list} {{ {fields} }}");
        assert!((1..=most).contains(&many.1), "{list} {{ {fields} }} took {} statements", many.1);
    }
}

#[tokio::test]
async fn nodes_and_aliases_are_batched_by_kind() {
    let api = api_with_objects().await;
    let listed = api
        .data("{ profiles { nodes { id } } services { nodes { id } } commands { nodes { id } } }", json!({}))
        .await;
    let ids: Vec<&str> = ["profiles", "services", "commands"]
        .into_iter()
        .flat_map(|list| listed[list]["nodes"].as_array().unwrap())
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 3 * OBJECTS);
    let statements = Statements::watch();
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }";
    let found = api.data(query, json!({ "ids": ids })).await;
    let found_ids: Vec<&str> =
        found["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(found_ids, ids);
    assert_eq!(statements.take_count(), 3);

    let aliases: Vec<String> =
        (0..10).map(|number| format!("a{number}: profile(name: \"p{number}\") {{ name }}")).collect();
    let found = api.data(&format!("{{ {} }}", aliases.join(" ")), json!({})).await;
    assert_eq!(found["a7"]["name"], "p7");
    assert_eq!(statements.take_count(), 1);
}
