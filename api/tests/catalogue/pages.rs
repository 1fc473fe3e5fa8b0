//! Lists of every noun: paging in both directions and across deleted rows, search, and refusals.

use serde_json::{Value, json};

use crate::api::TestApi;

const NOUNS: [(&str, &str); 4] =
    [("profile", "profiles"), ("service", "services"), ("proxy", "proxies"), ("command", "commands")];

/// Starts an API with seven objects that were not created in the order of their names, and returns
/// the names in order.
async fn create_seven(noun: &str) -> (TestApi, Vec<String>) {
    let api = TestApi::start().await;
    for name in ["g", "b", "d", "a", "f", "c", "e"] {
        api.create(noun, name).await;
    }
    (api, ["a", "b", "c", "d", "e", "f", "g"].map(String::from).to_vec())
}

async fn page(api: &TestApi, list: &str, arguments: &str) -> Value {
    let fields = "totalCount edges { cursor node { id name } } nodes { name }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    let mut data = api.data(&format!("{{ {list}{arguments} {{ {fields} }} }}"), json!({})).await;
    let page = data[list].take();
    let edges = page["edges"].as_array().unwrap();
    let nodes: Vec<Value> = edges.iter().map(|edge| json!({ "name": edge["node"]["name"] })).collect();
    assert_eq!(page["nodes"], json!(nodes));
    let ends = (edges.first().map(|edge| &edge["cursor"]), edges.last().map(|edge| &edge["cursor"]));
    assert_eq!(ends.0.unwrap_or(&Value::Null), &page["pageInfo"]["startCursor"]);
    assert_eq!(ends.1.unwrap_or(&Value::Null), &page["pageInfo"]["endCursor"]);
    page
}

fn names(page: &Value) -> Vec<&str> {
    page["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect()
}

/// Returns hasPreviousPage and hasNextPage.
fn has_pages(page: &Value) -> (bool, bool) {
    let info = &page["pageInfo"];
    (info["hasPreviousPage"].as_bool().unwrap(), info["hasNextPage"].as_bool().unwrap())
}

fn cursor<'a>(page: &'a Value, which: &str) -> &'a str {
    page["pageInfo"][which].as_str().unwrap()
}

#[tokio::test]
async fn every_list_goes_forwards_and_backwards() {
    for (noun, list) in NOUNS {
        let (api, all) = create_seven(noun).await;
        let whole = page(&api, list, "").await;
        assert_eq!(
            (names(&whole), has_pages(&whole)),
            (all.iter().map(String::as_str).collect(), (false, false))
        );

        let first = page(&api, list, "(first: 3)").await;
        assert_eq!(
            (names(&first), has_pages(&first), &first["totalCount"]),
            (vec!["a", "b", "c"], (false, true), &json!(7))
        );
        let second =
            page(&api, list, &format!("(first: 3, after: \"{}\")", cursor(&first, "endCursor"))).await;
        assert_eq!(
            (names(&second), has_pages(&second), &second["totalCount"]),
            (vec!["d", "e", "f"], (true, true), &json!(7))
        );
        let third =
            page(&api, list, &format!("(first: 3, after: \"{}\")", cursor(&second, "endCursor"))).await;
        assert_eq!((names(&third), has_pages(&third)), (vec!["g"], (true, false)));

        let last = page(&api, list, "(last: 3)").await;
        assert_eq!((names(&last), has_pages(&last)), (vec!["e", "f", "g"], (true, false)));
        let before =
            page(&api, list, &format!("(last: 3, before: \"{}\")", cursor(&last, "startCursor"))).await;
        assert_eq!((names(&before), has_pages(&before)), (vec!["b", "c", "d"], (true, true)));
        let empty = page(&api, list, "(first: 0)").await;
        assert_eq!((names(&empty), &empty["totalCount"]), (vec![], &json!(7)));
    }
}

