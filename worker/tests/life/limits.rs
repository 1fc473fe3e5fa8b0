//! What services say about their limits, with real servers, HTTP commands and scripts: a refused
//! job waits, and so do the service's other jobs.

use std::time::Duration;

use callboard::clock::{self, Time};
use callboard_test_support::{eventually, within_a_day};
use chrono::{SubsecRound as _, TimeDelta};
use serde_json::{Value, json};

use crate::{
    private_limits::until_suspended,
    site::{Reply, Site},
    system::{PATIENCE, System},
};

/// After a refusal, requests that were under way may still arrive for this long.
const UNDER_WAY: Duration = Duration::from_millis(500);

pub(crate) async fn start(workers: usize) -> System {
    let mut system = System::start(0).await;
    system.set("CALLBOARD_ALLOW_PRIVATE_TARGETS", "true");
    for _ in 0..workers {
        system.add_worker(4).await;
    }
    system
}

/// A service, and a command that calls it with one attempt, so that a refusal that counted would
/// fail the job.
pub(crate) async fn service(system: &System, name: &str, site: &Site, more: Value) -> (String, String) {
    let mut input = json!({ "name": name, "baseUrl": site.url });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let service = system.make("serviceCreate", "service", input).await;
    let url = format!("{{{{ services.{name}.base_url }}}}/");
    let command = system
        .make(
            "commandCreate",
            "command",
            json!({
                "name": format!("calls {name}"), "spec": { "http": { "method": "GET", "url": url } },
                "serviceIds": [service], "policy": { "maxAttempts": 1 },
            }),
        )
        .await;
    (service, command)
}

fn outcomes_of(job: &Value) -> Vec<&str> {
    let attempts = job["attempts"]["nodes"].as_array().unwrap().iter();
    attempts.map(|attempt| attempt["outcome"].as_str().unwrap()).collect()
}

