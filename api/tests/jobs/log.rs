//! The log of a job, as a stream and as a list with search.

use callboard::ids::{AttemptId, JobId};
use serde_json::{Value, json};

use crate::{client::Received, harness::Harness};

pub(crate) const LOG: &str = "subscription($id: ID!, $after: String) { jobLog(jobId: $id, after: $after) {
    cursor skipped isReset lines { sequence attempt stream text at } } }";

async fn running(harness: &Harness) -> (JobId, AttemptId) {
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    (job, harness.start(job).await)
}

fn texts(lines: &Value) -> Vec<&str> {
    lines.as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn job_log_sends_lines_in_order_and_the_last_before_it_completes() {
    let harness = Harness::new().await;
    let (job, attempt) = running(&harness).await;
    harness.log(job, attempt, &["one", "", "three"]).await;
    let id = json!({ "id": job.to_string() });
    let mut following = harness.subscribe(LOG, id.clone()).await;
    let batch = following.next().await;
    assert_eq!(texts(&batch["lines"]), ["one", "", "three"]);
    assert_eq!((&batch["skipped"], &batch["isReset"]), (&json!(0), &json!(false)));
    assert_eq!(batch["lines"][2]["sequence"], 3);
    harness.log(job, attempt, &["four"]).await;
    let batch = following.next().await;
    assert_eq!(texts(&batch["lines"]), ["four"]);
    harness.log(job, attempt, &["last"]).await;
    harness.succeed(job, attempt).await;
    let rest = following.rest().await;
    assert_eq!(rest.iter().flat_map(|batch| texts(&batch["lines"])).collect::<Vec<_>>(), ["last"]);
    let after = json!({ "id": job.to_string(), "after": batch["cursor"] });
    let mut again = harness.subscribe(LOG, after).await;
    assert_eq!(texts(&again.next().await["lines"]), ["last"]);
    assert_eq!(again.message().await, Received::Complete);
    let whole = harness.subscribe(LOG, id).await.rest().await;
    assert_eq!(whole.len(), 1);
    assert_eq!(texts(&whole[0]["lines"]), ["one", "", "three", "four", "last"]);
}

#[tokio::test]
async fn lines_are_sent_in_batches_of_at_most_five_hundred() {
    let harness = Harness::new().await;
    let (job, attempt) = running(&harness).await;
    for chunk in 0..13 {
        let lines: Vec<String> = (0..100).map(|n| format!("line {}", chunk * 100 + n + 1)).collect();
        harness.log(job, attempt, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    harness.succeed(job, attempt).await;
    let batches = harness.subscribe(LOG, json!({ "id": job.to_string() })).await.rest().await;
    let sizes: Vec<usize> = batches.iter().map(|batch| batch["lines"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [500, 500, 300]);
    let all: Vec<&str> = batches.iter().flat_map(|batch| texts(&batch["lines"])).collect();
    assert!((1..).zip(&all).all(|(n, text)| *text == format!("line {n}")));
}

#[tokio::test]
async fn pruned_lines_are_counted_and_a_cursor_after_the_last_line_is_a_reset() {
    let harness = Harness::new().await;
    let (job, attempt) = running(&harness).await;
    harness.log(job, attempt, &["1", "2", "3"]).await;
    harness.log(job, attempt, &["4", "5"]).await;
    let mut following = harness.subscribe(LOG, json!({ "id": job.to_string() })).await;
    let batch = following.next().await;
    harness.sql("DELETE FROM log_chunks WHERE first_sequence = 1").await;
    let fresh = harness.subscribe(LOG, json!({ "id": job.to_string() })).await.next().await;
    assert_eq!((&fresh["skipped"], texts(&fresh["lines"])), (&json!(3), vec!["4", "5"]));
    harness.log(job, attempt, &["6"]).await;
    following.next().await;
    harness.sql("DELETE FROM log_chunks").await;
    let mut late = harness.subscribe(LOG, json!({ "id": job.to_string(), "after": batch["cursor"] })).await;
    let gap = late.next().await;
    assert_eq!((&gap["skipped"], texts(&gap["lines"]).len()), (&json!(1), 0));
    harness.log(job, attempt, &["7"]).await;
    let seventh = late.next().await;
    assert_eq!((&seventh["skipped"], texts(&seventh["lines"])), (&json!(0), vec!["7"]));
    // The cursor is after the last line, as after a restored backup.
    harness.sql("DELETE FROM log_chunks; UPDATE live_jobs SET log_lines = 2").await;
    let mut back = harness.subscribe(LOG, json!({ "id": job.to_string(), "after": seventh["cursor"] })).await;
    let reset = back.next().await;
    assert_eq!((&reset["isReset"], &reset["lines"]), (&json!(true), &json!([])));
    harness.log(job, attempt, &["three again"]).await;
    assert_eq!(texts(&back.next().await["lines"]), ["three again"]);
}

async fn page(harness: &Harness, job: JobId, arguments: &str) -> Value {
    let fields = format!(
        "log({arguments}) {{ totalCount nodes {{ sequence attempt text }} edges {{ cursor }}
         pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}"
    );
    harness.read_job(job, &fields).await["log"].take()
}

fn sequences(page: &Value) -> Vec<i64> {
    page["nodes"].as_array().unwrap().iter().map(|line| line["sequence"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn the_log_list_has_pages_search_and_exact_counts() {
    let harness = Harness::new().await;
    let (job, attempt) = running(&harness).await;
    harness.log(job, attempt, &["alpha", "Beta ÄRGER", "gamma"]).await;
    harness.log(job, attempt, &["beta two", "", "delta"]).await;
    harness.settle(job, attempt, callboard::job::Outcome::Released { reason: "drained".into() }).await;
    let attempt = harness.start(job).await;
    harness.log(job, attempt, &["second beta", "end"]).await;

    let all = page(&harness, job, "first: 1000").await;
    assert_eq!((sequences(&all), &all["totalCount"]), ((1..=8).collect(), &json!(8)));
    assert_eq!(all["nodes"][4]["text"], "");
    let cursor = |page: &Value, index: usize| page["edges"][index]["cursor"].as_str().unwrap().to_owned();
    for (arguments, expected, previous, next) in [
        ("first: 3".to_owned(), vec![1, 2, 3], false, true),
        (format!("first: 3, after: \"{}\"", cursor(&all, 2)), vec![4, 5, 6], true, true),
        (format!("first: 3, after: \"{}\"", cursor(&all, 5)), vec![7, 8], true, false),
        (format!("first: 3, after: \"{}\"", cursor(&all, 7)), vec![], true, false),
        ("last: 3".to_owned(), vec![6, 7, 8], true, false),
        (format!("last: 3, before: \"{}\"", cursor(&all, 1)), vec![1], false, true),
        ("first: 2, fromSequence: 4".to_owned(), vec![4, 5], false, true),
        ("last: 9, fromSequence: 7".to_owned(), vec![7, 8], false, false),
        ("first: 2, fromSequence: 99".to_owned(), vec![], false, false),
        ("first: 5, attempt: 2".to_owned(), vec![7, 8], false, false),
        ("first: 5, attempt: 1".to_owned(), vec![1, 2, 3, 4, 5], false, true),
        ("first: 5, attempt: 3".to_owned(), vec![], false, false),
        ("first: 2, search: \"BETA\"".to_owned(), vec![2, 4], false, true),
        ("last: 2, search: \"beta\"".to_owned(), vec![4, 7], true, false),
        ("first: 9, search: \"beta\", attempt: 1".to_owned(), vec![2, 4], false, false),
        ("first: 9, search: \"ärger\"".to_owned(), vec![2], false, false),
        ("first: 9, search: \"%\"".to_owned(), vec![], false, false),
        ("first: 9, search: \"beta\", fromSequence: 3".to_owned(), vec![4, 7], false, false),
        ("first: 0".to_owned(), vec![], false, true),
    ] {
        let found = page(&harness, job, &arguments).await;
        assert_eq!(sequences(&found), expected, "{arguments}");
        let info = &found["pageInfo"];
        assert_eq!(
            (&info["hasPreviousPage"], &info["hasNextPage"]),
            (&json!(previous), &json!(next)),
            "{arguments}"
        );
    }
    assert_eq!(page(&harness, job, "search: \"beta\"").await["totalCount"], 3);
    assert_eq!(page(&harness, job, "search: \"beta\", fromSequence: 3").await["totalCount"], 2);
    assert_eq!(page(&harness, job, "attempt: 2").await["totalCount"], 2);
    // The stream accepts a cursor of the list.
    let after = json!({ "id": job.to_string(), "after": cursor(&all, 6) });
    assert_eq!(texts(&harness.subscribe(LOG, after).await.next().await["lines"]), ["end"]);
    let query = "query($id: ID!) { job(id: $id) { log(first: 1001) { totalCount } } }";
    assert_eq!(harness.error(query, json!({ "id": job.to_string() })).await, "BAD_REQUEST");
}
