//! Proxies: which one an attempt goes through is decided by its claim, and the limits of that one hold.

use std::slice::from_ref;

use callboard::{
    catalogue::{CheckResult, ProfileCreate, ProxyChanges, ProxyCreate, ProxyUpdate},
    ids::{JobId, ProfileId, ProxyId},
    limit::{GateKey, gate::Block},
    patch::{LimitsPatch, Patch},
    profile::ProxySelection,
    proxy::ProxyProtocol,
    steps::{
        enqueue::submit::JobRequest,
        limits::{cool_down::cool_down, explain::explain},
    },
    store::limits::gates,
};

use crate::stage::{Stage, limits};

async fn proxy(stage: &Stage, name: &str, limits: LimitsPatch) -> ProxyId {
    let proxy = ProxyCreate {
        name: name.into(),
        protocol: ProxyProtocol::Socks5,
        address: "127.0.0.1:1080".into(),
        username: None,
        password: None,
        limits,
    };
    stage.catalogue.proxy_create(proxy).await.unwrap().id
}

async fn profile(stage: &Stage, name: &str, proxies: &[ProxyId], selection: ProxySelection) -> ProfileId {
    let profile = ProfileCreate {
        name: name.into(),
        chrome_profile_path: name.into(),
        proxy_ids: proxies.to_vec(),
        proxy_selection: selection,
        ..ProfileCreate::default()
    };
    stage.catalogue.profile_create(profile).await.unwrap().id
}

fn order(stage: &Stage, profile: Option<ProfileId>, proxy: Option<ProxyId>) -> JobRequest {
    JobRequest { command: Some(stage.command), profile, proxy, ..JobRequest::default() }
}

/// The proxies of running attempts, in the order of the jobs' ids.
async fn taken(stage: &Stage) -> Vec<ProxyId> {
    let ids: Vec<uuid::Uuid> = stage
        .value("SELECT coalesce(array_agg(attempt_proxy_id ORDER BY job_id), '{}') FROM live_jobs WHERE worker_id IS NOT NULL")
        .await;
    ids.into_iter().map(ProxyId::from).collect()
}

async fn goes_down(stage: &Stage, name: &'static str) {
    let sql = match name {
        "a" => "UPDATE proxies SET health = 'down', checked_at = now() WHERE name = 'a'",
        _ => "UPDATE proxies SET health = 'down', checked_at = now()",
    };
    stage.sql(sql).await;
}

#[tokio::test]
async fn the_limits_of_a_proxy_hold_for_those_who_choose_it() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let only = proxy(&stage, "a", limits(Some(1), &[])).await;
    let mut orders = vec![order(&stage, None, Some(only))];
    for name in ["p", "q"] {
        let profile = profile(&stage, name, &[only], ProxySelection::FirstHealthy).await;
        orders.push(order(&stage, Some(profile), None));
    }
    let jobs: Vec<JobId> = stage.submit(orders).await;
    let mut ready = jobs.clone();
    for left in (0..3).rev() {
        let (granted, _called) = stage.claim_all(worker, &ready).await;
        assert_eq!(granted.len(), 1, "one at a time");
        assert_eq!(taken(&stage).await, [only]);
        let why = explain(&stage.store, &jobs).await.unwrap();
        assert_eq!(why.len(), left);
        for obstacle in why.values() {
            assert_eq!(
                (&obstacle.at.key, &obstacle.block),
                (&GateKey::Proxy(only), &Block::NoSlots { max: 1 })
            );
        }
        ready = stage.settle_all(&granted).await;
    }
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM live_jobs").await, 0);
}

#[tokio::test]
async fn a_batch_is_spread_over_the_least_busy() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let (a, b) =
        (proxy(&stage, "a", LimitsPatch::default()).await, proxy(&stage, "b", LimitsPatch::default()).await);
    let mut orders = vec![order(&stage, None, Some(b)), order(&stage, None, Some(b))];
    let first = stage.submit(orders.split_off(0)).await;
    assert_eq!(stage.claim_all(worker, &first).await.0.len(), 2);
    for name in ["p", "q", "r", "s"] {
        let profile = profile(&stage, name, &[b, a], ProxySelection::LeastBusy).await;
        orders.push(order(&stage, Some(profile), None));
    }
    let jobs = stage.submit(orders).await;
    assert_eq!(stage.claim_all(worker, &jobs).await.0.len(), 4);
    assert_eq!(
        taken(&stage).await[2..],
        [a, a, b, a],
        "two of b run already; the first in order comes first when they are even"
    );
}