async fn outcomes(system: &System, job: &str) -> Vec<String> {
    outcomes_of(&system.job(job).await).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_refusal_holds_back_all_jobs_of_the_service_and_no_others() {
    const JOBS: usize = 40;
    const PAUSE: Duration = Duration::from_secs(4);
    within_a_day().await;
    let refuses = Site::start(|number| match number {
        10 => Reply::of(429).with("retry-after", &PAUSE.as_secs()),
        _ => Reply::ok(),
    })
    .await;
    let answers = Site::start(|_| Reply::ok()).await;
    let system = start(2).await;
    let (_, refused) = service(&system, "refuses", &refuses, json!({})).await;
    let (_, other) = service(&system, "answers", &answers, json!({})).await;
    let requests =
        (0..2 * JOBS).map(|number| json!({ "commandId": if number % 2 == 0 { &refused } else { &other } }));
    let jobs = system.enqueue_all(requests.collect()).await;
    eventually(PATIENCE, || async { system.count(&["SUCCEEDED"]).await == 2 * JOBS as u64 }).await;
    let used = system
        .data(
            "{ services { nodes { consumption { today { attempts } } consumers { command { name } } } } }",
            json!({}),
        )
        .await;
    let other_used = &used["services"]["nodes"][0];
    assert_eq!(other_used["consumption"]["today"]["attempts"], JOBS, "{used}");
    assert_eq!(other_used["consumers"], json!([{ "command": { "name": "calls answers" } }]));

    let asked = refuses.exchanges();
    let refusal = asked[10].at;
    assert_eq!(asked.iter().filter(|exchange| exchange.status == 200).count(), JOBS, "each once");
    let early =
        asked.iter().filter(|exchange| exchange.at > refusal + UNDER_WAY && exchange.at < refusal + PAUSE);
    assert_eq!(early.count(), 0, "{asked:?}");
    let meanwhile = answers.exchanges().iter().filter(|exchange| exchange.at < refusal + PAUSE).count();
    assert_eq!(meanwhile, JOBS, "the other service's jobs all ran while the one refused");
    let mut throttled = 0;
    for job in &jobs {
        let outcomes = outcomes(&system, job).await;
        let (last, before) = outcomes.split_last().unwrap();
        assert!(last == "SUCCEEDED" && before.iter().all(|outcome| outcome == "THROTTLED"), "{outcomes:?}");
        throttled += before.len();
    }
    assert!((1..=8).contains(&throttled), "only attempts that had started: {throttled}");
}

/// A service that refuses once and says in its own headers when it may be asked again.
struct Family {
    name: &'static str,
    refusal: fn(Time) -> Reply,
}

const PAUSE: Duration = Duration::from_secs(3);

/// The first whole second that is not before `at`.
fn second(at: Time) -> Time {
    (at + Duration::from_millis(999)).trunc_subsecs(0)
}

const FAMILIES: [Family; 9] = [
    Family { name: "retry_after_seconds", refusal: |_| Reply::of(429).with("Retry-After", &3) },
    Family {
        name: "retry_after_date",
        refusal: |end| Reply::of(503).with("Retry-After", &second(end).format("%a, %d %b %Y %H:%M:%S GMT")),
    },
    Family {
        name: "github_primary",
        refusal: |end| {
            let reply = Reply::of(403).with("X-RateLimit-Limit", &60).with("X-RateLimit-Remaining", &0);
            reply.with("X-RateLimit-Reset", &second(end).timestamp()).with("X-RateLimit-Resource", "core")
        },
    },
    Family {
        name: "github_secondary",
        refusal: |_| {
            let body = r#"{"message":"You have exceeded a secondary rate limit."}"#;
            Reply::of(403).with("Retry-After", &3).saying(body)
        },
    },
    Family {
        name: "epoch_milliseconds",
        refusal: |end| {
            Reply::of(429)
                .with("X-Rate-Limit-Remaining", &0)
                .with("X-Rate-Limit-Reset", &end.timestamp_millis())
        },
    },
    Family {
        name: "openai",
        refusal: |_| {
            let reply = Reply::of(429)
                .with("x-ratelimit-limit-requests", &60)
                .with("x-ratelimit-remaining-requests", &0);
            let body = r#"{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached."}}"#;
            reply.with("x-ratelimit-reset-requests", "3s").saying(body)
        },
    },
    Family {
        name: "draft_6",
        refusal: |_| {
            let reply = Reply::of(429).with("RateLimit-Limit", &10).with("RateLimit-Remaining", &0);
            reply.with("RateLimit-Reset", &3)
        },
    },
    Family {
        name: "draft_7",
        refusal: |_| Reply::of(429).with("RateLimit", "limit=10, remaining=0, reset=3"),
    },
    Family { name: "draft_8", refusal: |_| Reply::of(429).with("RateLimit", r#""burst";r=0;t=3"#) },
];

#[tokio::test]
async fn every_family_of_headers_is_followed_exactly() {
    let system = start(1).await;
    let mut waits = Vec::new();
    for family in FAMILIES {
        let refusal = family.refusal;
        let site =
            Site::start(move |number| if number == 0 { refusal(clock::now() + PAUSE) } else { Reply::ok() })
                .await;
        let (_, command) = service(&system, family.name, &site, json!({})).await;
        let job = system.enqueue(json!({ "commandId": command })).await;
        waits.push((family.name, site, job));
    }
    let pause = TimeDelta::from_std(PAUSE).unwrap();
    for (name, site, job) in waits {
        system.until(&job, "SUCCEEDED", PATIENCE).await;
        assert_eq!(outcomes(&system, &job).await, ["THROTTLED", "SUCCEEDED"], "{name}");
        let asked = site.exchanges();
        let waited = asked[1].at - asked[0].at;
        assert!(asked.len() == 2 && waited >= pause, "{name}: again after {waited}");
    }
}

#[tokio::test]
async fn the_remaining_quota_is_shown_and_kept_without_a_refusal() {
    let site = Site::start(|number| {
        let reset = second(clock::now() + Duration::from_mins(30)).timestamp();
        let reply =
            Reply::ok().with("X-RateLimit-Limit", &5000).with("X-RateLimit-Remaining", &(2 - number.min(2)));
        reply.with("X-RateLimit-Reset", &reset)
    })
    .await;
    let system = start(1).await;
    let limits = json!({ "rateLimits": [{ "limit": 100, "per": "PT1S", "burst": 10 }] });
    let (service, command) = service(&system, "counts", &site, limits).await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let job = system.enqueue(json!({ "commandId": command })).await;
        system.until(&job, "SUCCEEDED", PATIENCE).await;
        jobs.push(job);
    }
    let late = system.enqueue(json!({ "commandId": command })).await;
    let query = "query($id: ID!) { job(id: $id) { waiting { reason explanation until blocker { id } } } }";
    let waiting = eventually(PATIENCE, || async {
        let job = system.data(query, json!({ "id": late })).await["job"].take();
        (job["waiting"]["reason"] == "RATE_LIMIT").then(|| job["waiting"].clone())
    })
    .await;
    assert_eq!(waiting["blocker"]["id"], service);
    let query =
        "query($id: ID!) { service(id: $id) { usage { name source limit remaining resetsAt observedAt } } }";
    let usage = system.data(query, json!({ "id": service })).await["service"]["usage"].take();
    assert_eq!(usage[0]["source"], "DECLARED");
    assert_eq!((&usage[0]["limit"], &usage[0]["name"]), (&json!(100), &json!("default")));
    assert_eq!(usage[1]["source"], "OBSERVED");
    assert_eq!((&usage[1]["limit"], &usage[1]["remaining"]), (&json!(5000), &json!(0)));
    assert_eq!(waiting["until"], usage[1]["resetsAt"], "{waiting:#}");
    assert_eq!(site.exchanges().len(), 3, "the fourth request was never made");

    system.make("serviceResume", "service", json!({ "id": service })).await;
    system.until(&late, "SUCCEEDED", PATIENCE).await;
    assert_eq!(outcomes(&system, &late).await, ["SUCCEEDED"]);
}

#[tokio::test]
async fn a_service_with_an_exhausted_budget_is_suspended_until_it_is_resumed() {
    let site = Site::start(|number| match number {
        0 => Reply::of(429).saying(
            r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, check your plan."}}"#,
        ),
        _ => Reply::ok(),
    })
    .await;
    let system = start(1).await;
    let (service, command) = service(&system, "pays", &site, json!({})).await;
    let job = system.enqueue(json!({ "commandId": command })).await;
    let query = "query($job: ID!, $service: ID!) {
        job(id: $job) { waiting { reason explanation until blocker { id } } }
        service(id: $service) { suspendedUntil suspendedReason } }";
    let seen = until_suspended(&system, query, &job, &service).await;
    let reason = seen["service"]["suspendedReason"].as_str().unwrap();
    assert!(
        reason.contains("insufficient_quota") || reason.contains("exceeded your current quota"),
        "{reason}"
    );
    assert_eq!(seen["service"]["suspendedUntil"], Value::Null);
    assert_eq!(seen["job"]["waiting"]["until"], Value::Null);
    assert_eq!(seen["job"]["waiting"]["blocker"]["id"], service);
    let explanation = seen["job"]["waiting"]["explanation"].as_str().unwrap();
    assert!(explanation.contains("pays") && explanation.contains(reason), "{explanation}");

    system.make("serviceResume", "service", json!({ "id": service })).await;
    system.until(&job, "SUCCEEDED", PATIENCE).await;
    assert_eq!(outcomes(&system, &job).await, ["THROTTLED", "SUCCEEDED"]);
    system.make("serviceResume", "service", json!({ "id": service })).await;
    let query = "mutation { serviceResume(input: { id: \"service_01arz3ndektsv4rrffq69g5fav\" }) {
        service { id } userErrors { code message path } } }";
    let refused = system.data(query, json!({})).await["serviceResume"].take();
    assert_eq!(refused["userErrors"][0]["code"], "NOT_FOUND", "{refused}");
}

