//! Answers are bounded by their bytes, and queries by the statements that they run at a time.

use callboard::{
    clock::{IdSource, now},
    ids::{ArtifactId, AttemptId, JobId, WorkerId},
    job::Outcome,
};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{client::WAIT_MAX, harness::Harness};

/// Three times an input, which is large if the input is.
const LARGE_INPUT: &str = "a: input b: input c: input";
const RESULTS: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Job { result } } }";

/// A result of nearly a mebibyte, whose tree would take 70 times that.
fn large() -> Value {
    Value::Array(vec![json!(0); 500_000])
}

async fn with_results(harness: &Harness, count: usize) -> Vec<JobId> {
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("large", json!({})).await;
    let mut jobs = Vec::new();
    for _ in 0..count {
        let job = harness.enqueue(json!({ "commandId": command })).await;
        let attempt = harness.start(job).await;
        harness.settle(job, attempt, Outcome::Succeeded { result: large() }).await;
        jobs.push(job);
    }
    jobs
}

#[tokio::test]
async fn an_answer_has_so_many_bytes_and_then_says_that_it_is_too_large() {
    let harness = Harness::new().await;
    let jobs = with_results(&harness, 3).await;
    let ids = |count: usize| -> Vec<String> { (0..count).map(|n| jobs[n % 3].to_string()).collect() };

    let found = harness.data(RESULTS, json!({ "ids": ids(3) })).await;
    assert!(found["nodes"].as_array().unwrap().iter().all(|job| job["result"] == large()));
    // The same results again and again, and each of them in all of the answers.
    assert_eq!(harness.error(RESULTS, json!({ "ids": ids(40) })).await, "TOO_COMPLEX");
    let aliases: Vec<String> =
        (0..40).map(|n| format!("a{n}: job(id: \"{}\") {{ result }}", jobs[0])).collect();
    assert_eq!(harness.error(&format!("{{ {} }}", aliases.join(" ")), json!({})).await, "TOO_COMPLEX");
    // Names stand in the answer again and again, with whatever value or error, and `__typename` is
    // weighed by the object that has it.
    let long = format!("{{ {}: jobs {{ totalCount }} }}", "n".repeat(257));
    assert_eq!(harness.error(&long, json!({})).await, "TOO_COMPLEX");
    let name = "n".repeat(250);
    for field in ["id", "__typename", "log(after: \"x\") { totalCount }", "result"] {
        let fields: Vec<String> = (0..20).map(|n| format!("{name}{n}: {field}")).collect();
        let nodes: Vec<String> = (0..40).map(|n| format!("a{n}: nodes(ids: $ids) {{ ...Named }}")).collect();
        let names = format!(
            "query($ids: [ID!]!) {{ {} }} fragment Named on Job {{ {} }}",
            nodes.join(" "),
            fields.join(" ")
        );
        let answer = harness.execute("cb_admin", &names, json!({ "ids": ids(100) })).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(code == "TOO_COMPLEX", "{field}: {}", &answer.to_string()[..500]);
    }
    // Several at once of one key wait for each other: twice as many as may be large at a time. More
    // would keep the one thread of this test from its connections while it reads their answers.
    let (query, variables) = (RESULTS, json!({ "ids": ids(3) }));
    let answers = join_all((0..4).map(|_| harness.data(query, variables.clone()))).await;
    assert!(answers.iter().all(|answer| answer["nodes"][2]["result"] == large()));
}

#[tokio::test]
async fn an_idle_event_stream_keeps_no_slot_of_a_large_answer() {
    let harness = Harness::new().await;
    let schema = json!({ "type": "object", "properties": { "text": {} } });
    let command = harness.create_command("patient", json!({ "inputSchema": schema })).await;
    let text = "x".repeat(200_000);
    let input = json!({ "text": text });
    let job = harness.enqueue(json!({ "commandId": command, "input": input })).await;
    // A snapshot and an event, each with the large input. Then nothing happens.
    let query = format!("subscription {{ jobEvents(jobId: \"{job}\") {{ kind job {{ {LARGE_INPUT} }} }} }}");
    let opened = (0..4).map(|_| async {
        let mut stream = harness.event_stream("cb_viewer", &query).await;
        let mut received = String::new();
        while received.matches("event: next").count() < 2 || !received.ends_with("\n\n") {
            let chunk = timeout(WAIT_MAX, stream.chunk()).await.expect("an event arrives in time");
            received.push_str(std::str::from_utf8(&chunk.unwrap().expect("the stream goes on")).unwrap());
        }
        assert_eq!(received.matches(&text).count(), 2 * 3, "{}", &received[received.len() - 500..]);
        stream
    });
    let _idle = join_all(opened).await;
    let query = format!("{{ job(id: \"{job}\") {{ {LARGE_INPUT} }} }}");
    let answer = harness.execute("cb_viewer", &query, json!({})).await;
    assert_eq!(answer["data"]["job"]["c"]["text"], text, "{}", answer["errors"]);
}