#[tokio::test]
async fn each_has_its_turn_and_those_that_are_down_are_left_out() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let (a, b) =
        (proxy(&stage, "a", LimitsPatch::default()).await, proxy(&stage, "b", LimitsPatch::default()).await);
    let in_turn = profile(&stage, "p", &[a, b], ProxySelection::RoundRobin).await;
    let first = profile(&stage, "q", &[a, b], ProxySelection::FirstHealthy).await;
    let attempt = async |profile| {
        let jobs = stage.submit(vec![order(&stage, Some(profile), None)]).await;
        let (granted, _called) = stage.claim_all(worker, &jobs).await;
        let taken = taken(&stage).await;
        stage.settle_all(&granted).await;
        taken
    };
    for next in [a, b, a, b] {
        assert_eq!(attempt(in_turn).await, [next]);
    }
    assert_eq!(attempt(first).await, [a]);
    goes_down(&stage, "a").await;
    assert_eq!(attempt(first).await, [b]);
    for next in [b, b] {
        assert_eq!(attempt(in_turn).await, [next]);
    }
    goes_down(&stage, "all").await;
    assert_eq!(attempt(first).await, [a], "never none at all");
}

#[tokio::test]
async fn whoever_is_called_and_takes_another_proxy_passes_the_turn_on() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let (a, b) =
        (proxy(&stage, "a", limits(Some(1), &[])).await, proxy(&stage, "b", LimitsPatch::default()).await);
    let choosy = profile(&stage, "p", &[a, b], ProxySelection::FirstHealthy).await;
    let jobs = stage
        .submit(vec![
            order(&stage, None, Some(a)),
            JobRequest { priority: Some(8), ..order(&stage, Some(choosy), None) },
            order(&stage, None, Some(a)),
        ])
        .await;
    let (granted, _called) = stage.claim_all(worker, &jobs[..1]).await;
    assert!(stage.claim_all(worker, &jobs[1..]).await.0.is_empty(), "both wait for the one place");
    assert_eq!(stage.settle_all(&granted).await, [jobs[1]]);
    goes_down(&stage, "a").await;
    let (granted, called) = stage.claim_all(worker, &jobs[1..2]).await;
    assert_eq!((granted.len(), taken(&stage).await), (1, vec![b]));
    assert_eq!(called, [jobs[2]], "the place that it was called for is free");
}

