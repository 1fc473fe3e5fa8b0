//! The jobs of a profile, and the refusal to delete objects that an unfinished job uses.

use serde_json::{Value, json};

use crate::api::TestApi;

const ENQUEUE: &str = "mutation($input: JobEnqueueInput!) {
    jobEnqueue(input: $input) { job { id } userErrors { code } } }";

async fn enqueue(api: &TestApi, input: Value) -> Value {
    let mut response = api.data(ENQUEUE, json!({ "input": input })).await;
    assert_eq!(response["jobEnqueue"]["userErrors"], json!([]));
    response["jobEnqueue"]["job"]["id"].take()
}

#[tokio::test]
async fn a_profile_lists_its_jobs() {
    let api = TestApi::start().await;
    let (profile, command) = (api.create("profile", "p").await, api.create("command", "c").await);
    let older = enqueue(&api, json!({ "commandId": command, "profileId": profile, "labels": ["x"] })).await;
    let newer = enqueue(&api, json!({ "commandId": command, "profileId": profile })).await;
    enqueue(&api, json!({ "commandId": command })).await;
    let query = "{ profile(name: \"p\") { heldBy { id }
        all: jobs { countAtLeast nodes { id } } one: jobs(first: 1) { nodes { id } pageInfo { hasNextPage } }
        some: jobs(filter: { labels: [\"x\"] }) { nodes { id } } } }";
    let profile = api.data(query, json!({})).await["profile"].take();
    let all = json!({ "countAtLeast": 2, "nodes": [{ "id": newer }, { "id": older }] });
    assert_eq!((&profile["all"], &profile["heldBy"]), (&all, &Value::Null));
    assert_eq!(profile["one"], json!({ "nodes": [{ "id": newer }], "pageInfo": { "hasNextPage": true } }));
    assert_eq!(profile["some"]["nodes"], json!([{ "id": older }]));
}

#[tokio::test]
async fn objects_that_an_unfinished_job_uses_cannot_be_deleted() {
    let api = TestApi::start().await;
    let (profile, proxy) = (api.create("profile", "p").await, api.create("proxy", "x").await);
    let (service, command) = (api.create("service", "s").await, api.create("command", "c").await);
    let job =
        json!({ "commandId": command, "profileId": profile, "proxyId": proxy, "serviceIds": [service] });
    let job = enqueue(&api, job).await;
    let used = [("profileDelete", &profile), ("proxyDelete", &proxy), ("serviceDelete", &service)];
    for (mutation, id) in used {
        assert_eq!(api.refused(mutation, json!({ "id": id })).await, ["IN_USE id"], "{mutation}");
    }
    let deleted = api.mutate("commandDelete", "deletedId", json!({ "id": command })).await;
    assert_eq!(deleted["deletedId"], json!(command), "jobs keep their own copy");
    let read = "query($id: ID!) { job(id: $id) { command { id } kind state } }";
    let kept = api.data(read, json!({ "id": job })).await["job"].take();
    assert_eq!((&kept["command"], &kept["kind"]), (&Value::Null, &json!("HTTP")));

    let cancel = "mutation($id: ID!) { jobCancel(input: { id: $id }) { job { state } userErrors { code } } }";
    let cancelled = api.data(cancel, json!({ "id": job })).await["jobCancel"].take();
    assert_eq!(cancelled["job"]["state"], "CANCELLED", "{cancelled}");
    for (mutation, id) in used {
        assert_eq!(api.mutate(mutation, "deletedId", json!({ "id": id })).await["deletedId"], json!(id));
    }
}
