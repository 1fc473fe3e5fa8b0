//! Lists of jobs: filters and orders against a filter written in the test, and paging.

use callboard::ids::JobId;
use serde_json::{Value, json};

use crate::harness::{Harness, failed};

/// The fields that the tests filter by themselves.
const FIELDS: &str = "id state queue priority labels createdAt finishedAt command { id name } profile { id }";

/// Creates 40 jobs in various states and returns the [`FIELDS`] of each, newest first.
async fn create_jobs(harness: &Harness) -> Vec<Value> {
    let commands = [
        harness.create_command("alpha", json!({})).await,
        harness.create_command("beta-mail", json!({})).await,
    ];
    let profiles = [harness.create_profile("one").await, harness.create_profile("two").await];
    harness.register_worker(&["default", "bulk"]).await;
    let mut waiting = String::new();
    for n in 0..40 {
        let mut input = json!({
            "commandId": commands[n % 2], "queue": if n % 3 == 0 { "bulk" } else { "default" },
            "priority": n % 5, "labels": if n % 4 == 0 { json!(["nightly", format!("n{n}")]) } else { json!([]) },
        });
        if n % 7 == 0 {
            input["profileId"] = json!(profiles[n / 7 % 2]);
        }
        if n % 10 == 9 {
            input["runAt"] = json!("2100-01-01T00:00:00Z");
        }
        if n >= 38 {
            input["dependsOn"] = json!([waiting]);
        }
        let job = harness.enqueue(input).await;
        waiting = job.to_string();
        match n {
            0..=7 => {
                let attempt = harness.start(job).await;
                harness.succeed(job, attempt).await;
            }
            10..=13 => {
                let attempt = harness.start(job).await;
                harness.settle(job, attempt, failed(false)).await;
            }
            15..=17 => {
                harness.mutate("jobCancel", "job { id }", json!({ "id": job.to_string() })).await;
            }
            20..=21 => {
                harness.start(job).await;
            }
            _ => {}
        }
    }
    let query = format!("{{ jobs(first: 100) {{ nodes {{ {FIELDS} }} }} }}");
    let data = harness.data(&query, json!({})).await;
    data["jobs"]["nodes"].as_array().unwrap().clone()
}

