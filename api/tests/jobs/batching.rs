//! A list takes the same number of SQL statements whatever its length.

use serde_json::json;

use crate::{harness::Harness, statements::Statements};

const JOBS: usize = 20;

#[tokio::test]
async fn lists_of_jobs_take_a_constant_number_of_statements() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    harness.register_worker(&["default"]).await;
    for n in 0..JOBS {
        let profile = harness.create_profile(&format!("p{n}")).await;
        let job = harness.enqueue(json!({ "commandId": command, "profileId": profile })).await;
        if n % 2 == 0 {
            let attempt = harness.start(job).await;
            harness.keep_artifact(job, attempt, "a.png").await;
            harness.log(job, attempt, &["one", "two", "three"]).await;
            if n % 4 == 0 {
                harness.succeed(job, attempt).await;
            }
        }
    }
    let statements = Statements::watch();
    for (fields, most) in [
        ("id", 1),
        ("id state queue version policy { timeout } failure { code } progress { fraction }", 2),
        ("state command { name } profile { name } proxy { name } services { name }", 5),
        ("input result artifacts { name url } composed { display }", 10),
        ("attempts(last: 1) { totalCount nodes { number worker { id } failure { code } } }", 6),
        ("attempts(first: 3) { nodes { number composed { display } } }", 8),
        ("events(first: 5) { totalCount nodes { version kind } }", 5),
        ("log(first: 5) { totalCount nodes { text } }", 5),
        ("log(last: 3) { nodes { text } }", 5),
        // Everything that can block a job is read as a claim reads it.
        ("waiting { reason explanation position blocker { id } }", 9),
    ] {
        let mut costs = Vec::new();
        for size in [2, JOBS] {
            let query = format!("{{ jobs(first: {size}) {{ nodes {{ {fields} }} }} }}");
            statements.take_count();
            let data = harness.data(&query, json!({})).await;
            assert_eq!(data["jobs"]["nodes"].as_array().unwrap().len(), size);
            costs.push(statements.take_count());
        }
        assert!(costs[1] <= most, "{fields}: {costs:?}");
    }
    let ids: Vec<String> = {
        let data = harness.data("{ jobs { nodes { id } } profiles { nodes { id } } }", json!({})).await;
        let nodes = data["jobs"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .chain(data["profiles"]["nodes"].as_array().unwrap());
        nodes.map(|node| node["id"].as_str().unwrap().to_owned()).collect()
    };
    statements.take_count();
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Job { state input } ... on Profile { heldBy { state } } } }";
    harness.data(query, json!({ "ids": ids })).await;
    assert!(
        statements.take_count() <= 6,
        "one statement each for jobs, profiles, holders and the jobs that hold, and two for so many small inputs"
    );
}

/// What the dashboard's list of jobs shows of each.
#[tokio::test]
async fn a_hundred_rows_with_their_last_attempts_and_files_are_allowed() {
    let harness = Harness::new().await;
    let query = "{ jobs(first: 100) { nodes {
        id state version queue priority labels createdAt runAt startedAt finishedAt attemptCount
        command { id name } profile { id name } proxy { id name } progress { fraction message }
        waiting { reason explanation until position blocker { id } } failure { code message }
        attempts(last: 1) { nodes { number outcome startedAt finishedAt } } artifacts { id name }
    } } }";
    let answer = harness.execute("cb_viewer", query, json!({})).await;
    let cost = answer["extensions"]["cost"].as_u64().unwrap();
    assert!(answer["errors"].is_null() && cost > 2500, "{answer}");
}

#[tokio::test]
async fn queues_take_a_statement_for_each_part_that_is_selected() {
    let harness = Harness::new().await;
    let statements = Statements::watch();
    let all = "counts { queued running succeeded } oldestQueuedAt demand slots emptyAt startedPerMinute finishedPerMinute";
    for queues in [2, 1000] {
        let names = "INSERT INTO queues (name) SELECT 'q' || n FROM generate_series(1, 2) AS n";
        let more = "INSERT INTO queues (name) SELECT 'q' || n FROM generate_series(3, 1000) AS n";
        harness.sql(if queues == 2 { names } else { more }).await;
        harness.sql("INSERT INTO queue_deltas (queue, queued) SELECT name, 1 FROM queues").await;
        for (fields, most) in [
            ("name isPaused maxConcurrency", 1),
            ("counts { queued }", 2),
            ("oldestQueuedAt", 2),
            (r#"history(window: "PT3M") { at queuedDepth p50Wait }"#, 3),
            (all, 7),
        ] {
            statements.take_count();
            let data = harness.data(&format!("{{ queues {{ {fields} }} }}"), json!({})).await;
            assert_eq!(data["queues"].as_array().unwrap().len(), queues);
            let count = statements.take_count();
            // Of a large list, not all fields ask before the first read of a part begins.
            let reads = if queues == 2 { 1 } else { 4 };
            assert!(count <= most * reads, "{fields} of {queues} queues: {count}");
        }
    }
}
