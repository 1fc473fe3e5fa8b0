//! Schedules: create, read, update, delete, their fields, and every refusal.

use std::time::Duration;

use callboard::steps::enqueue::fire_schedules::fire_schedules;
use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::api::{TestApi, set};

const ALL: &str = "id name cron timezone isPaused overlap catchUp nextRunAt lastRunAt lastFailure upcoming version createdAt
    updatedAt job { command { id } profile { name } proxy { name } services { name } input queue priority labels
        policy { maxAttempts timeout } }";
const PIN: &str = "9081726354";

#[tokio::test]
async fn a_schedule_reads_back_with_its_commands_defaults_and_masked_secrets() {
    let api = TestApi::start().await;
    let (profile, service) = (api.create("profile", "p").await, api.create("service", "s").await);
    let command = json!({
        "name": "c", "spec": { "program": { "program": "/usr/bin/true" } }, "profileId": profile, "serviceIds": [service],
        "queue": "nightly", "policy": { "maxAttempts": 7, "timeout": "PT9S" },
        "inputSchema": { "properties": { "pin": { "type": "string", "writeOnly": true } } },
    });
    let command = api.mutate_ok("commandCreate", "id", command).await["id"].clone();
    let input = json!({
        "name": "every leap day", "cron": "30 2 29 2 *", "timezone": "europe/berlin", "catchUp": "PT2H", "overlap": "ALLOW",
        "job": { "commandId": command, "input": { "pin": PIN, "n": 1 }, "policy": { "timeout": "PT8S" }, "labels": ["b", "a"] },
    });
    let created = api.mutate_ok("scheduleCreate", ALL, input).await;
    assert!(created["id"].as_str().unwrap().starts_with("schedule_"));
    assert_eq!((&created["timezone"], &created["catchUp"]), (&json!("Europe/Berlin"), &json!("PT2H")));
    let job = json!({
        "command": { "id": command }, "profile": { "name": "p" }, "proxy": null, "services": [{ "name": "s" }],
        "input": { "pin": "***", "n": 1 }, "queue": "nightly", "priority": 4, "labels": ["a", "b"],
        "policy": { "maxAttempts": 7, "timeout": "PT8S" },
    });
    assert_eq!(created["job"], job);
    let upcoming = created["upcoming"].as_array().unwrap();
    assert_eq!((upcoming.len(), &upcoming[0]), (5, &created["nextRunAt"]));
    assert!(upcoming.iter().all(|at| at.as_str().unwrap().ends_with("-02-29T01:30:00.000Z")), "{upcoming:?}");

    let query = format!(
        "query($id: ID!) {{ a: schedule(id: $id) {{ {ALL} }} b: schedule(name: \"every leap day\") {{ {ALL} }}
         c: node(id: $id) {{ ... on Schedule {{ {ALL} }} }} d: schedules(search: \"LEAP\") {{ totalCount nodes {{ {ALL} }} }} }}"
    );
    let read = api.data(&query, json!({ "id": created["id"] })).await;
    for alias in ["a", "b", "c"] {
        assert_eq!(read[alias], created, "{alias}");
    }
    assert_eq!(read["d"], json!({ "totalCount": 1, "nodes": [created] }));

    // Objects that a schedule uses cannot be deleted.
    for (verb, id) in [("profileDelete", &profile), ("serviceDelete", &service)] {
        assert_eq!(api.refused(verb, json!({ "id": id })).await, ["IN_USE id"]);
    }
    assert_eq!(api.refused("commandDelete", json!({ "id": command })).await, ["IN_USE id"]);

    let changed = json!({ "id": created["id"], "version": 1, "isPaused": true });
    let paused = api.mutate_ok("scheduleUpdate", ALL, changed).await;
    assert_eq!(
        (&paused["nextRunAt"], &paused["upcoming"], &paused["version"]),
        (&Value::Null, &json!([]), &json!(2))
    );
    let gone = api.mutate("scheduleDelete", "deletedId", json!({ "id": created["id"], "version": 2 })).await;
    assert_eq!(gone["deletedId"], created["id"]);
    api.mutate_ok("commandUpdate", "id", json!({ "id": command, "profileId": null })).await;
    let bare = api
        .mutate_ok(
            "scheduleCreate",
            ALL,
            json!({ "name": "bare", "cron": "@daily", "job": { "commandId": command } }),
        )
        .await;
    let defaults = ["timezone", "overlap", "catchUp", "isPaused"].map(|field| bare[field].clone());
    assert_eq!(defaults, [json!("UTC"), json!("SKIP"), json!("PT0S"), json!(false)]);
    assert_eq!((&bare["job"]["profile"], &bare["job"]["input"]), (&Value::Null, &json!({})));
    api.assert_never_returned(&[PIN]);
}

#[tokio::test]
async fn all_problems_of_a_schedule_are_reported_at_once() {
    let api = TestApi::start().await;
    let command = api.create("command", "c").await;
    api.mutate_ok(
        "scheduleCreate",
        "id",
        json!({ "name": "taken", "cron": "@daily", "job": { "commandId": command } }),
    )
    .await;
    let bad = json!({
        "name": "taken", "cron": "0 0 30 2 *", "timezone": "Berlin",
        "job": { "commandId": command, "profileId": "profile_x", "priority": 10, "policy": { "maxAttempts": 0 } },
    });
    let expected = set([
        "TAKEN name",
        "INVALID cron",
        "INVALID timezone",
        "NOT_FOUND job.profileId",
        "INVALID job.priority",
        "INVALID job.policy.maxAttempts",
    ]);
    assert_eq!(set(api.refused("scheduleCreate", bad).await.iter().map(String::as_str)), expected);
    let unknown = json!({ "name": "s", "cron": "@daily", "job": { "commandId": "command_x" } });
    assert_eq!(api.refused("scheduleCreate", unknown).await, ["NOT_FOUND job.commandId"]);

    let created = api
        .mutate_ok(
            "scheduleCreate",
            "id",
            json!({ "name": "s", "cron": "@daily", "job": { "commandId": command } }),
        )
        .await;
    for (changes, expected) in [
        (json!({ "cron": null }), "INVALID cron"),
        (json!({ "job": null }), "INVALID job"),
        (json!({ "name": "taken" }), "TAKEN name"),
        (json!({ "version": 7 }), "STALE_VERSION version"),
        (json!({ "timezone": "Mars/Olympus" }), "INVALID timezone"),
    ] {
        let mut input = changes;
        input["id"] = created["id"].clone();
        assert_eq!(api.refused("scheduleUpdate", input).await, [expected]);
    }
    assert_eq!(api.refused("scheduleDelete", json!({ "id": "schedule_x" })).await, ["NOT_FOUND id"]);
    for count in [0, 101] {
        let query = format!("{{ schedules {{ nodes {{ upcoming(count: {count}) }} }} }}");
        assert_eq!(api.error(&query, json!({})).await, "BAD_REQUEST");
    }
}

#[tokio::test]
async fn jobs_are_found_by_the_schedule_that_enqueued_them() {
    let api = TestApi::start().await;
    let command = api.create("command", "c").await;
    let input =
        json!({ "name": "s", "cron": "* * * * * *", "overlap": "ALLOW", "job": { "commandId": command } });
    let created = api.mutate_ok("scheduleCreate", "id", input).await;
    let submit = api.submit();
    let fields = "nodes { queue scheduledFor schedule { name lastRunAt } } totalCount";
    let query = format!("query($ids: [ID!]) {{ jobs(filter: {{ scheduleIds: $ids }}) {{ {fields} }} }}");
    let found = eventually(Duration::from_secs(20), async || {
        fire_schedules(&submit).await.value.unwrap();
        let found = api.data(&query, json!({ "ids": [created["id"]] })).await;
        (found["jobs"]["totalCount"] != json!(0)).then_some(found)
    })
    .await;
    let job = &found["jobs"]["nodes"][0];
    assert_eq!((&job["queue"], &job["schedule"]["name"]), (&json!("default"), &json!("s")));
    assert_eq!(job["scheduledFor"], job["schedule"]["lastRunAt"]);
    let none = api.data(&query, json!({ "ids": ["schedule_x"] })).await;
    assert_eq!(none["jobs"], json!({ "nodes": [], "totalCount": 0 }));

    api.mutate("scheduleDelete", "deletedId", json!({ "id": created["id"] })).await;
    let two =
        api.data(&query, json!({ "ids": [created["id"], "schedule_00000000000000000000000000"] })).await;
    assert_eq!(two["jobs"]["nodes"][0]["schedule"], Value::Null, "jobs outlive their schedule");
}

/// What `cronPreview` returns for these arguments: its times, and its reasons without `input`.
async fn preview(api: &TestApi, arguments: &str) -> (Vec<Value>, Vec<String>) {
    let query = format!("{{ cronPreview({arguments}) {{ upcoming userErrors {{ code message path }} }} }}");
    let mut answer = api.data(&query, json!({})).await["cronPreview"].take();
    let reason = |error: &Value| {
        assert_eq!(error["path"].as_array().unwrap().len(), 1, "{error}");
        format!("{} {}: {}", error["code"], error["path"][0], error["message"]).replace('"', "")
    };
    let reasons = answer["userErrors"].as_array().unwrap().iter().map(reason).collect();
    let Value::Array(times) = answer["upcoming"].take() else { panic!("{answer}") };
    (times, reasons)
}

#[tokio::test]
async fn a_preview_shows_when_a_schedule_would_fire() {
    let api = TestApi::start().await;
    let command = api.create("command", "c").await;
    // Half past two does not come on one day of each year, and twice on another.
    for (index, (cron, zone, count)) in [
        ("30 2 * * *", "Europe/Berlin", 100),
        ("*/20 1-3 * * SUN", "America/New_York", 100),
        ("0 */5 * * * *", "Australia/Lord_Howe", 7),
        ("0 0 29 2 *", "UTC", 5),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{index}");
        let input = json!({ "name": name, "cron": cron, "timezone": zone, "job": { "commandId": command } });
        let fields = format!("upcoming(count: {count})");
        let created = api.mutate_ok("scheduleCreate", &fields, input).await;
        let arguments = format!("cron: \"{cron}\", timezone: \"{zone}\", count: {count}");
        let (times, reasons) = preview(&api, &arguments).await;
        assert_eq!((json!(times), reasons), (created["upcoming"].clone(), vec![]), "{cron} {zone}");
        assert_eq!(times.len(), count, "{cron}");
    }
    let (utc, _) = preview(&api, "cron: \"0 0 1 1 *\"").await;
    assert_eq!(utc.len(), 5);
    assert!(utc.iter().all(|at| at.as_str().unwrap().ends_with("-01-01T00:00:00.000Z")), "{utc:?}");
    assert_eq!(preview(&api, "cron: \"0 0 1 1 *\", timezone: null, count: null").await.0, utc);
    // Once in 28 years, or after 40 over the year 2100.
    let (rare, _) = preview(&api, "cron: \"0 0 29 2 +MON\", count: 100").await;
    assert!((3..=4).contains(&rare.len()), "{rare:?}");
}

#[tokio::test]
async fn a_preview_refuses_what_a_schedule_would_not_take() {
    let api = TestApi::start().await;
    let (times, reasons) = preview(&api, "cron: \"0 0 30 2 *\", timezone: \"Berlin\", count: 101").await;
    assert_eq!(times, Vec::<Value>::new());
    assert_eq!(
        reasons,
        [
            "INVALID cron: never occurs because no year has such a day (check the day of month and the month)",
            "INVALID timezone: must be the name of an IANA time zone (did you mean `Europe/Berlin`?)",
            "INVALID count: must be 1 to 100, not 101",
        ]
    );
    for (arguments, expected) in [
        ("cron: \"\"".to_owned(), "INVALID cron"),
        (format!("cron: \"{}\"", "1,".repeat(101)), "INVALID cron: must be at most 200 bytes"),
        ("cron: \"@daily\", timezone: \"\"".to_owned(), "INVALID timezone"),
        ("cron: \"@daily\", count: 0".to_owned(), "INVALID count"),
        ("cron: \"@daily\", count: -2147483648".to_owned(), "INVALID count"),
    ] {
        let (times, reasons) = preview(&api, &arguments).await;
        assert_eq!((times.len(), reasons.len()), (0, 1), "{arguments}: {reasons:?}");
        assert!(reasons[0].starts_with(expected), "{arguments}: {reasons:?}");
    }
    let (status, answer) =
        api.execute(Some("cb_viewer"), "{ cronPreview(cron: \"@daily\") { upcoming } }", json!({})).await;
    assert!(status.is_success() && answer["data"]["cronPreview"]["upcoming"][4].is_string(), "{answer}");
}
