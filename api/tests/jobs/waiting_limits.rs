//! `Job.waiting` of jobs that wait for limits, profiles, services and proxies.

use std::time::Duration;

use callboard::{
    clock::Time,
    steps::{limits::cool_down::cool_down, run::claim::Decision},
};
use chrono::DateTime;
use serde_json::{Value, json};

use crate::waiting::{Fixture, expected, in_seconds};

#[tokio::test]
async fn a_job_waits_while_a_concurrency_limit_is_reached() {
    let fixture = Fixture::new(&["q", "one", "two"]).await;
    let limit_reached = |sentence: String| expected("CONCURRENCY", sentence);

    let service = fixture.service("github", json!({ "maxConcurrency": 2 })).await;
    let with = json!({ "serviceIds": [service] });
    let jobs = [
        fixture.job("q", with.clone()).await,
        fixture.job("q", with.clone()).await,
        fixture.job("q", with.clone()).await,
    ];
    let running = [fixture.harness.start(jobs[0]).await, fixture.harness.start(jobs[1]).await];
    let of_service = || {
        limit_reached("The concurrency limit of the service github is reached: 2 jobs are running.".into())
            .blocked_by("Service", &service)
    };
    fixture.expect("a service's limit is reached, before any claim", jobs[2], of_service()).await;
    fixture.park(jobs[2]).await;
    fixture.expect("a service's limit is reached", jobs[2], of_service()).await;
    let behind = fixture.job("q", with.clone()).await;
    fixture.expect("a service's limit is reached, with a waiter", behind, of_service()).await;
    fixture.harness.succeed(jobs[0], running[0]).await;
    let waits = limit_reached("Earlier jobs are waiting for the service github.".into())
        .blocked_by("Service", &service);
    let woken =
        expected("NEXT_IN_LINE", "The job is next in the queue q and starts once a worker has a free slot.")
            .position(1);
    fixture.expect("a slot of the service is free and the first waiter is woken", jobs[2], woken).await;
    fixture.harness.sql("UPDATE gates SET has_waiters = true").await;
    fixture.expect("a slot is free, but other waiters are ahead", behind, waits).await;

    let id = |value: &Value| value["queue"]["id"].as_str().unwrap().to_owned();
    let set_limit = |name: &'static str, most: i32| {
        fixture.harness.mutate("queueUpdate", "queue { id }", json!({ "name": name, "maxConcurrency": most }))
    };
    let first = fixture.job("one", json!({})).await;
    let queue = id(&set_limit("one", 1).await);
    fixture.harness.start(first).await;
    let job = fixture.job("one", json!({})).await;
    let of_one = limit_reached("The concurrency limit of the queue one is reached: 1 job is running.".into())
        .blocked_by("Queue", &queue);
    fixture.expect("a queue with a limit of 1", job, of_one).await;
    let (first, second) = (fixture.job("two", json!({})).await, fixture.job("two", json!({})).await);
    let queue = id(&set_limit("two", 2).await);
    fixture.harness.start_all(&[first, second]).await;
    let job = fixture.job("two", json!({})).await;
    let of_two =
        limit_reached("The concurrency limit of the queue two is reached: 2 jobs are running.".into())
            .blocked_by("Queue", &queue);
    fixture.expect("a queue with a limit of 2", job, of_two).await;

    let limited =
        fixture.harness.create_command("limited", json!({ "policy": { "maxConcurrency": 1 } })).await;
    let own = json!({ "commandId": limited });
    let (first, job) = (fixture.job("q", own.clone()).await, fixture.job("q", own.clone()).await);
    fixture.harness.start(first).await;
    let of_command =
        limit_reached("The concurrency limit of the command limited is reached: 1 job is running.".into());
    fixture.expect("a command with a limit of 1", job, of_command.blocked_by("Command", &limited)).await;
    let wide = fixture.job("q", json!({ "commandId": limited, "policy": { "maxConcurrency": null } })).await;
    assert!(
        matches!(fixture.harness.claim(wide).await.1, Decision::Granted(_)),
        "its own policy has no limit"
    );

    let proxy = json!({ "name": "exit", "protocol": "HTTP", "address": "127.0.0.1:9", "maxConcurrency": 1 });
    let proxy = fixture.harness.create("proxyCreate", "proxy", proxy).await;
    let through = json!({ "proxyId": proxy });
    let (first, job) = (fixture.job("q", through.clone()).await, fixture.job("q", through).await);
    fixture.harness.start(first).await;
    let of_proxy =
        limit_reached("The concurrency limit of the proxy exit is reached: 1 job is running.".into());
    fixture.expect("a proxy with a limit of 1", job, of_proxy.blocked_by("Proxy", &proxy)).await;
}