#[tokio::test]
async fn a_refused_script_waits_too() {
    let site = Site::start(|number| match number {
        0 => Reply::of(429).with("Retry-After", &PAUSE.as_secs()),
        _ => Reply::ok(),
    })
    .await;
    let system = start(1).await;
    let service =
        system.make("serviceCreate", "service", json!({ "name": "api", "baseUrl": site.url })).await;
    let script = "export default async ({ context, services }) => {
        const answer = await context.request.get(services.api.baseUrl);
        if (!answer.ok()) throw new Error(`status ${answer.status()}`);
        return answer.status();
    };";
    let command = system.browser("asks", script, json!({ "maxAttempts": 1 })).await;
    let job = system.enqueue(json!({ "commandId": command, "serviceIds": [service] })).await;
    let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
    assert_eq!(job["attempts"]["nodes"][0]["outcome"], "THROTTLED", "{job:#}");
    assert_eq!(job["attempts"]["nodes"].as_array().unwrap().len(), 2);
    let asked = site.exchanges();
    assert!(asked[1].at - asked[0].at >= TimeDelta::from_std(PAUSE).unwrap(), "{asked:?}");
}

#[tokio::test]
async fn an_unreachable_proxy_cools_down_and_its_attempts_do_not_count() {
    const ONCE: &str = "{ job(id: $id) { attempts(first: 9) { nodes { outcome proxy { id } } } } }";
    let exit = Site::start(|_| Reply::ok()).await;
    let system = start(1).await;
    let proxy = async |name: &str, address: &str| {
        let proxy = json!({ "name": name, "protocol": "HTTP", "address": address });
        system.make("proxyCreate", "proxy", proxy).await
    };
    let address = exit.url.strip_prefix("http://").unwrap();
    // No server listens on port 1.
    let (gone, there) = (proxy("gone", "127.0.0.1:1").await, proxy("there", address).await);
    let profile = json!({ "name": "p", "chromeProfilePath": "p", "proxyIds": [gone, there] });
    let profile = system.make("profileCreate", "profile", profile).await;
    let command = json!({ "name": "calls", "spec": { "http": { "method": "GET", "url": "http://site.test/" } },
        "policy": { "maxAttempts": 1 } });
    let command = system.make("commandCreate", "command", command).await;
    let attempts_of = async |job: &str| {
        system.until(job, "SUCCEEDED", PATIENCE).await;
        let nodes = system.data(&format!("query($id: ID!) {ONCE}"), json!({ "id": job })).await["job"]["attempts"]
            ["nodes"]
            .take();
        let attempts = nodes.as_array().unwrap().iter();
        let text = |attempt: &Value, field: &str| attempt[field].as_str().unwrap().to_owned();
        attempts.map(|attempt| (text(attempt, "outcome"), text(&attempt["proxy"], "id"))).collect::<Vec<_>>()
    };
    let on_profile = json!({ "commandId": command, "profileId": profile });
    let first = attempts_of(&system.enqueue(on_profile.clone()).await).await;
    assert_eq!(first, [("THROTTLED".into(), gone.clone()), ("SUCCEEDED".into(), there.clone())]);
    let second = attempts_of(&system.enqueue(on_profile).await).await;
    assert_eq!(second, [("SUCCEEDED".into(), there)], "the other cools down");

    let bound = system.enqueue(json!({ "commandId": command, "proxyId": gone })).await;
    let waiting = "query($id: ID!) { job(id: $id) { waiting { reason blocker { id } } } }";
    let expected = json!({ "reason": "PROXY_DOWN", "blocker": { "id": gone } });
    eventually(PATIENCE, || async {
        system.data(waiting, json!({ "id": bound })).await["job"]["waiting"] == expected
    })
    .await;
    let moved = "mutation($input: ProxyUpdateInput!) { proxyUpdate(input: $input) { userErrors { code } } }";
    let moved = system.data(moved, json!({ "input": { "id": gone, "address": address } })).await;
    assert_eq!(moved["proxyUpdate"]["userErrors"], json!([]));
    let attempts = attempts_of(&bound).await;
    assert_eq!(attempts.last(), Some(&("SUCCEEDED".into(), gone)));
}