/// The pause that has just begun is to outlast the test: it ends an hour after the last that goes on.
async fn lasts(stage: &Stage) {
    let sql = "UPDATE gates SET state = jsonb_set(state, '{shut,until}',
                   (SELECT to_jsonb(max((state #>> '{shut,until}')::timestamptz) + interval '1 hour') FROM gates))
               WHERE (state #>> '{shut,until}')::timestamptz < clock_timestamp() + interval '1 minute'";
    stage.sql(sql).await;
}

async fn is_shut(stage: &Stage, proxy: ProxyId) -> bool {
    let key = GateKey::Proxy(proxy);
    let found = gates::look(&mut stage.store.connection().await.unwrap(), from_ref(&key)).await.unwrap();
    found.gates[&key].why_shut(found.at.unwrap()).is_some()
}

async fn change(stage: &Stage, id: ProxyId, changes: ProxyChanges) {
    stage.catalogue.proxy_update(ProxyUpdate { id, version: None, changes }).await.unwrap();
}

#[tokio::test]
async fn a_check_that_goes_through_has_waiters_looked_at_and_changes_no_open_gate() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let a = proxy(&stage, "a", LimitsPatch::default()).await;
    drop(cool_down(&stage.store, a).await.unwrap());
    lasts(&stage).await;
    let jobs = stage.submit(vec![order(&stage, None, Some(a))]).await;
    assert!(stage.claim_all(worker, &jobs).await.0.is_empty());
    // Nobody comes by of himself.
    stage.sql("UPDATE gates SET wake_at = NULL").await;
    assert_eq!(stage.wake_due().await, []);

    let check = async || {
        let up = CheckResult::Up { latency_ms: 1, exit_address: None };
        stage.catalogue.proxy_record_check(a, 1, up).await.unwrap();
    };
    check().await;
    assert_eq!(stage.wake_due().await, jobs);
    assert_eq!(stage.claim_all(worker, &jobs).await.0.len(), 1);

    let written = "SELECT xmin::text || state FROM gates";
    let before: String = stage.value(written).await;
    check().await;
    assert_eq!(stage.value::<String>(written).await, before);
}

#[tokio::test]
async fn a_proxy_that_cools_down_is_left_alone_by_all_and_left_by_those_who_can() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let (a, b) =
        (proxy(&stage, "a", limits(Some(1), &[])).await, proxy(&stage, "b", LimitsPatch::default()).await);
    let choosy = profile(&stage, "p", &[a, b], ProxySelection::FirstHealthy).await;
    let bound = profile(&stage, "q", &[a], ProxySelection::FirstHealthy).await;
    let jobs = stage
        .submit(vec![
            order(&stage, None, Some(a)),
            order(&stage, Some(choosy), None),
            order(&stage, Some(bound), None),
        ])
        .await;
    let (first, _called) = stage.claim_all(worker, &jobs[..1]).await;
    assert!(stage.claim_all(worker, &jobs[1..]).await.0.is_empty(), "both wait for the one place");
    let (_, after) = cool_down(&stage.store, a).await.unwrap();
    lasts(&stage).await;
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), jobs[1..]);
    let (granted, _called) = stage.claim_all(worker, &jobs[1..]).await;
    assert_eq!((granted.len(), taken(&stage).await), (1, vec![a, b]));
    let obstacle = explain(&stage.store, &jobs).await.unwrap().remove(&jobs[2]).unwrap();
    let (until, after) = cool_down(&stage.store, a).await.unwrap();
    assert_eq!(after.ready, [], "one that was under way says nothing new");
    let refusing = Block::RetryAfter { until: until.unwrap() };
    assert_eq!((obstacle.at.key, obstacle.block), (GateKey::Proxy(a), refusing));

    stage.settle_all(&granted).await;
    drop(cool_down(&stage.store, b).await.unwrap());
    lasts(&stage).await;
    let late = stage.submit(vec![order(&stage, Some(choosy), None)]).await;
    assert!(stage.claim_all(worker, &late).await.0.is_empty());
    let obstacle = explain(&stage.store, &late).await.unwrap().remove(&late[0]).unwrap();
    assert_eq!(obstacle.at.key, GateKey::Proxy(a), "the one that may be tried first");

    change(&stage, a, ProxyChanges { name: Patch::Set("z".into()), ..ProxyChanges::default() }).await;
    assert!(is_shut(&stage, a).await, "it is the same way out");
    let down = CheckResult::Down { failure: "refused".into() };
    stage.catalogue.proxy_record_check(a, 2, down).await.unwrap();
    assert!(is_shut(&stage, a).await, "it could not be reached either");
    let moved = Patch::Set("127.0.0.1:1081".into());
    change(&stage, a, ProxyChanges { address: moved, ..ProxyChanges::default() }).await;
    assert!(!is_shut(&stage, a).await, "it is another");
    let up = CheckResult::Up { latency_ms: 1, exit_address: None };
    stage.catalogue.proxy_record_check(b, 1, up).await.unwrap();
    assert!(!is_shut(&stage, b).await, "it was reached");
    assert_eq!(stage.settle_all(&first).await, [jobs[2]]);
    assert_eq!(stage.claim_all(worker, &jobs[2..]).await.0.len(), 1);
    assert_eq!(taken(&stage).await, [a]);
}