async fn list(harness: &Harness, filter: &Value, order: &Value, size: i32) -> Vec<Value> {
    let query = format!(
        "query($filter: JobFilter, $order: JobOrder, $size: Int, $after: String) {{
           jobs(filter: $filter, orderBy: $order, first: $size, after: $after) {{
             nodes {{ {FIELDS} }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} countAtLeast totalCount }} }}"
    );
    let (mut nodes, mut after) = (Vec::new(), Value::Null);
    loop {
        let variables = json!({ "filter": filter, "order": order, "size": size, "after": after });
        let page = harness.data(&query, variables).await["jobs"].take();
        let page_nodes = page["nodes"].as_array().unwrap();
        assert!(page_nodes.len() <= size as usize);
        assert_eq!(page["pageInfo"]["hasPreviousPage"], json!(!after.is_null()), "{filter}");
        nodes.extend(page_nodes.iter().cloned());
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            assert_eq!(page["countAtLeast"], nodes.len(), "{filter}");
            assert_eq!(page["totalCount"], nodes.len(), "{filter}");
            return nodes;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

fn ids(nodes: &[Value]) -> Vec<&str> {
    nodes.iter().map(|node| node["id"].as_str().unwrap()).collect()
}

type Matches = Box<dyn Fn(&Value) -> bool>;

fn cases(all: &[Value]) -> Vec<(Value, Matches)> {
    let has = |field: &'static str, values: Value| -> Matches {
        Box::new(move |job| values.as_array().unwrap().contains(&job[field]))
    };
    let (alpha, one) = (all[39]["command"]["id"].clone(), all[39]["profile"]["id"].clone());
    let middle = all[20]["createdAt"].clone();
    let (of_alpha, of_one, since, some) = (alpha.clone(), one.clone(), middle.clone(), all[5]["id"].clone());
    let prefix: String = some.as_str().unwrap().to_owned();
    vec![
        (json!({}), Box::new(|_| true)),
        (json!({ "states": ["QUEUED"] }), has("state", json!(["QUEUED"]))),
        (json!({ "states": ["RUNNING", "FAILED"] }), has("state", json!(["RUNNING", "FAILED"]))),
        (json!({ "states": ["SCHEDULED"] }), has("state", json!(["SCHEDULED"]))),
        (json!({ "states": ["SUCCEEDED", "CANCELLED"] }), has("state", json!(["SUCCEEDED", "CANCELLED"]))),
        (json!({ "states": ["BLOCKED"] }), has("state", json!(["BLOCKED"]))),
        (json!({ "states": ["BLOCKED", "FAILED"] }), has("state", json!(["BLOCKED", "FAILED"]))),
        (json!({ "scheduleIds": ["schedule_00000000000000000000000000"] }), Box::new(|_| false)),
        (json!({ "states": [] }), Box::new(|_| false)),
        (json!({ "queues": ["bulk"] }), has("queue", json!(["bulk"]))),
        (json!({ "queues": ["bulk", "default"] }), Box::new(|_| true)),
        (json!({ "queues": ["nowhere"] }), Box::new(|_| false)),
        (json!({ "commandIds": [alpha] }), Box::new(move |job| job["command"]["id"] == of_alpha)),
        (json!({ "commandIds": ["x"] }), Box::new(|_| false)),
        (json!({ "profileIds": [one] }), Box::new(move |job| job["profile"]["id"] == of_one)),
        (json!({ "labels": ["nightly"] }), Box::new(|job| job["labels"] != json!([]))),
        (json!({ "labels": ["nightly", "n8"] }), Box::new(|job| job["labels"] == json!(["n8", "nightly"]))),
        (json!({ "proxyIds": ["proxy_00000000000000000000000000"] }), Box::new(|_| false)),
        (json!({ "serviceIds": ["service_00000000000000000000000000"] }), Box::new(|_| false)),
        (json!({ "ids": [some, "job_x"] }), has("id", json!([all[5]["id"]]))),
        (
            json!({ "createdAt": { "gte": middle } }),
            Box::new(move |job| job["createdAt"].as_str() >= since.as_str()),
        ),
        (json!({ "search": "MAIL" }), Box::new(|job| job["command"]["name"] == "beta-mail")),
        (json!({ "search": "n8" }), Box::new(|job| job["labels"] == json!(["n8", "nightly"]))),
        (json!({ "search": prefix }), has("id", json!([all[5]["id"]]))),
        (json!({ "search": "job_0" }), Box::new(|_| true)),
        (json!({ "search": "nothing like it" }), Box::new(|_| false)),
        (
            json!({ "states": ["QUEUED", "FAILED"], "queues": ["default"], "search": "alpha" }),
            Box::new(|job| {
                ["QUEUED", "FAILED"].contains(&job["state"].as_str().unwrap())
                    && job["queue"] == "default"
                    && job["command"]["name"] == "alpha"
            }),
        ),
    ]
}

#[tokio::test]
async fn every_filter_in_every_order_returns_exactly_its_jobs_page_by_page() {
    let harness = Harness::new().await;
    let all = create_jobs(&harness).await;
    assert_eq!(all.len(), 40);
    assert!(ids(&all).is_sorted_by(|one, other| one > other), "newest first");
    for (filter, matches) in cases(&all) {
        let matching: Vec<Value> = all.iter().filter(|job| matches(job)).cloned().collect();
        for (field, key) in
            [("CREATED_AT", None), ("FINISHED_AT", Some("finishedAt")), ("PRIORITY", Some("priority"))]
        {
            for direction in ["ASC", "DESC"] {
                let mut expected = matching.clone();
                let of = |job: &Value| {
                    let key = key.map_or(Value::Null, |key| job[key].clone());
                    let rank = match &key {
                        Value::Number(number) => number.to_string(),
                        Value::String(time) => time.clone(),
                        // Unfinished jobs come after all finished ones.
                        _ => "9999".into(),
                    };
                    (rank, job["id"].as_str().unwrap().to_owned())
                };
                expected.sort_by_key(of);
                if direction == "DESC" {
                    expected.reverse();
                }
                let order = json!({ "field": field, "direction": direction });
                let found = list(&harness, &filter, &order, 7).await;
                if field == "FINISHED_AT" {
                    // Jobs that finished within one displayed millisecond may be in either order.
                    let key = |nodes: &[Value]| {
                        nodes.iter().map(|job| job["finishedAt"].clone()).collect::<Vec<_>>()
                    };
                    assert_eq!(key(&found), key(&expected), "{filter} {order}");
                } else {
                    assert_eq!(ids(&found), ids(&expected), "{filter} {order}");
                }
            }
        }
    }
}