#[tokio::test]
async fn a_job_waits_while_another_runs_on_its_profile() {
    let fixture = Fixture::new(&["q"]).await;
    let profile = fixture.harness.create_profile("alice").await;
    let on = json!({ "profileId": profile });
    let (first, second, third) = (
        fixture.job("q", on.clone()).await,
        fixture.job("q", on.clone()).await,
        fixture.job("q", on.clone()).await,
    );
    let attempt = fixture.harness.start(first).await;
    let busy = || {
        expected("PROFILE_BUSY", format!("The profile alice is in use by {first}.")).blocked_by("Job", &first)
    };
    fixture.expect("a profile in use, before any claim", second, busy()).await;
    fixture.park(second).await;
    fixture.expect("a profile in use", second, busy()).await;
    fixture.expect("a profile in use, with a waiter", third, busy()).await;
    fixture.harness.mutate("jobCancel", "job { id }", json!({ "id": first.to_string() })).await;
    fixture.expect("a profile in use by a job that is being cancelled", second, busy()).await;
    fixture.harness.succeed(first, attempt).await;
    let woken =
        expected("NEXT_IN_LINE", "The job is next in the queue q and starts once a worker has a free slot.")
            .position(1);
    fixture.expect("the profile is free", second, woken).await;
    fixture.harness.start(second).await;
    let other = expected("PROFILE_BUSY", format!("The profile alice is in use by {second}."))
        .blocked_by("Job", &second);
    fixture.expect("the next job runs on it", third, other).await;
}

#[tokio::test]
async fn a_job_waits_for_a_rate_limit_of_its_command_service_or_proxy() {
    let fixture = Fixture::new(&["q"]).await;
    let hourly = json!({ "rateLimits": [{ "name": "hour", "limit": 1, "per": "PT1H" }] });
    let service = fixture.service("hourly", hourly.clone()).await;
    let with = json!({ "serviceIds": [service] });
    let (first, job) = (fixture.job("q", with.clone()).await, fixture.job("q", with.clone()).await);
    fixture.harness.start(first).await;
    let opens = fixture.started_at(first).await + Duration::from_hours(1);
    let no_room = |it: &str| format!("The rate limit hour of the {it} is reached until {{until}}.");
    let of_service =
        || expected("RATE_LIMIT", no_room("service hourly")).blocked_by("Service", &service).until(opens);
    fixture.expect("a rate limit of a service, before any claim", job, of_service()).await;
    fixture.park(job).await;
    fixture.expect("a rate limit of a service", job, of_service()).await;
    fixture
        .expect("a rate limit of a service, with a waiter", fixture.job("q", with).await, of_service())
        .await;

    let limited = fixture.harness.create_command("limited", json!({ "policy": hourly })).await;
    let own = json!({ "commandId": limited });
    let (first, job) = (fixture.job("q", own.clone()).await, fixture.job("q", own).await);
    fixture.harness.start(first).await;
    let of_command = expected("RATE_LIMIT", no_room("command limited"))
        .blocked_by("Command", &limited)
        .until(in_seconds(3600));
    fixture.expect("a rate limit of its command", job, of_command).await;

    let mut proxy = hourly.clone();
    proxy["name"] = json!("exit");
    proxy["protocol"] = json!("HTTP");
    proxy["address"] = json!("127.0.0.1:9");
    let proxy = fixture.harness.create("proxyCreate", "proxy", proxy).await;
    let through = json!({ "proxyId": proxy });
    let (first, job) = (fixture.job("q", through.clone()).await, fixture.job("q", through).await);
    fixture.harness.start(first).await;
    let of_proxy =
        expected("RATE_LIMIT", no_room("proxy exit")).blocked_by("Proxy", &proxy).until(in_seconds(3600));
    fixture.expect("a rate limit of its proxy", job, of_proxy).await;

    let two = json!({ "maxConcurrency": 1, "rateLimits": [{ "name": "minute", "limit": 1, "per": "PT1M" },
        { "name": "day", "limit": 2, "per": "P1D" }] });
    let both = fixture.service("both", two).await;
    let with = json!({ "serviceIds": [both] });
    let (first, job) = (fixture.job("q", with.clone()).await, fixture.job("q", with.clone()).await);
    fixture.harness.start(first).await;
    let longest = "The rate limit day of the service both is reached until {until}.";
    let longest =
        || expected("RATE_LIMIT", longest).blocked_by("Service", &both).until(in_seconds(12 * 3600));
    fixture
        .expect("of two rate limits and a concurrency limit, the one that takes longest", job, longest())
        .await;
    let on_both = fixture.job("q", json!({ "serviceIds": [service, both] })).await;
    fixture.expect("of two services, the one that takes longest", on_both, longest()).await;
}

