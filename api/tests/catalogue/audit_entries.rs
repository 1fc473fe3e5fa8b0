//! What an entry of the audit says: what was enqueued, whom a refusal concerned, changed values.

use serde_json::{Value, json};

use crate::{
    api::{TestApi, reasons},
    audit::{audit, enqueue},
};

#[tokio::test]
async fn entries_say_what_was_enqueued_and_whom_a_refusal_concerned() {
    let api = TestApi::start().await;
    let (service, profile) = (api.create("service", "s").await, api.create("profile", "p").await);
    let (one, other) = (api.create("command", "one").await, api.create("command", "other").await);
    let one_of = async |arguments: &str| audit(&api, arguments).await["nodes"][0].take();
    enqueue(&api, "cb_admin", json!({ "commandId": one, "profileId": profile, "input": { "secret": "x" } }))
        .await;
    let entry = one_of("(filter: { action: \"jobEnqueue\" })").await;
    assert_eq!((&entry["objectKind"], &entry["objectName"]), (&json!("job"), &json!("one")));
    let kind = json!({ "command": "one", "commandId": one, "profileId": profile, "proxyId": null,
        "serviceIds": [], "count": 1 });
    assert_eq!(entry["after"], json!({ "jobs": [kind] }));

    let many = "mutation($input: JobsEnqueueInput!) { jobsEnqueue(input: $input) { jobs { id } userErrors { code } } }";
    let jobs: Vec<Value> = [&one, &other, &one].map(|id| json!({ "commandId": id })).into();
    api.execute(Some("cb_admin"), many, json!({ "input": { "jobs": jobs } })).await;
    let entry = one_of("(filter: { action: \"jobsEnqueue\" })").await;
    assert_eq!((&entry["count"], &entry["objectName"]), (&json!(3), &Value::Null));
    let kinds = entry["after"]["jobs"].as_array().unwrap();
    let kinds: Vec<(&Value, &Value)> = kinds.iter().map(|kind| (&kind["command"], &kind["count"])).collect();
    assert_eq!(kinds, [(&json!("one"), &json!(2)), (&json!("other"), &json!(1))]);

    let mut jobs = Vec::new();
    for number in 0..52 {
        jobs.push(json!({ "commandId": api.create("command", &format!("c{number}")).await }));
    }
    api.execute(Some("cb_admin"), many, json!({ "input": { "jobs": jobs } })).await;
    let entry = one_of("(filter: { action: \"jobsEnqueue\" })").await;
    let listed = entry["after"]["jobs"].as_array().unwrap().len();
    assert_eq!((&entry["count"], listed, &entry["after"]["others"]), (&json!(52), 50, &json!(2)));

    // What a role does not allow, with variables and without, and what was refused by its input.
    let inline =
        format!("mutation {{ serviceUpdate(input: {{ id: \"{service}\" }}) {{ service {{ id }} }} }}");
    let variables = "mutation($x: ID!) { a: serviceUpdate(input: { id: $x, tokenHosts: [\"evil.test\"] }) { service { id } } }";
    api.execute(Some("cb_operator"), &inline, json!({})).await;
    api.execute(Some("cb_viewer"), variables, json!({ "x": service })).await;
    let bad = json!({ "id": service, "tokenHosts": ["https://x.test"] });
    assert_eq!(api.refused("serviceUpdate", bad).await, ["INVALID tokenHosts.0"]);
    let page = audit(&api, &format!("(filter: {{ objectId: \"{service}\", outcome: REFUSED }})")).await;
    let mut found: Vec<String> = page["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            assert_eq!((&node["action"], &node["objectKind"]), (&json!("serviceUpdate"), &json!("service")));
            format!("{} {}", node["role"].as_str().unwrap(), node["message"].as_str().unwrap())
        })
        .collect();
    found.sort();
    assert_eq!(found[0], "ADMIN INVALID input.tokenHosts.0");
    assert!(
        found.len() == 3 && found[1].starts_with("OPERATOR `") && found[2].starts_with("VIEWER `"),
        "{found:?}"
    );
    let payload = enqueue(&api, "cb_operator", json!({ "commandId": one, "profileId": "profile_x" })).await;
    assert_eq!(reasons(&payload["userErrors"]), ["NOT_FOUND profileId"]);
    let entry = one_of("(filter: { action: \"jobEnqueue\", outcome: REFUSED })").await;
    assert_eq!((&entry["objectKind"], &entry["objectIds"]), (&json!("command"), &json!([one])));

    let pause = "mutation { queuePause(input: { name: \"mail\" }) { queue { name } } }";
    api.execute(Some("cb_operator"), pause, json!({})).await;
    let entry = one_of("(filter: { objectId: \"mail\" })").await;
    assert_eq!((&entry["action"], &entry["objectKind"]), (&json!("queuePause"), &json!("queue")));

    for wrong in ["nonsense", "JOBENQUEUE", ""] {
        let query = format!("{{ auditEvents(filter: {{ action: \"{wrong}\" }}) {{ nodes {{ id }} }} }}");
        assert_eq!(api.error(&query, json!({})).await, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn changes_are_written_as_the_api_writes_them() {
    let api = TestApi::start().await;
    let service = api.create("service", "s").await;
    let listed = json!({ "rule": "LISTED", "ids": [service] });
    let any = |rule: &str| json!({ "rule": rule, "ids": [] });
    let input = json!({
        "name": "c", "spec": { "program": { "program": "/usr/bin/true" } },
        "choices": { "services": listed, "proxies": { "rule": "ANY" } },
    });
    let made = api.mutate_ok("commandCreate", "id", input).await;
    api.mutate_ok("commandUpdate", "id", json!({ "id": made["id"], "choices": null })).await;
    let page = audit(&api, "(filter: { action: \"commandUpdate\" })").await;
    let entry = &page["nodes"][0];
    let before = json!({ "profiles": any("DEFAULT"), "proxies": any("ANY"), "services": listed });
    let after = json!({ "profiles": any("DEFAULT"), "proxies": any("DEFAULT"), "services": any("DEFAULT") });
    assert_eq!((&entry["before"]["choices"], &entry["after"]["choices"]), (&before, &after), "{entry}");
    let caps = json!([{ "most": 5, "per": "DAY", "whenReached": "REFUSE" }]);
    api.mutate_ok(
        "profileCreate",
        "id",
        json!({ "name": "p", "proxySelection": "ROUND_ROBIN", "caps": caps }),
    )
    .await;
    let page = audit(&api, "(filter: { action: \"profileCreate\" })").await;
    let after = &page["nodes"][0]["after"];
    assert_eq!((&after["proxySelection"], &after["caps"]), (&json!("ROUND_ROBIN"), &caps), "{after}");
}
