//! The audit for admins, what is refused, and what OPERATORs may choose.

use serde_json::{Value, json};

use crate::api::{TestApi, reasons};

const ENQUEUE: &str = "mutation($input: JobEnqueueInput!) {
    jobEnqueue(input: $input) { job { id services { id } } userErrors { code message path } } }";

pub(crate) async fn enqueue(api: &TestApi, key: &str, input: Value) -> Value {
    let (_, mut response) = api.execute(Some(key), ENQUEUE, json!({ "input": input })).await;
    assert_eq!(response.get("errors"), None, "{response}");
    response["data"]["jobEnqueue"].take()
}

pub(crate) async fn audit(api: &TestApi, arguments: &str) -> Value {
    api.audit.flush().await;
    let query = format!(
        "{{ auditEvents{arguments} {{ nodes {{ at actor role keyId address transport action outcome objectKind objectIds
            objectName count before after message }} edges {{ cursor }} pageInfo {{ hasNextPage hasPreviousPage endCursor }} }} }}"
    );
    api.data(&query, json!({})).await["auditEvents"].take()
}

fn actions(page: &Value) -> Vec<&str> {
    page["nodes"].as_array().unwrap().iter().map(|node| node["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn changes_and_refusals_are_listed_for_admins_only() {
    let api = TestApi::start().await;
    let service = api.create("service", "s").await;
    assert_eq!(api.refused("serviceCreate", json!({ "name": "s" })).await, ["TAKEN name"]);
    let forbidden = "mutation { serviceDelete(input: { id: \"service_x\" }) { deletedId } }";
    for _ in 0..3 {
        api.execute(Some("cb_operator"), forbidden, json!({})).await;
    }
    let command = api.create("command", "c").await;
    enqueue(&api, "cb_operator", json!({ "commandId": command })).await;

    let page = audit(&api, "").await;
    let found: Vec<(&str, &str, &str)> = page["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let text = |field: &str| node[field].as_str().unwrap();
            (text("action"), text("outcome"), text("actor"))
        })
        .collect();
    for expected in [
        ("serviceCreate", "DONE", "cb_admin"),
        ("serviceCreate", "REFUSED", "cb_admin"),
        ("serviceDelete", "REFUSED", "cb_operator"),
        ("commandCreate", "DONE", "cb_admin"),
        ("jobEnqueue", "DONE", "cb_operator"),
    ] {
        assert_eq!(found.iter().filter(|found| **found == expected).count(), 1, "{expected:?} in {found:?}");
    }
    assert_eq!(found.len(), 5);
    let one = async |filter: String| audit(&api, &filter).await["nodes"][0].take();
    let created = one(format!("(filter: {{ objectId: \"{service}\" }})")).await;
    assert_eq!(
        (&created["role"], &created["objectKind"], &created["objectName"]),
        (&json!("ADMIN"), &json!("service"), &json!("s"))
    );
    assert_eq!(
        (&created["before"], &created["after"]["name"], &created["transport"]),
        (&Value::Null, &json!("s"), &json!("http"))
    );
    let taken = one("(filter: { action: \"serviceCreate\", outcome: REFUSED })".to_owned()).await;
    assert_eq!(taken["message"], "TAKEN input.name");
    let refused = one("(filter: { actor: \"cb_operator\", outcome: REFUSED })".to_owned()).await;
    assert_eq!((&refused["count"], &refused["role"]), (&json!(3), &json!("OPERATOR")));

    for key in ["cb_viewer", "cb_operator"] {
        let (_, response) = api.execute(Some(key), "{ auditEvents { nodes { id } } }", json!({})).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN", "{response}");
    }
}

#[tokio::test]
async fn the_list_pages_in_both_directions() {
    let api = TestApi::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        api.create("service", name).await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["objectName"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = audit(&api, "(first: 2)").await;
    assert_eq!(
        (names(&first), &first["pageInfo"]["hasNextPage"]),
        (vec!["e".into(), "d".into()], &json!(true))
    );
    let cursor = first["pageInfo"]["endCursor"].as_str().unwrap();
    let second = audit(&api, &format!("(first: 2, after: \"{cursor}\")")).await;
    assert_eq!(names(&second), ["c", "b"]);
    let last = audit(&api, "(last: 2)").await;
    assert_eq!(
        (names(&last), &last["pageInfo"]["hasPreviousPage"]),
        (vec!["b".into(), "a".into()], &json!(true))
    );
    let before = audit(&api, &format!("(last: 2, before: \"{cursor}\")")).await;
    assert_eq!(names(&before), ["e"]);
    let filtered =
        audit(&api, "(filter: { actor: \"cb_admin\", at: { gte: \"2020-01-01T00:00:00.000Z\" } })").await;
    assert_eq!(filtered["nodes"].as_array().unwrap().len(), 5);
    let old = audit(&api, "(filter: { at: { lt: \"2020-01-01T00:00:00.000Z\" } })").await;
    assert_eq!(actions(&old), Vec::<&str>::new());
    for bad in ["x", "WyJjIixudWxsLCIwIl0"] {
        let query = format!("{{ auditEvents(after: \"{bad}\") {{ nodes {{ id }} }} }}");
        assert_eq!(api.error(&query, json!({})).await, "BAD_CURSOR");
    }
}

/// A service with a token.
async fn with_token(api: &TestApi, name: &str) -> String {
    let input = json!({ "name": name, "token": "tok-0123456789abcdef", "baseUrl": "https://s.test" });
    api.mutate_ok("serviceCreate", "id", input).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_operator_chooses_what_the_command_lets_jobs_choose() {
    let api = TestApi::start().await;
    let (own, other) = (with_token(&api, "own").await, with_token(&api, "other").await);
    let (plain, listed) = (api.create("service", "plain").await, with_token(&api, "listed").await);
    let (mine, yours) = (api.create("profile", "mine").await, api.create("profile", "yours").await);
    api.mutate_ok("profileUpdate", "id", json!({ "id": yours, "serviceIds": [other] })).await;
    let (exit, way) = (api.create("proxy", "exit").await, api.create("proxy", "way").await);
    let command = async |name: &str, more: Value| {
        let mut input = json!({ "name": name, "spec": { "program": { "program": "/usr/bin/true" } } });
        input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        api.mutate_ok("commandCreate", "id", input).await["id"].clone()
    };
    let open = command("open", json!({})).await;
    let bound = command("bound", json!({ "serviceIds": [own], "profileId": mine, "proxyId": exit })).await;
    let choices = json!({ "services": { "rule": "LISTED", "ids": [listed] }, "profiles": { "rule": "ANY" }, "proxies": { "rule": "LISTED" } });
    let chosen =
        command("chosen", json!({ "serviceIds": [own], "profileId": mine, "choices": choices })).await;
    let preview = "query($input: CommandPreviewInput!) { commandPreview(input: $input) { userErrors { code message path } } }";
    for (command, named, refused) in [
        (&open, json!({ "profileId": mine, "proxyId": exit, "serviceIds": [plain] }), vec![]),
        (&open, json!({ "profileId": yours, "serviceIds": [other] }), vec![]),
        (&open, json!({ "serviceIds": [plain, other] }), vec!["INVALID serviceIds.1"]),
        (&open, json!({ "profileId": mine, "serviceIds": [other] }), vec!["INVALID serviceIds.0"]),
        (&open, json!({ "serviceIds": [] }), vec![]),
        (&bound, json!({}), vec![]),
        (&bound, json!({ "serviceIds": [own], "profileId": mine, "proxyId": exit }), vec![]),
        (&bound, json!({ "serviceIds": [own, plain] }), vec!["INVALID serviceIds.1"]),
        (
            &bound,
            json!({ "profileId": yours, "proxyId": way, "serviceIds": [other] }),
            vec!["INVALID profileId", "INVALID proxyId", "INVALID serviceIds.0"],
        ),
        (&chosen, json!({ "profileId": yours, "serviceIds": [own, listed] }), vec![]),
        (
            &chosen,
            json!({ "proxyId": exit, "serviceIds": [plain] }),
            vec!["INVALID proxyId", "INVALID serviceIds.0"],
        ),
    ] {
        let mut input = named.clone();
        input["commandId"] = command.clone();
        let payload = enqueue(&api, "cb_operator", input.clone()).await;
        let errors = &payload["userErrors"];
        if refused.is_empty() {
            assert_eq!(errors, &json!([]), "{input}");
        } else {
            assert_eq!(reasons(errors), refused, "{input}");
            assert!(
                errors[0]["message"].as_str().unwrap().contains("does not let its jobs choose"),
                "{errors}"
            );
        }
        for key in ["cb_viewer", "cb_operator"] {
            let (_, shown) = api.execute(Some(key), preview, json!({ "input": input })).await;
            assert_eq!(&shown["data"]["commandPreview"]["userErrors"], errors, "{key} {input}");
        }
        // An admin may change the command, so may choose anything.
        assert_eq!(enqueue(&api, "cb_admin", input).await["userErrors"], json!([]));
    }
    let many = "mutation($input: JobsEnqueueInput!) { jobsEnqueue(input: $input) { jobs { id } userErrors { code path message } } }";
    let jobs = json!({ "jobs": [{ "commandId": open }, { "commandId": open, "serviceIds": [other] }] });
    let (_, response) = api.execute(Some("cb_operator"), many, json!({ "input": jobs })).await;
    assert_eq!(reasons(&response["data"]["jobsEnqueue"]["userErrors"]), ["INVALID jobs.1.serviceIds.0"]);
}

#[tokio::test]
async fn an_operator_runs_a_job_again_only_on_what_they_may_choose_now() {
    const RETRY: &str = "mutation($input: JobRetryInput!) { jobRetry(input: $input) { job { id } userErrors { code message path } } }";
    const RETRY_ALL: &str = "mutation($input: JobsRetryInput!) { jobsRetry(input: $input) { affectedCount skippedCount userErrors { code } } }";
    let api = TestApi::start().await;
    let (own, listed) = (with_token(&api, "own").await, with_token(&api, "listed").await);
    let mine = api.create("profile", "mine").await;
    api.mutate_ok("profileUpdate", "id", json!({ "id": mine, "serviceIds": [listed] })).await;
    let mut input = json!({
        "name": "c", "spec": { "program": { "program": "/usr/bin/true" } }, "serviceIds": [own],
        "choices": { "services": { "rule": "LISTED", "ids": [listed] }, "profiles": { "rule": "ANY" } },
    });
    let command = api.mutate_ok("commandCreate", "id", input.clone()).await["id"].clone();
    input["name"] = json!("open");
    input["serviceIds"] = json!([]);
    input["choices"] = json!({});
    let open = api.mutate_ok("commandCreate", "id", input).await["id"].clone();
    let ended = async |job: Value| {
        let payload = enqueue(&api, "cb_operator", job).await;
        assert_eq!(payload["userErrors"], json!([]));
        let id = payload["job"]["id"].clone();
        api.data(
            "mutation($id: ID!) { jobCancel(input: { id: $id }) { job { state } } }",
            json!({ "id": id }),
        )
        .await;
        id
    };
    let retry = async |key: &str, job: &Value| {
        let (_, mut response) = api.execute(Some(key), RETRY, json!({ "input": { "id": job } })).await;
        response["data"]["jobRetry"].take()
    };
    let plain = ended(json!({ "commandId": command })).await;
    let chosen = ended(json!({ "commandId": command, "profileId": mine, "serviceIds": [listed] })).await;
    let of_profile = ended(json!({ "commandId": open, "profileId": mine })).await;
    let narrow = json!({ "id": command, "choices": { "services": { "rule": "LISTED", "ids": [] }, "profiles": { "rule": "ANY" } } });
    api.mutate_ok("commandUpdate", "id", narrow).await;

    let refused = retry("cb_operator", &chosen).await;
    assert_eq!(reasons(&refused["userErrors"]), ["INVALID id"]);
    let message = refused["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.contains("the service listed") && refused["job"].is_null(), "{refused}");
    let all = json!({ "input": { "filter": { "ids": [plain, chosen, of_profile] } } });
    let (_, response) = api.execute(Some("cb_operator"), RETRY_ALL, all).await;
    let done = &response["data"]["jobsRetry"];
    assert_eq!((&done["affectedCount"], &done["skippedCount"]), (&json!(2), &json!(1)), "{response}");
    assert_eq!(retry("cb_admin", &chosen).await["userErrors"], json!([]), "an ADMIN may choose anything");
}

#[tokio::test]
async fn an_operator_gets_no_other_token_by_order_or_by_a_profile() {
    let api = TestApi::start().await;
    let (own, listed) = (with_token(&api, "own").await, with_token(&api, "listed").await);
    let (other, plain) = (with_token(&api, "other").await, api.create("service", "plain").await);
    let (mine, yours) = (api.create("profile", "mine").await, api.create("profile", "yours").await);
    api.mutate_ok("profileUpdate", "id", json!({ "id": yours, "serviceIds": [other] })).await;
    let command = async |name: &str, services: Value| {
        let choices = json!({ "services": { "rule": "LISTED", "ids": [listed, plain] }, "profiles": { "rule": "ANY" } });
        let spec = json!({ "program": { "program": "/usr/bin/true" } });
        let input = json!({ "name": name, "spec": spec, "choices": choices, "serviceIds": services });
        api.mutate_ok("commandCreate", "id", input).await["id"].clone()
    };
    let (two, none) = (command("two", json!([own, other])).await, command("none", json!([])).await);
    for (command, named, refused) in [
        (&two, json!({ "serviceIds": [own] }), vec![]),
        (&two, json!({ "serviceIds": [plain, own, other] }), vec![]),
        (&two, json!({ "serviceIds": [listed, own] }), vec![]),
        (&two, json!({ "serviceIds": [other, own] }), vec!["INVALID serviceIds"]),
        (&two, json!({ "serviceIds": [other] }), vec!["INVALID serviceIds"]),
        (&none, json!({ "profileId": mine }), vec![]),
        (&none, json!({ "profileId": yours }), vec!["INVALID profileId"]),
        (&none, json!({ "profileId": yours, "serviceIds": [listed] }), vec![]),
    ] {
        let mut input = named.clone();
        input["commandId"] = command.clone();
        let payload = enqueue(&api, "cb_operator", input.clone()).await;
        let errors = &payload["userErrors"];
        let found = if *errors == json!([]) { Vec::new() } else { reasons(errors) };
        assert_eq!(found, refused, "{input}: {errors}");
        assert_eq!(enqueue(&api, "cb_admin", input).await["userErrors"], json!([]));
    }
}

const FIELDS: &str = "id choices { profiles { rule ids } proxies { rule ids } services { rule ids } }";

#[tokio::test]
async fn choices_read_back_and_are_checked() {
    let api = TestApi::start().await;
    let service = api.create("service", "s").await;
    let any = |rule: &str| json!({ "rule": rule, "ids": [] });
    let input = json!({
        "name": "c", "spec": { "program": { "program": "/usr/bin/true" } },
        "choices": { "services": { "rule": "LISTED", "ids": [service] }, "proxies": { "rule": "ANY" } },
    });
    let made = api.mutate_ok("commandCreate", FIELDS, input).await;
    let expected = json!({ "profiles": any("DEFAULT"), "proxies": any("ANY"), "services": { "rule": "LISTED", "ids": [service] } });
    assert_eq!(made["choices"], expected);
    let listed = |ids: &[&str]| json!({ "rule": "LISTED", "ids": ids });
    for (choices, expected) in [
        (json!({}), [any("DEFAULT"), any("ANY"), listed(&[&service])]),
        (json!({ "profiles": { "rule": "ANY" } }), [any("ANY"), any("ANY"), listed(&[&service])]),
        (json!({ "services": { "rule": "LISTED" } }), [any("ANY"), any("ANY"), listed(&[])]),
        (json!({ "proxies": null }), [any("ANY"), any("DEFAULT"), listed(&[])]),
        (json!({ "profiles": { "rule": "DEFAULT" } }), [any("DEFAULT"), any("DEFAULT"), listed(&[])]),
        (json!(null), [any("DEFAULT"), any("DEFAULT"), any("DEFAULT")]),
    ] {
        let change = json!({ "id": made["id"], "choices": choices });
        let changed = api.mutate_ok("commandUpdate", FIELDS, change).await;
        let of = |kind: &str| changed["choices"][kind].clone();
        assert_eq!([of("profiles"), of("proxies"), of("services")], expected, "{choices}");
    }
    for (choices, reason) in [
        (json!({ "services": { "rule": "ANY", "ids": [service] } }), "INVALID choices.services.ids"),
        (
            json!({ "services": { "rule": "LISTED", "ids": [service, "service_x"] } }),
            "NOT_FOUND choices.services.ids.1",
        ),
        (json!({ "profiles": { "rule": "LISTED", "ids": [service] } }), "NOT_FOUND choices.profiles.ids.0"),
        (
            json!({ "proxies": { "rule": "LISTED", "ids": vec![service.clone(); 101] } }),
            "TOO_MANY choices.proxies.ids",
        ),
    ] {
        let refused = api.refused("commandUpdate", json!({ "id": made["id"], "choices": choices })).await;
        assert_eq!(refused, [reason]);
    }
}

#[tokio::test]
async fn the_hosts_of_a_token_are_kept_in_one_form() {
    let api = TestApi::start().await;
    let hosts = json!({ "name": "s", "tokenHosts": ["API.Example.com", "api.example.com", "[::1]:8080", "b\u{fc}cher.test:443"] });
    let made = api.mutate_ok("serviceCreate", "id tokenHosts", hosts).await;
    assert_eq!(made["tokenHosts"], json!(["api.example.com", "[::1]:8080", "xn--bcher-kva.test:443"]));
    let bad = json!({ "id": made["id"], "tokenHosts": ["ok.test", "https://x.test", "*.test", ""] });
    let expected = ["INVALID tokenHosts.1", "INVALID tokenHosts.2", "INVALID tokenHosts.3"];
    assert_eq!(api.refused("serviceUpdate", bad).await, expected);
    for (host, part) in [
        ("http://a.test:80", "without http://"),
        ("*.a.test", "without wildcards"),
        ("a.test/path", "without a path"),
        ("me@a.test", "without a user name"),
        ("", "api.example.com:8443"),
    ] {
        let update = "mutation($input: ServiceUpdateInput!) { serviceUpdate(input: $input) { userErrors { message } } }";
        let input = json!({ "id": made["id"], "tokenHosts": [host] });
        let payload = api.data(update, json!({ "input": input })).await;
        let message = payload["serviceUpdate"]["userErrors"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{host}: {message}");
    }
    let cleared =
        api.mutate_ok("serviceUpdate", "tokenHosts", json!({ "id": made["id"], "tokenHosts": null })).await;
    assert_eq!(cleared["tokenHosts"], json!([]));
}
