//! Why a job waits, continued: limits, profiles, and what services say.

use std::time::Duration;

use callboard::{
    clock::Time,
    steps::{limits::cool_down::cool_down, run::claim::Decision},
};
use chrono::DateTime;
use serde_json::{Value, json};

use crate::waiting::{Table, in_seconds, why};

#[tokio::test]
async fn as_many_run_as_may() {
    let table = Table::set(&["q", "one", "two"]).await;
    let full = |sentence: String| why("CONCURRENCY", sentence);

    let service = table.service("github", json!({ "maxConcurrency": 2 })).await;
    let with = json!({ "serviceIds": [service] });
    let jobs = [
        table.job("q", with.clone()).await,
        table.job("q", with.clone()).await,
        table.job("q", with.clone()).await,
    ];
    let running = [table.stage.start(jobs[0]).await, table.stage.start(jobs[1]).await];
    let of_service = || {
        full("The concurrency limit of the service github is reached: 2 jobs are running.".into())
            .by("Service", &service)
    };
    table.expect("a service is full, before anybody has asked", jobs[2], of_service()).await;
    table.park(jobs[2]).await;
    table.expect("a service is full", jobs[2], of_service()).await;
    let behind = table.job("q", with.clone()).await;
    table.expect("a service is full, and somebody waits", behind, of_service()).await;
    table.stage.succeed(jobs[0], running[0]).await;
    let waits = full("Earlier jobs are waiting for the service github.".into()).by("Service", &service);
    let called =
        why("NEXT_IN_LINE", "The job is next in the queue q and starts once a worker has a free slot.").at(1);
    table.expect("a place at the service was left: it is called", jobs[2], called).await;
    table.stage.sql("UPDATE gates SET has_waiters = true").await;
    table.expect("a place was left, and it is not its turn", behind, waits).await;

    let id = |value: &Value| value["queue"]["id"].as_str().unwrap().to_owned();
    let cap = |name: &'static str, most: i32| {
        table.stage.mutate("queueUpdate", "queue { id }", json!({ "name": name, "maxConcurrency": most }))
    };
    let first = table.job("one", json!({})).await;
    let queue = id(&cap("one", 1).await);
    table.stage.start(first).await;
    let job = table.job("one", json!({})).await;
    let of_one = full("The concurrency limit of the queue one is reached: 1 job is running.".into())
        .by("Queue", &queue);
    table.expect("a queue of one", job, of_one).await;
    let (first, second) = (table.job("two", json!({})).await, table.job("two", json!({})).await);
    let queue = id(&cap("two", 2).await);
    table.stage.start_all(&[first, second]).await;
    let job = table.job("two", json!({})).await;
    let of_two = full("The concurrency limit of the queue two is reached: 2 jobs are running.".into())
        .by("Queue", &queue);
    table.expect("a queue of two", job, of_two).await;

    let limited = table.stage.command("limited", json!({ "policy": { "maxConcurrency": 1 } })).await;
    let own = json!({ "commandId": limited });
    let (first, job) = (table.job("q", own.clone()).await, table.job("q", own.clone()).await);
    table.stage.start(first).await;
    let of_command =
        full("The concurrency limit of the command limited is reached: 1 job is running.".into());
    table.expect("a command of one", job, of_command.by("Command", &limited)).await;
    let wide = table.job("q", json!({ "commandId": limited, "policy": { "maxConcurrency": null } })).await;
    assert!(matches!(table.stage.claim(wide).await.1, Decision::Granted(_)), "its own policy has no limit");

    let proxy = json!({ "name": "exit", "protocol": "HTTP", "address": "127.0.0.1:9", "maxConcurrency": 1 });
    let proxy = table.stage.made("proxyCreate", "proxy", proxy).await;
    let through = json!({ "proxyId": proxy });
    let (first, job) = (table.job("q", through.clone()).await, table.job("q", through).await);
    table.stage.start(first).await;
    let of_proxy = full("The concurrency limit of the proxy exit is reached: 1 job is running.".into());
    table.expect("a proxy of one", job, of_proxy.by("Proxy", &proxy)).await;
}