#[tokio::test]
async fn pages_go_backwards_and_cursors_outlive_their_rows() {
    let harness = Harness::new().await;
    let all = create_jobs(&harness).await;
    let query = "query($last: Int, $first: Int, $before: String, $after: String, $order: JobOrder) {
        jobs(last: $last, first: $first, before: $before, after: $after, orderBy: $order) {
          edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor } } }";
    let edges = |page: &Value| -> Vec<String> {
        let edges = page["jobs"]["edges"].as_array().unwrap();
        edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect()
    };
    for field in ["CREATED_AT", "FINISHED_AT", "PRIORITY"] {
        let order = json!({ "field": field });
        let whole = harness.data(query, json!({ "first": 100, "order": order })).await;
        let last = harness.data(query, json!({ "last": 6, "order": order })).await;
        assert_eq!(edges(&last), edges(&whole)[34..], "{field}");
        assert_eq!(last["jobs"]["pageInfo"]["hasPreviousPage"], true);
        let before = &last["jobs"]["pageInfo"]["startCursor"];
        let previous = harness.data(query, json!({ "last": 6, "before": before, "order": order })).await;
        assert_eq!(edges(&previous), edges(&whole)[28..34], "{field}");
        assert_eq!(previous["jobs"]["pageInfo"]["hasNextPage"], true);
    }
    let page = harness.data(query, json!({ "first": 10 })).await;
    let cursor = page["jobs"]["edges"][9]["cursor"].clone();
    harness.sql("DELETE FROM live_jobs; DELETE FROM ended_jobs WHERE job_id IN (SELECT id FROM jobs ORDER BY id DESC LIMIT 11);
               DELETE FROM jobs WHERE id IN (SELECT id FROM jobs ORDER BY id DESC LIMIT 11)").await;
    let next = harness.data(query, json!({ "first": 2, "after": cursor })).await;
    assert_eq!(edges(&next), [all[11]["id"].as_str().unwrap(), all[12]["id"].as_str().unwrap()]);
}

#[tokio::test]
async fn invalid_arguments_are_refused_with_their_code() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    harness.enqueue(json!({ "commandId": command })).await;
    let data = harness.data("{ jobs { pageInfo { endCursor } } }", json!({})).await;
    let cursor = data["jobs"]["pageInfo"]["endCursor"].as_str().unwrap();
    for (arguments, code) in [
        ("first: 101", "BAD_REQUEST"),
        ("first: 1, last: 1", "BAD_REQUEST"),
        ("after: \"x\"", "BAD_CURSOR"),
        (&*format!("after: \"{cursor}\", orderBy: {{ field: PRIORITY }}"), "BAD_CURSOR"),
        (&*format!("filter: {{ search: \"{}\" }}", "x".repeat(201)), "BAD_REQUEST"),
        (&*format!("filter: {{ queues: [{}] }}", "\"q\" ".repeat(1001)), "BAD_REQUEST"),
        (
            "first: 100) { nodes { artifacts { id } log(first: 1000) { nodes { text } } } } x: jobs(first: 1",
            "TOO_COMPLEX",
        ),
    ] {
        let query = format!("{{ jobs({arguments}) {{ nodes {{ id }} }} }}");
        assert_eq!(harness.error(&query, json!({})).await, code, "{arguments:.60}");
    }
}

