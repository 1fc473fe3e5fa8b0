//! Operations that cost much with few words.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use callboard_test_support::eventually;
use futures::{StreamExt as _, stream::FuturesUnordered};
use serde_json::json;

use crate::server::{TestServer, ticks};

#[tokio::test]
async fn aliases_of_a_dear_preview_are_refused() {
    let server = TestServer::start().await;
    let aliases: Vec<String> =
        (0..40).map(|n| format!("a{n}: commandPreview(input: $input) {{ userErrors {{ code }} }}")).collect();
    let query = format!("query($input: CommandPreviewInput!) {{ {} }}", aliases.join(" "));
    let input =
        json!({ "spec": { "program": { "program": "/bin/true", "arguments": ["{{ range(9)|list }}"] } } });
    let answer = server.ask(&query, json!({ "input": input })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answer}");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("20080"), "{answer}");
}

#[tokio::test]
async fn introspections_that_multiply_are_refused() {
    let server = TestServer::start().await;
    let nested = |depth: usize| format!("{}name{}", "fields { type { ".repeat(depth), " } }".repeat(depth));
    let query = format!("{{ __schema {{ types {{ {} }} }} }}", nested(8));
    let since = Instant::now();
    let answer = server.ask(&query, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{answer}");
    assert!(since.elapsed() < Duration::from_secs(5));
    server
        .data(
            "{ __schema { types { name fields { name args { name } type { name ofType { name } } } } } }",
            json!({}),
        )
        .await;
}

/// Takes all the time that an evaluation may take.
const ENDLESS: &str =
    "{% set n=namespace(x=[1]) %}{% for i in range(60) %}{% set n.x=[n.x,n.x] %}{% endfor %}{{ n.x|tojson }}";

/// Whether the child of a client that gives up ends, although what it does never would: while it
/// works it is stopped, so that it comes to no limit of processor time, and it is gone before the
/// API's own limit ends it.
async fn ends_with_its_caller(server: &TestServer) -> bool {
    let &[child] = server.children().as_slice() else {
        server.preview("{{ range(9)|list|tojson }}").await;
        return false;
    };
    let spent = || ticks(child).map(|[user, system, ..]| user + system);
    let (before, since) = (spent(), Instant::now());
    let mut asking = Box::pin(server.preview(ENDLESS));
    let is_at_work = async {
        while spent() == before && server.children().contains(&child) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _answer = &mut asking => return false,
        () = is_at_work => {}
    }
    let stopped = Command::new("/bin/sh").args(["-c", &format!("kill -STOP {child}")]).status().unwrap();
    if !stopped.success() {
        return false;
    }
    drop(asking);
    eventually(Duration::from_secs(10), || std::future::ready(!server.children().contains(&child))).await;
    // The API ends a preview after 2 s, and the client has given up before that.
    since.elapsed() < Duration::from_millis(1900)
}

#[tokio::test]
async fn the_work_of_a_caller_who_leaves_ends() {
    let server = TestServer::start().await;
    server.preview("{{ range(9)|list|tojson }}").await;
    // On a busy machine a client may give up too late to show anything. Then another one tries.
    for number in 0..20 {
        if ends_with_its_caller(&server).await {
            break;
        }
        assert!(number < 19, "the work went on each time");
    }
    let (preview, _) = server.preview("{{ range(2)|list|tojson }}").await;
    assert_eq!(preview["composed"]["arguments"], json!(["[0,1]"]), "{preview}");
}

#[tokio::test]
async fn heavy_jobs_hold_up_no_light_ones() {
    let server = TestServer::start().await;
    let create = "mutation($input: CommandCreateInput!) { commandCreate(input: $input) { command { id } userErrors { message } } }";
    let mut ids = Vec::new();
    for (name, template) in [("light", "{{ input.n }}"), ("heavy", ENDLESS)] {
        let spec = json!({ "program": { "program": "/bin/true", "arguments": [template] } });
        let created = server.data(create, json!({ "input": { "name": name, "spec": spec } })).await;
        ids.push(created["commandCreate"]["command"]["id"].clone());
    }
    let enqueue =
        "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) { job { id } userErrors { code } } }";
    let job = |id: usize| json!({ "input": { "commandId": ids[id], "input": { "n": 9000 } } });
    // Each is refused in the end.
    let mut heavy: FuturesUnordered<_> = (0..40).map(|_| server.ask(enqueue, job(1))).collect();
    let light = async {
        for _ in 0..20 {
            let done = server.data(enqueue, job(0)).await;
            assert!(done["jobEnqueue"]["job"]["id"].is_string(), "{done}");
        }
    };
    let mut light = std::pin::pin!(light);
    let first = heavy.next().await.unwrap();
    assert_eq!(first["data"]["jobEnqueue"]["userErrors"][0]["code"], "NOT_COMPOSABLE", "{first}");
    loop {
        tokio::select! {
            () = &mut light => break,
            answer = heavy.next() => assert!(answer.is_some(), "the light jobs waited for all heavy ones"),
        }
    }
    assert!(heavy.len() > 5, "the light jobs waited for heavy ones: {} are left", heavy.len());
}