#[tokio::test]
async fn a_proxy_that_refuses_the_password_fails_the_job_and_does_not_cool_down() {
    // With an expected 407 too, because over plain HTTP only the proxy sends one.
    let picky = Site::start(|_| Reply::of(407).with("proxy-authenticate", "Basic")).await;
    let system = start(1).await;
    let address = picky.url.strip_prefix("http://").unwrap();
    let proxy = json!({ "name": "picky", "protocol": "HTTP", "address": address });
    let proxy = system.make("proxyCreate", "proxy", proxy).await;
    for expected in [json!([200]), json!([407])] {
        let http = json!({ "method": "GET", "url": "http://site.test/", "expectStatus": expected });
        let command = json!({ "name": format!("expects {expected}"), "spec": { "http": http }, "policy": { "maxAttempts": 1 } });
        let command = system.make("commandCreate", "command", command).await;
        let job = system.enqueue(json!({ "commandId": command, "proxyId": proxy })).await;
        let job = system.until(&job, "FAILED", PATIENCE).await;
        let failure = json!({ "code": "PROXY", "message": "the proxy refused the credentials (407)" });
        assert_eq!((&job["failure"], outcomes_of(&job)), (&failure, vec!["FAILED"]), "{job:#}");
    }
    let query = "query($id: ID!) { proxy(id: $id) { health { coolingUntil } } }";
    let health = system.data(query, json!({ "id": proxy })).await["proxy"]["health"].take();
    assert_eq!(health["coolingUntil"], Value::Null, "it was reached");
}