#[tokio::test]
async fn another_job_is_on_its_profile() {
    let table = Table::set(&["q"]).await;
    let profile = table.stage.profile("alice").await;
    let on = json!({ "profileId": profile });
    let (first, second, third) = (
        table.job("q", on.clone()).await,
        table.job("q", on.clone()).await,
        table.job("q", on.clone()).await,
    );
    let attempt = table.stage.start(first).await;
    let busy = || why("PROFILE_BUSY", format!("The profile alice is in use by {first}.")).by("Job", &first);
    table.expect("a profile in use, before anybody has asked", second, busy()).await;
    table.park(second).await;
    table.expect("a profile in use", second, busy()).await;
    table.expect("a profile in use, and somebody waits", third, busy()).await;
    table.stage.mutate("jobCancel", "job { id }", json!({ "id": first.to_string() })).await;
    table.expect("a profile in use by one that is asked to end", second, busy()).await;
    table.stage.succeed(first, attempt).await;
    let called =
        why("NEXT_IN_LINE", "The job is next in the queue q and starts once a worker has a free slot.").at(1);
    table.expect("the profile is free", second, called).await;
    table.stage.start(second).await;
    let other = why("PROFILE_BUSY", format!("The profile alice is in use by {second}.")).by("Job", &second);
    table.expect("the next one is on it", third, other).await;
}

#[tokio::test]
async fn a_rate_of_its_own_or_of_a_service() {
    let table = Table::set(&["q"]).await;
    let hourly = json!({ "rateLimits": [{ "name": "hour", "limit": 1, "per": "PT1H" }] });
    let service = table.service("hourly", hourly.clone()).await;
    let with = json!({ "serviceIds": [service] });
    let (first, job) = (table.job("q", with.clone()).await, table.job("q", with.clone()).await);
    table.stage.start(first).await;
    let opens = table.started_at(first).await + Duration::from_hours(1);
    let no_room = |it: &str| format!("The rate limit hour of the {it} is reached until {{until}}.");
    let of_service = || why("RATE_LIMIT", no_room("service hourly")).by("Service", &service).until(opens);
    table.expect("a rate of a service, before anybody has asked", job, of_service()).await;
    table.park(job).await;
    table.expect("a rate of a service", job, of_service()).await;
    table.expect("a rate of a service, and somebody waits", table.job("q", with).await, of_service()).await;

    let limited = table.stage.command("limited", json!({ "policy": hourly })).await;
    let own = json!({ "commandId": limited });
    let (first, job) = (table.job("q", own.clone()).await, table.job("q", own).await);
    table.stage.start(first).await;
    let of_command =
        why("RATE_LIMIT", no_room("command limited")).by("Command", &limited).until(in_seconds(3600));
    table.expect("a rate of its command", job, of_command).await;

    let mut proxy = hourly.clone();
    proxy["name"] = json!("exit");
    proxy["protocol"] = json!("HTTP");
    proxy["address"] = json!("127.0.0.1:9");
    let proxy = table.stage.made("proxyCreate", "proxy", proxy).await;
    let through = json!({ "proxyId": proxy });
    let (first, job) = (table.job("q", through.clone()).await, table.job("q", through).await);
    table.stage.start(first).await;
    let of_proxy = why("RATE_LIMIT", no_room("proxy exit")).by("Proxy", &proxy).until(in_seconds(3600));
    table.expect("a rate of its proxy", job, of_proxy).await;

    let two = json!({ "maxConcurrency": 1, "rateLimits": [{ "name": "minute", "limit": 1, "per": "PT1M" },
        { "name": "day", "limit": 2, "per": "P1D" }] });
    let both = table.service("both", two).await;
    let with = json!({ "serviceIds": [both] });
    let (first, job) = (table.job("q", with.clone()).await, table.job("q", with.clone()).await);
    table.stage.start(first).await;
    let longest = "The rate limit day of the service both is reached until {until}.";
    let longest = || why("RATE_LIMIT", longest).by("Service", &both).until(in_seconds(12 * 3600));
    table.expect("of two rates and a cap, what takes longest", job, longest()).await;
    let on_both = table.job("q", json!({ "serviceIds": [service, both] })).await;
    table.expect("of two services, the one that takes longest", on_both, longest()).await;
}