#[tokio::test]
async fn lines_of_a_log_count_with_their_bytes() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("talkative", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    let line = "x".repeat(16_000);
    harness.log(job, attempt, &vec![line.as_str(); 200]).await;
    let page =
        |name: &str| format!("{name}: job(id: \"{job}\") {{ log(first: 200) {{ nodes {{ text }} }} }}");
    let found = harness.data(&format!("{{ {} }}", page("a")), json!({})).await;
    assert_eq!(found["a"]["log"]["nodes"][199]["text"], line);
    let pages: Vec<String> = (0..8).map(|n| page(&format!("a{n}"))).collect();
    assert_eq!(harness.error(&format!("{{ {} }}", pages.join(" ")), json!({})).await, "TOO_COMPLEX");
}

#[tokio::test]
async fn one_key_does_not_take_the_connections_of_the_others() {
    let harness = Harness::new().await;
    let command = harness.create_command("quick", json!({})).await;
    let create = "mutation($input: ApiKeyCreateInput!) { apiKeyCreate(input: $input) { key } }";
    let key = async |name: &str, role: &str| {
        let created = harness.data(create, json!({ "input": { "name": name, "role": role } })).await;
        created["apiKeyCreate"]["key"].as_str().unwrap().to_owned()
    };
    let counts: Vec<String> = (0..10).map(|n| format!("a{n}: jobs(first: 1) {{ totalCount }}")).collect();
    let dry_runs = |name: &str| {
        format!(
            "mutation {{ {name}(input: {{ filter: {{ states: [SUCCEEDED, FAILED] }}, isDryRun: true }}) {{ skippedCount }} }}"
        )
    };
    let nodes = [
        IdSource.make::<ArtifactId>().to_string(),
        IdSource.make::<AttemptId>().to_string(),
        IdSource.make::<WorkerId>().to_string(),
    ];
    let node = |id: &String| format!("{}: node(id: \"{id}\") {{ id }}", &id[..3]);
    let nodes = nodes.iter().map(node).collect::<Vec<_>>();
    let other = key("other", "OPERATOR").await;
    let (ended, nodes_of) = ("LOCK TABLE ended_jobs", "LOCK TABLE artifacts, attempts, workers");
    let floods = [
        ("VIEWER", format!("{{ {} }}", counts.join(" ")), ended),
        ("OPERATOR", dry_runs("jobsCancel"), ended),
        ("OPERATOR", dry_runs("jobsRetry"), ended),
        ("VIEWER", format!("{{ {} }}", nodes.join(" ")), nodes_of),
    ];
    for (number, (role, query, locks)) in floods.into_iter().enumerate() {
        let flooding = key(&format!("flooding {number}"), role).await;
        let mut locking = harness.connect().await;
        sqlx::raw_sql("BEGIN").execute(&mut locking).await.unwrap();
        sqlx::raw_sql(locks).execute(&mut locking).await.unwrap();
        let flood = || join_all((0..10).map(|_| harness.execute(&flooding, &query, json!({}))));
        // What comes after the first statements is read in batches of its own.
        let second = async {
            let until = now() + WAIT_MAX;
            while waiting(&harness).await < 3 {
                assert!(now() < until, "the flood does not read: {query}");
            }
            flood().await
        };
        let others = async {
            let until = now() + WAIT_MAX;
            while waiting(&harness).await < 4 {
                assert!(now() < until, "the flood does not read: {query}");
            }
            let read = harness.execute(&other, "{ services { totalCount } }", json!({})).await;
            assert_eq!(read["data"]["services"]["totalCount"], 0, "{read}");
            let input = json!({ "commandId": command });
            let enqueue = "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) { job { id } } }";
            let enqueued = harness.execute(&other, enqueue, json!({ "input": input })).await;
            assert!(enqueued["data"]["jobEnqueue"]["job"]["id"].is_string(), "{enqueued}");
            assert_eq!(waiting(&harness).await, 4, "no more than four statements at a time: {query}");
            sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
        };
        let (first, second, ()) = tokio::join!(flood(), second, others);
        let answers = [first, second].concat();
        assert!(answers.iter().all(|answer| answer.get("errors").is_none()), "{}", answers[0]);
    }
}

/// The statements that wait for a lock.
async fn waiting(harness: &Harness) -> i64 {
    let mut connection = harness.connect().await;
    let count = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar::<_, i64>(count).fetch_one(&mut connection).await.unwrap()
}