#[tokio::test]
async fn a_profile_lists_its_jobs() {
    let harness = Harness::new().await;
    let all = create_jobs(&harness).await;
    let profile = all[39]["profile"]["id"].clone();
    let query = "query($id: ID!, $filter: JobFilter) { profile(id: $id) { jobs(first: 3, filter: $filter) {
        nodes { id } countAtLeast pageInfo { hasNextPage } } } }";
    let of_profile: Vec<&Value> = all.iter().filter(|job| job["profile"]["id"] == profile).collect();
    let found = harness.data(query, json!({ "id": profile })).await["profile"]["jobs"].take();
    assert_eq!(found["nodes"][0]["id"], of_profile[0]["id"]);
    assert_eq!(
        (&found["countAtLeast"], found["nodes"].as_array().unwrap().len()),
        (&json!(of_profile.len()), 3)
    );
    let elsewhere =
        json!({ "id": profile, "filter": { "profileIds": ["profile_00000000000000000000000000"] } });
    assert_eq!(harness.data(query, elsewhere).await["profile"]["jobs"]["countAtLeast"], 0);
}

/// A query of every list of the schema, with the list as `list`. `$$` stands for its arguments.
fn list_query(of: &str, field: &str) -> String {
    let query = match (of, field) {
        ("Query", field) => return format!("{{ list: {field}$$ }}"),
        ("Profile", "jobs") => "{ on: profile(name: \"one\") { list: jobs$$ } }",
        ("Service", "profiles") => "{ on: service(name: \"one\") { list: profiles$$ } }",
        ("Proxy", "profiles") => "{ on: proxy(name: \"one\") { list: profiles$$ } }",
        ("Job", "attempts") => "{ on: job(id: \"JOB\") { list: attempts$$ } }",
        ("Job", "log") => "{ on: job(id: \"JOB\") { list: log$$ } }",
        ("Job", "events") => "{ on: job(id: \"JOB\") { list: events$$ } }",
        ("Job", "dependsOn") => "{ on: job(id: \"NEEDING\") { list: dependsOn$$ } }",
        new => panic!("{new:?} has no row in this table"),
    };
    query.to_owned()
}

/// Every field of the schema that returns a connection, with its type and whether it has `last`.
async fn all_lists(harness: &Harness) -> Vec<(String, String, bool)> {
    let query = "{ __schema { types { name fields { name type { ofType { name } } args { name } } } } }";
    let types = harness.data(query, json!({})).await["__schema"]["types"].take();
    let mut lists = Vec::new();
    for of in types.as_array().unwrap() {
        for field in of["fields"].as_array().into_iter().flatten() {
            let has = |name: &str| field["args"].as_array().unwrap().iter().any(|arg| arg["name"] == name);
            let is_list =
                field["type"]["ofType"]["name"].as_str().is_some_and(|of| of.ends_with("Connection"));
            assert!(!is_list || has("first"), "{field}");
            if is_list {
                let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
                lists.push((name(of), name(field), has("last")));
            }
        }
    }
    lists
}

/// Every list with at least two items, of one job and of one that depends on others.
struct Lists {
    harness: Harness,
    job: JobId,
    needing: JobId,
}

impl Lists {
    async fn fill() -> Self {
        let harness = Harness::new().await;
        harness.register_worker(&["default"]).await;
        let (mut ids, mut command) = (Vec::new(), String::new());
        for name in ["one", "two"] {
            command = harness.create_command(name, json!({})).await;
            let service = harness.create("serviceCreate", "service", json!({ "name": name })).await;
            let proxy = json!({ "name": name, "protocol": "HTTP", "address": "127.0.0.1:3128" });
            let proxy = harness.create("proxyCreate", "proxy", proxy).await;
            let schedule = json!({ "name": name, "cron": "0 0 1 1 *", "job": { "commandId": command } });
            harness.create("scheduleCreate", "schedule", schedule).await;
            harness.create("apiKeyCreate", "apiKey", json!({ "name": name, "role": "VIEWER" })).await;
            ids.push((service, proxy));
        }
        let mut profiles = Vec::new();
        for name in ["one", "two"] {
            let profile = json!({
                "name": name, "chromeProfilePath": name, "serviceIds": [ids[0].0], "proxyIds": [ids[0].1],
            });
            profiles.push(harness.create("profileCreate", "profile", profile).await);
        }
        let job = harness.enqueue(json!({ "commandId": command, "profileId": profiles[0] })).await;
        let other = harness.enqueue(json!({ "commandId": command, "profileId": profiles[0] })).await;
        let needs = json!({ "commandId": command, "dependsOn": [job.to_string(), other.to_string()] });
        let needing = harness.enqueue(needs).await;
        for number in 0..2 {
            let attempt = harness.start(job).await;
            harness.log(job, attempt, &["one", "two"]).await;
            if number == 0 {
                harness.settle(job, attempt, failed(false)).await;
                harness.mutate("jobRetry", "job { id }", json!({ "id": job.to_string() })).await;
            }
        }
        // The sign-in is written up to a second later, and would come in before the first entry.
        harness.audit.flush().await;
        Self { harness, job, needing }
    }

