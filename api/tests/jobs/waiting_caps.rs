//! Caps per day and month: the wait reason, the remaining usage, and refusals.

use callboard::{clock, limit::Period};
use callboard_test_support::within_a_day;
use serde_json::{Value, json};

use crate::waiting::{Fixture, expected};

async fn fixture() -> Fixture {
    within_a_day().await;
    Fixture::new(&["q"]).await
}

async fn usage(fixture: &Fixture, kind: &str, id: &str) -> Value {
    let query = format!(
        "query($id: ID!) {{ {kind}(id: $id) {{ usage {{ name source limit remaining resetsAt }} }} }}"
    );
    fixture.harness.data(&query, json!({ "id": id })).await[kind]["usage"].take()
}

fn end(period: Period) -> String {
    period.end(clock::now()).format("%FT%T%.3fZ").to_string()
}

#[tokio::test]
async fn a_job_waits_while_a_cap_of_its_command_or_profile_is_exhausted() {
    let fixture = fixture().await;
    let caps = json!([{ "most": 1, "per": "DAY" }, { "most": 5, "per": "MONTH" }]);
    let command =
        fixture.harness.create_command("daily", json!({ "policy": { "caps": caps.clone() } })).await;
    let own = json!({ "commandId": command });
    let (first, job) = (fixture.job("q", own.clone()).await, fixture.job("q", own).await);
    let attempt = fixture.harness.start(first).await;
    let (today, month) = (Period::Day.end(clock::now()), Period::Month.end(clock::now()));
    let sentence = "The command daily has reached its cap of 1 a day. The next day begins at {until}.";
    let of_command = || expected("RATE_LIMIT", sentence).blocked_by("Command", &command).until(today);
    fixture.expect("a cap of its command, before any claim", job, of_command()).await;
    fixture.park(job).await;
    fixture.harness.succeed(first, attempt).await;
    fixture.expect("a cap of its command, with no running job", job, of_command()).await;
    let left = |name: &str, limit: i32, remaining: i32, end: String| json!({ "name": name, "source": "DECLARED", "limit": limit, "remaining": remaining, "resetsAt": end });
    let shown = usage(&fixture, "command", &command).await;
    assert_eq!(shown, json!([left("day", 1, 0, end(Period::Day)), left("month", 5, 4, end(Period::Month))]));

    let mut input = json!({ "name": "alice", "chromeProfilePath": "alice" });
    input["caps"] = json!([{ "most": 1, "per": "MONTH" }]);
    let profile = fixture.harness.create("profileCreate", "profile", input).await;
    let on = json!({ "profileId": profile });
    let (first, job) = (fixture.job("q", on.clone()).await, fixture.job("q", on).await);
    assert_eq!(usage(&fixture, "profile", &profile).await, json!([left("month", 1, 1, end(Period::Month))]));
    fixture.harness.start(first).await;
    let sentence = "The profile alice has reached its cap of 1 a month. The next month begins at {until}.";
    let of_profile = || expected("RATE_LIMIT", sentence).blocked_by("Profile", &profile).until(month);
    fixture.expect("a cap of its profile, which is also in use", job, of_profile()).await;
    fixture.park(job).await;
    let raised = json!({ "id": profile, "caps": [{ "most": 2, "per": "MONTH" }] });
    fixture.harness.mutate("profileUpdate", "profile { id }", raised).await;
    let busy = expected("PROFILE_BUSY", format!("The profile alice is in use by {first}."))
        .blocked_by("Job", &first);
    fixture.expect("the cap was raised", job, busy).await;
    assert_eq!(usage(&fixture, "profile", &profile).await, json!([left("month", 2, 1, end(Period::Month))]));
}

#[tokio::test]
async fn a_refusing_cap_reports_what_to_do() {
    let fixture = fixture().await;
    let caps = json!([{ "most": 1, "per": "DAY", "whenReached": "REFUSE" }]);
    let command = fixture.harness.create_command("once", json!({ "policy": { "caps": caps } })).await;
    let own = json!({ "commandId": command });
    let job = fixture.job("q", own.clone()).await;
    fixture.harness.start(job).await;
    let refused = fixture.harness.mutate("jobEnqueue", "job { id }", own).await["userErrors"].take();
    let message = format!(
        "The command has reached its cap of 1 a day. Enqueue the job at {} or later, or raise the cap.",
        end(Period::Day)
    );
    assert_eq!(refused, json!([{ "code": "TOO_MANY", "path": ["input", "commandId"], "message": message }]));
    let free = json!({ "commandId": command, "policy": { "caps": null } });
    fixture.job("q", free).await;
}