#[tokio::test]
async fn a_job_waits_while_its_service_asks_for_no_more_requests() {
    let fixture = Fixture::new(&["q"]).await;
    let service = fixture.service("github", json!({ "maxConcurrency": 1 })).await;
    let with = json!({ "serviceIds": [service] });
    let job = fixture.job("q", with.clone()).await;
    fixture.observe_response(&service, 429, &[("retry-after", "600")], None).await;
    let refusing = || {
        expected("RATE_LIMIT", "The service github allows no requests until {until}.")
            .blocked_by("Service", &service)
    };
    fixture.expect("a service that asks for no more requests", job, refusing().until(in_seconds(600))).await;
    fixture.park(job).await;
    fixture.expect("a job parked at its gate", job, refusing().until(in_seconds(600))).await;
    fixture.observe_response(&service, 429, &[("retry-after", "1800")], None).await;
    fixture.expect("the service asks again, for longer", job, refusing().until(in_seconds(1800))).await;

    let quota = r#"{ "error": { "type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your current quota." } }"#;
    fixture.observe_response(&service, 429, &[], Some(quota)).await;
    let shown = fixture
        .harness
        .data("query($id: ID!) { service(id: $id) { suspendedReason } }", json!({ "id": service }))
        .await;
    let reason = shown["service"]["suspendedReason"].as_str().unwrap().to_owned();
    assert!(!reason.is_empty());
    let suspended = || {
        expected("SERVICE_SUSPENDED", format!("The service github is suspended: {reason}"))
            .blocked_by("Service", &service)
    };
    fixture.expect("a service whose quota is exhausted", job, suspended()).await;
    let other = fixture
        .service("other", json!({ "rateLimits": [{ "name": "hour", "limit": 1, "per": "PT1H" }] }))
        .await;
    let both = json!({ "serviceIds": [other, service] });
    let (first, on_both) =
        (fixture.job("q", json!({ "serviceIds": [other] })).await, fixture.job("q", both).await);
    fixture.harness.start(first).await;
    fixture.expect("a suspended service takes precedence over a rate limit", on_both, suspended()).await;
    fixture.harness.mutate("serviceResume", "service { id }", json!({ "id": service })).await;
    let of_other =
        expected("RATE_LIMIT", "The rate limit hour of the service other is reached until {until}.");
    fixture
        .expect(
            "resumed, the rate limit is left",
            on_both,
            of_other.blocked_by("Service", &other).until(in_seconds(3600)),
        )
        .await;

    let reset = in_seconds(900).timestamp().to_string();
    let headers = [
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", reset.as_str()),
        ("x-ratelimit-resource", "core"),
    ];
    let metered = fixture.service("metered", json!({})).await;
    fixture.observe_response(&metered, 200, &headers, None).await;
    let job = fixture.job("q", json!({ "serviceIds": [metered] })).await;
    let exhausted =
        expected("RATE_LIMIT", "The service metered reports that its quota core is exhausted until {until}.");
    fixture
        .expect(
            "a service whose own limit is exhausted",
            job,
            exhausted.blocked_by("Service", &metered).until(in_seconds(900)),
        )
        .await;
    let free = fixture.service("free", json!({})).await;
    let job = fixture.job("free", json!({ "serviceIds": [free] })).await;
    fixture
        .expect("another service", job, expected("NO_WORKER", "No active worker serves the queue free."))
        .await;
}