#[tokio::test]
async fn a_cursor_stays_valid_after_its_row_is_deleted() {
    for (noun, list) in NOUNS {
        let (api, _) = create_seven(noun).await;
        let first = page(&api, list, "(first: 3)").await;
        for edge in &first["edges"].as_array().unwrap()[1..] {
            api.mutate(&format!("{noun}Delete"), "deletedId", json!({ "id": edge["node"]["id"] })).await;
        }
        api.create(noun, "cc").await;
        let next = page(&api, list, &format!("(first: 2, after: \"{}\")", cursor(&first, "endCursor"))).await;
        assert_eq!(
            (names(&next), has_pages(&next), &next["totalCount"]),
            (vec!["cc", "d"], (true, true), &json!(6)),
            "{noun}"
        );
        let back = page(&api, list, &format!("(last: 9, before: \"{}\")", cursor(&first, "endCursor"))).await;
        assert_eq!((names(&back), has_pages(&back)), (vec!["a"], (false, true)), "{noun}");
    }
}

#[tokio::test]
async fn search_finds_parts_of_names_in_any_case() {
    for (noun, list) in NOUNS {
        let api = TestApi::start().await;
        for name in ["Alpha", "beta", "alphabet", "per_cent"] {
            api.create(noun, name).await;
        }
        let found = page(&api, list, "(search: \"ALPHA\", first: 1)").await;
        assert_eq!(
            (names(&found), has_pages(&found), &found["totalCount"]),
            (vec!["Alpha"], (false, true), &json!(2))
        );
        assert_eq!(page(&api, list, "(search: \"%\")").await["totalCount"], 0);
        assert_eq!(page(&api, list, "(search: \"_\")").await["totalCount"], 1);
        assert_eq!(page(&api, list, "(search: \"\")").await["totalCount"], 4);
        assert_eq!(page(&api, list, "(search: \"\\uFE0F \")").await["totalCount"], 4);
        assert_eq!(page(&api, list, "(search: null)").await["totalCount"], 4);
    }
}

#[tokio::test]
async fn a_list_refuses_invalid_arguments() {
    let api = TestApi::start().await;
    let other = "eyJ4IjoxfQ";
    for (_, list) in NOUNS {
        for (arguments, code) in [
            ("(first: 101)".to_owned(), "BAD_REQUEST"),
            ("(first: -1)".to_owned(), "BAD_REQUEST"),
            ("(first: 1, last: 1)".to_owned(), "BAD_REQUEST"),
            ("(after: \"garbage!\")".to_owned(), "BAD_CURSOR"),
            (format!("(before: \"{other}\")"), "BAD_CURSOR"),
        ] {
            assert_eq!(
                api.error(&format!("{{ {list}{arguments} {{ totalCount }} }}"), json!({})).await,
                code,
                "{list}{arguments}"
            );
        }
    }
}

#[tokio::test]
async fn the_profiles_of_a_service_or_proxy_are_paged() {
    for (noun, ids) in [("service", "serviceIds"), ("proxy", "proxyIds")] {
        let api = TestApi::start().await;
        let id = api.create(noun, "it").await;
        for name in ["c", "a", "d", "b"] {
            let input = json!({ "name": name, "chromeProfilePath": name, ids: [id] });
            api.mutate_ok("profileCreate", "id", input).await;
        }
        api.create("profile", "unrelated").await;
        let read = async |arguments: String| {
            let query = format!(
                "{{ {noun}(name: \"it\") {{ profiles{arguments} {{
                 totalCount nodes {{ name }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }} }}"
            );
            api.data(&query, json!({})).await[noun]["profiles"].take()
        };
        let first = read("(first: 3)".to_owned()).await;
        assert_eq!(
            (names(&first), has_pages(&first), &first["totalCount"]),
            (vec!["a", "b", "c"], (false, true), &json!(4))
        );
        let rest = read(format!("(after: \"{}\")", cursor(&first, "endCursor"))).await;
        assert_eq!((names(&rest), has_pages(&rest)), (vec!["d"], (true, false)));
        for (arguments, code) in [("(first: 101)", "BAD_REQUEST"), ("(after: \"x\")", "BAD_CURSOR")] {
            let query = format!("{{ {noun}(name: \"it\") {{ profiles{arguments} {{ totalCount }} }} }}");
            assert_eq!(api.error(&query, json!({})).await, code);
        }
    }
}