#[tokio::test]
async fn a_job_that_is_only_refused_or_cannot_go_out_expires() {
    let refuses = Site::start(|_| Reply::of(429)).await;
    let system = start(1).await;
    let (_, refused) = service(&system, "refuses", &refuses, json!({})).await;
    let proxy = json!({ "name": "dead", "protocol": "HTTP", "address": "127.0.0.1:9" });
    let proxy = system.make("proxyCreate", "proxy", proxy).await;
    let spec = json!({ "http": { "method": "GET", "url": "http://site.test/" } });
    let command = json!({ "name": "goes out", "spec": spec, "policy": { "maxAttempts": 1 } });
    let cut_off = system.make("commandCreate", "command", command).await;
    let policy = json!({ "expiresAfter": "PT4S" });
    let jobs = system
        .enqueue_all(vec![
            json!({ "commandId": refused, "policy": policy }),
            json!({ "commandId": cut_off, "proxyId": proxy, "policy": policy }),
        ])
        .await;
    for job in &jobs {
        let job = system.until(job, "CANCELLED", PATIENCE).await;
        assert_eq!(job["failure"]["code"], "EXPIRED", "{job:#}");
        let outcomes = outcomes_of(&job);
        assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == "THROTTLED"), "{job:#}");
    }
    for job in &jobs {
        let query = "query($id: ID!) { job(id: $id) { createdAt finishedAt } }";
        let times = system.data(query, json!({ "id": job })).await["job"].take();
        let at = |name: &str| times[name].as_str().unwrap().parse::<Time>().unwrap();
        let waited = at("finishedAt") - at("createdAt");
        assert!(waited < TimeDelta::seconds(6), "{waited}");
    }
}