#[tokio::test]
async fn a_job_waits_while_its_proxy_cools_down() {
    let fixture = Fixture::new(&["q"]).await;
    let made = |name: &'static str| {
        let proxy = json!({ "name": name, "protocol": "HTTP", "address": "127.0.0.1:9" });
        fixture.harness.create("proxyCreate", "proxy", proxy)
    };
    let (exit, other) = (made("exit").await, made("other").await);
    // Replaces the end of the cool-down by one after the end of the test.
    let cooling = async |proxy: &str, until: &'static str| {
        drop(cool_down(&fixture.harness.store, proxy.parse().unwrap()).await.unwrap());
        fixture.harness.sql(until).await;
    };
    let shown = async || {
        let query = "query($id: ID!) { proxy(id: $id) { health { coolingUntil } } }";
        fixture.harness.data(query, json!({ "id": exit })).await["proxy"]["health"]["coolingUntil"].take()
    };
    let down = "The proxy exit could not be reached and cools down until {until}.";
    let until: Time = DateTime::parse_from_rfc3339("2100-01-01T00:00:00Z").unwrap().into();
    let down = || expected("PROXY_DOWN", down).blocked_by("Proxy", &exit).until(until);
    let next = "The job is next in the queue q and starts once a worker has a free slot.";

    let job = fixture.job("q", json!({ "proxyId": exit })).await;
    assert_eq!(shown().await, Value::Null);
    cooling(&exit, "UPDATE gates SET state = jsonb_set(state, '{shut,until}', '\"2100-01-01T00:00:00Z\"')")
        .await;
    fixture.expect("its proxy cools down, before any claim", job, down()).await;
    fixture.park(job).await;
    fixture.expect("its proxy cools down", job, down()).await;
    assert_eq!(shown().await, json!("2100-01-01T00:00:00.000Z"));

    let profile = json!({ "name": "p", "chromeProfilePath": "p", "proxyIds": [exit, other] });
    let profile = fixture.harness.create("profileCreate", "profile", profile).await;
    let on_profile = fixture.job("q", json!({ "profileId": profile })).await;
    fixture
        .expect(
            "one of its profile's proxies cools down",
            on_profile,
            expected("NEXT_IN_LINE", next).position(1),
        )
        .await;
    let later = "UPDATE gates SET state = jsonb_set(state, '{shut,until}', '\"2200-01-01T00:00:00Z\"')
        WHERE (state #>> '{shut,until}')::timestamptz < '2100-01-01'";
    cooling(&other, later).await;
    fixture.expect("all of its profile's proxies cool down", on_profile, down()).await;

    fixture
        .harness
        .mutate("proxyUpdate", "proxy { id }", json!({ "id": exit, "address": "127.0.0.1:10" }))
        .await;
    assert_eq!(shown().await, Value::Null, "a new address ends the cool-down");
    let woken = "The job is no longer blocked and is being returned to the queue q.";
    fixture.expect("a proxy with a new address", job, expected("NEXT_IN_LINE", woken)).await;
}