#[tokio::test]
async fn a_service_that_has_said_so_itself() {
    let table = Table::set(&["q"]).await;
    let service = table.service("github", json!({ "maxConcurrency": 1 })).await;
    let with = json!({ "serviceIds": [service] });
    let job = table.job("q", with.clone()).await;
    table.hear(&service, 429, &[("retry-after", "600")], None).await;
    let refusing =
        || why("RATE_LIMIT", "The service github allows no requests until {until}.").by("Service", &service);
    table.expect("a service that refuses", job, refusing().until(in_seconds(600))).await;
    table.park(job).await;
    table.expect("parked on it", job, refusing().until(in_seconds(600))).await;
    table.hear(&service, 429, &[("retry-after", "1800")], None).await;
    table.expect("it refuses again, for longer", job, refusing().until(in_seconds(1800))).await;

    let quota = r#"{ "error": { "type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your current quota." } }"#;
    table.hear(&service, 429, &[], Some(quota)).await;
    let shown = table
        .stage
        .data("query($id: ID!) { service(id: $id) { suspendedReason } }", json!({ "id": service }))
        .await;
    let reason = shown["service"]["suspendedReason"].as_str().unwrap().to_owned();
    assert!(!reason.is_empty());
    let suspended = || {
        why("SERVICE_SUSPENDED", format!("The service github is suspended: {reason}")).by("Service", &service)
    };
    table.expect("a service that wants to be paid", job, suspended()).await;
    let other = table
        .service("other", json!({ "rateLimits": [{ "name": "hour", "limit": 1, "per": "PT1H" }] }))
        .await;
    let both = json!({ "serviceIds": [other, service] });
    let (first, on_both) =
        (table.job("q", json!({ "serviceIds": [other] })).await, table.job("q", both).await);
    table.stage.start(first).await;
    table.expect("suspended goes before a rate", on_both, suspended()).await;
    table.stage.mutate("serviceResume", "service { id }", json!({ "id": service })).await;
    let of_other = why("RATE_LIMIT", "The rate limit hour of the service other is reached until {until}.");
    table
        .expect("resumed, the rate is left", on_both, of_other.by("Service", &other).until(in_seconds(3600)))
        .await;

    let reset = in_seconds(900).timestamp().to_string();
    let headers = [
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", reset.as_str()),
        ("x-ratelimit-resource", "core"),
    ];
    let told = table.service("told", json!({})).await;
    table.hear(&told, 200, &headers, None).await;
    let job = table.job("q", json!({ "serviceIds": [told] })).await;
    let used_up =
        why("RATE_LIMIT", "The service told reports that its quota core is exhausted until {until}.");
    table
        .expect(
            "a service whose own limit is used up",
            job,
            used_up.by("Service", &told).until(in_seconds(900)),
        )
        .await;
    let free = table.service("free", json!({})).await;
    let job = table.job("free", json!({ "serviceIds": [free] })).await;
    table.expect("another service", job, why("NO_WORKER", "No active worker serves the queue free.")).await;
}

#[tokio::test]
async fn its_proxy_could_not_be_reached() {
    let table = Table::set(&["q"]).await;
    let made = |name: &'static str| {
        let proxy = json!({ "name": name, "protocol": "HTTP", "address": "127.0.0.1:9" });
        table.stage.made("proxyCreate", "proxy", proxy)
    };
    let (exit, other) = (made("exit").await, made("other").await);
    // For longer than the test.
    let cooling = async |proxy: &str, until: &'static str| {
        drop(cool_down(&table.stage.store, proxy.parse().unwrap()).await.unwrap());
        table.stage.sql(until).await;
    };
    let shown = async || {
        let query = "query($id: ID!) { proxy(id: $id) { health { coolingUntil } } }";
        table.stage.data(query, json!({ "id": exit })).await["proxy"]["health"]["coolingUntil"].take()
    };
    let down = "The proxy exit could not be reached and cools down until {until}.";
    let until: Time = DateTime::parse_from_rfc3339("2100-01-01T00:00:00Z").unwrap().into();
    let down = || why("PROXY_DOWN", down).by("Proxy", &exit).until(until);
    let next = "The job is next in the queue q and starts once a worker has a free slot.";

    let job = table.job("q", json!({ "proxyId": exit })).await;
    assert_eq!(shown().await, Value::Null);
    cooling(&exit, "UPDATE gates SET state = jsonb_set(state, '{shut,until}', '\"2100-01-01T00:00:00Z\"')")
        .await;
    table.expect("its proxy, before anybody has asked", job, down()).await;
    table.park(job).await;
    table.expect("its proxy", job, down()).await;
    assert_eq!(shown().await, json!("2100-01-01T00:00:00.000Z"));

    let profile = json!({ "name": "p", "chromeProfilePath": "p", "proxyIds": [exit, other] });
    let profile = table.stage.made("profileCreate", "profile", profile).await;
    let choosy = table.job("q", json!({ "profileId": profile })).await;
    table.expect("one of its profile's proxies", choosy, why("NEXT_IN_LINE", next).at(1)).await;
    let later = "UPDATE gates SET state = jsonb_set(state, '{shut,until}', '\"2200-01-01T00:00:00Z\"')
        WHERE (state #>> '{shut,until}')::timestamptz < '2100-01-01'";
    cooling(&other, later).await;
    table.expect("all of its profile's proxies", choosy, down()).await;

    table.stage.mutate("proxyUpdate", "proxy { id }", json!({ "id": exit, "address": "127.0.0.1:10" })).await;
    assert_eq!(shown().await, Value::Null, "another way out");
    let called = "The job is no longer blocked and is being returned to the queue q.";
    table.expect("a proxy that has moved", job, why("NEXT_IN_LINE", called)).await;
}