    /// The query of a list with these arguments.
    fn query(&self, of: &str, field: &str, arguments: &str) -> String {
        let page = format!(
            "{arguments} {{ edges {{ cursor }} pageInfo {{ hasNextPage hasPreviousPage startCursor }} }}"
        );
        list_query(of, field)
            .replace("$$", &page)
            .replace("JOB", &self.job.to_string())
            .replace("NEEDING", &self.needing.to_string())
    }

    async fn read(&self, of: &str, field: &str, arguments: &str) -> Value {
        let mut data = self.harness.data(&self.query(of, field, arguments), json!({})).await;
        if data.get("on").is_some() { data["on"]["list"].take() } else { data["list"].take() }
    }
}

#[tokio::test]
async fn a_page_of_no_items_means_the_same_in_every_list() {
    let lists = Lists::fill().await;
    for (of, field, has_last) in all_lists(&lists.harness).await {
        let whole = lists.read(&of, &field, "(first: 50)").await;
        let edges = whole["edges"].as_array().unwrap();
        assert!(edges.len() >= 2, "{of}.{field}: {whole}");
        let (first, last) = (&edges[0]["cursor"], &edges[edges.len() - 1]["cursor"]);
        let mut cases = vec![
            ("(first: 0)".to_owned(), [true, false]),
            (format!("(first: 0, after: {first})"), [true, true]),
            (format!("(first: 0, after: {last})"), [false, true]),
        ];
        if has_last {
            cases.push(("(last: 0)".to_owned(), [false, true]));
            cases.push((format!("(last: 0, before: {last})"), [true, true]));
            cases.push((format!("(last: 0, before: {first})"), [true, false]));
            cases.push((format!("(first: 0, before: {first})"), [true, false]));
            cases.push((format!("(last: 0, after: {last})"), [false, true]));
            cases.push((format!("(first: 0, after: {first}, before: {last})"), [true, true]));
            cases.push((format!("(last: 0, after: {first}, before: {last})"), [true, true]));
        }
        for (arguments, [next, previous]) in cases {
            let page = lists.read(&of, &field, &arguments).await;
            let expected = json!({ "hasNextPage": next, "hasPreviousPage": previous, "startCursor": null });
            assert_eq!(page, json!({ "edges": [], "pageInfo": expected }), "{of}.{field}{arguments}");
        }
    }
}

#[tokio::test]
async fn the_cursor_of_another_list_is_refused() {
    let lists = Lists::fill().await;
    let mut cursors = Vec::new();
    let all = all_lists(&lists.harness).await;
    for (of, field, _) in &all {
        let page = lists.read(of, field, "(first: 1)").await;
        cursors.push((field, page["edges"][0]["cursor"].clone()));
    }
    for (of, field, _) in &all {
        for (other, cursor) in cursors.iter().filter(|(other, _)| *other != field) {
            let query = lists.query(of, field, &format!("(first: 1, after: {cursor})"));
            let code = lists.harness.error(&query, json!({})).await;
            assert_eq!(code, "BAD_CURSOR", "{of}.{field} with a cursor of {other}");
        }
    }
}
