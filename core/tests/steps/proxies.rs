//! Proxies: the claim chooses the proxy of an attempt, and that proxy's limits apply.

use std::slice::from_ref;

use callboard::{
    catalogue::{CheckResult, ProfileCreate, ProxyChanges, ProxyCreate, ProxyUpdate},
    ids::{JobId, ProfileId, ProxyId},
    job::JobRequest,
    limit::{GateKey, gate::Block},
    patch::{LimitsPatch, Patch},
    profile::ProxySelection,
    proxy::ProxyProtocol,
    steps::{
        Done,
        limits::{cool_down::cool_down, explain::explain},
    },
    store::limits::gates,
};

use crate::fixture::{Fixture, limits};

async fn proxy(fixture: &Fixture, name: &str, limits: LimitsPatch) -> ProxyId {
    let proxy = ProxyCreate {
        name: name.into(),
        protocol: ProxyProtocol::Socks5,
        address: "127.0.0.1:1080".into(),
        username: None,
        password: None,
        limits,
    };
    fixture.catalogue.proxy_create(proxy).await.unwrap().id
}

async fn profile(fixture: &Fixture, name: &str, proxies: &[ProxyId], selection: ProxySelection) -> ProfileId {
    let profile = ProfileCreate {
        name: name.into(),
        chrome_profile_path: name.into(),
        proxy_ids: proxies.to_vec(),
        proxy_selection: selection,
        ..ProfileCreate::default()
    };
    fixture.catalogue.profile_create(profile).await.unwrap().id
}

fn request(fixture: &Fixture, profile: Option<ProfileId>, proxy: Option<ProxyId>) -> JobRequest {
    JobRequest { profile, proxy, ..JobRequest::new(fixture.command) }
}

/// The proxies of running attempts, in the order of the job ids.
async fn proxies_in_use(fixture: &Fixture) -> Vec<ProxyId> {
    let ids: Vec<uuid::Uuid> = fixture
        .value("SELECT coalesce(array_agg(attempt_proxy_id ORDER BY job_id), '{}') FROM live_jobs WHERE worker_id IS NOT NULL")
        .await;
    ids.into_iter().map(ProxyId::from).collect()
}

async fn mark_down(fixture: &Fixture, name: &'static str) {
    let sql = match name {
        "a" => "UPDATE proxies SET health = 'down', checked_at = now() WHERE name = 'a'",
        _ => "UPDATE proxies SET health = 'down', checked_at = now()",
    };
    fixture.sql(sql).await;
}

#[tokio::test]
async fn the_limits_of_a_proxy_apply_to_jobs_that_choose_it() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let only = proxy(&fixture, "a", limits(Some(1), &[])).await;
    let mut requests = vec![request(&fixture, None, Some(only))];
    for name in ["p", "q"] {
        let profile = profile(&fixture, name, &[only], ProxySelection::FirstHealthy).await;
        requests.push(request(&fixture, Some(profile), None));
    }
    let jobs: Vec<JobId> = fixture.submit(requests).await;
    let mut ready = jobs.clone();
    for left in (0..3).rev() {
        let (granted, _woken) = fixture.claim_all(worker, &ready).await;
        assert_eq!(granted.len(), 1, "one at a time");
        assert_eq!(proxies_in_use(&fixture).await, [only]);
        let obstacles = explain(&fixture.store, &jobs).await.unwrap();
        assert_eq!(obstacles.len(), left);
        for obstacle in obstacles.values() {
            assert_eq!(
                (&obstacle.at.key, &obstacle.block),
                (&GateKey::Proxy(only), &Block::NoSlots { max: 1 })
            );
        }
        ready = fixture.settle_all(&granted).await;
    }
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM live_jobs").await, 0);
}

#[tokio::test]
async fn a_batch_is_spread_over_the_least_busy_proxies() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (a, b) = (
        proxy(&fixture, "a", LimitsPatch::default()).await,
        proxy(&fixture, "b", LimitsPatch::default()).await,
    );
    let mut requests = vec![request(&fixture, None, Some(b)), request(&fixture, None, Some(b))];
    let first = fixture.submit(requests.split_off(0)).await;
    assert_eq!(fixture.claim_all(worker, &first).await.0.len(), 2);
    for name in ["p", "q", "r", "s"] {
        let profile = profile(&fixture, name, &[b, a], ProxySelection::LeastBusy).await;
        requests.push(request(&fixture, Some(profile), None));
    }
    let jobs = fixture.submit(requests).await;
    assert_eq!(fixture.claim_all(worker, &jobs).await.0.len(), 4);
    assert_eq!(
        proxies_in_use(&fixture).await[2..],
        [a, a, b, a],
        "b has two running jobs, and the first in the list wins a tie"
    );
}

#[tokio::test]
async fn proxies_rotate_and_those_that_are_down_are_skipped() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (a, b) = (
        proxy(&fixture, "a", LimitsPatch::default()).await,
        proxy(&fixture, "b", LimitsPatch::default()).await,
    );
    let in_turn = profile(&fixture, "p", &[a, b], ProxySelection::RoundRobin).await;
    let first = profile(&fixture, "q", &[a, b], ProxySelection::FirstHealthy).await;
    let attempt = async |profile| {
        let jobs = fixture.submit(vec![request(&fixture, Some(profile), None)]).await;
        let (granted, _woken) = fixture.claim_all(worker, &jobs).await;
        let in_use = proxies_in_use(&fixture).await;
        fixture.settle_all(&granted).await;
        in_use
    };
    for next in [a, b, a, b] {
        assert_eq!(attempt(in_turn).await, [next]);
    }
    assert_eq!(attempt(first).await, [a]);
    mark_down(&fixture, "a").await;
    assert_eq!(attempt(first).await, [b]);
    for next in [b, b] {
        assert_eq!(attempt(in_turn).await, [next]);
    }
    mark_down(&fixture, "all").await;
    assert_eq!(attempt(first).await, [a], "a proxy is chosen even if all are down");
}

#[tokio::test]
async fn a_woken_job_that_takes_another_proxy_forwards_the_wakeup() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (a, b) = (
        proxy(&fixture, "a", limits(Some(1), &[])).await,
        proxy(&fixture, "b", LimitsPatch::default()).await,
    );
    let flexible = profile(&fixture, "p", &[a, b], ProxySelection::FirstHealthy).await;
    let jobs = fixture
        .submit(vec![
            request(&fixture, None, Some(a)),
            JobRequest { priority: Some(8), ..request(&fixture, Some(flexible), None) },
            request(&fixture, None, Some(a)),
        ])
        .await;
    let (granted, _woken) = fixture.claim_all(worker, &jobs[..1]).await;
    assert!(fixture.claim_all(worker, &jobs[1..]).await.0.is_empty(), "both wait for the one slot");
    assert_eq!(fixture.settle_all(&granted).await, [jobs[1]]);
    mark_down(&fixture, "a").await;
    let (granted, woken) = fixture.claim_all(worker, &jobs[1..2]).await;
    assert_eq!((granted.len(), proxies_in_use(&fixture).await), (1, vec![b]));
    assert_eq!(woken, [jobs[2]], "the slot that it was woken for is free");
}

/// Extends the current pause beyond the test: it ends an hour after the latest of the other pauses.
async fn extend_pause(fixture: &Fixture) {
    let sql = "UPDATE gates SET state = jsonb_set(state, '{shut,until}',
                   (SELECT to_jsonb(max((state #>> '{shut,until}')::timestamptz) + interval '1 hour') FROM gates))
               WHERE (state #>> '{shut,until}')::timestamptz < clock_timestamp() + interval '1 minute'";
    fixture.sql(sql).await;
}

async fn is_shut(fixture: &Fixture, proxy: ProxyId) -> bool {
    let key = GateKey::Proxy(proxy);
    let found = gates::look(&mut fixture.store.connection().await.unwrap(), from_ref(&key)).await.unwrap();
    found.gates[&key].why_shut(found.at.unwrap()).is_some()
}

async fn change(fixture: &Fixture, id: ProxyId, changes: ProxyChanges) {
    fixture.catalogue.proxy_update(ProxyUpdate { id, version: None, changes }).await.unwrap();
}

#[tokio::test]
async fn a_successful_check_wakes_waiters_and_leaves_an_open_gate_unchanged() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let a = proxy(&fixture, "a", LimitsPatch::default()).await;
    drop(cool_down(&fixture.store, a).await.unwrap());
    extend_pause(&fixture).await;
    let jobs = fixture.submit(vec![request(&fixture, None, Some(a))]).await;
    assert!(fixture.claim_all(worker, &jobs).await.0.is_empty());
    // Without a wake time no duty looks at the gate.
    fixture.sql("UPDATE gates SET wake_at = NULL").await;
    assert_eq!(fixture.wake_due().await, []);

    let check = async || {
        let up = CheckResult::Up { latency_ms: 1, exit_address: None };
        fixture.catalogue.proxy_record_check(a, 1, up).await.unwrap();
    };
    check().await;
    assert_eq!(fixture.wake_due().await, jobs);
    assert_eq!(fixture.claim_all(worker, &jobs).await.0.len(), 1);

    let written = "SELECT xmin::text || state FROM gates";
    let before: String = fixture.value(written).await;
    check().await;
    assert_eq!(fixture.value::<String>(written).await, before);
}

#[tokio::test]
async fn a_proxy_that_cools_down_is_avoided_and_its_waiters_move_if_they_can() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (a, b) = (
        proxy(&fixture, "a", limits(Some(1), &[])).await,
        proxy(&fixture, "b", LimitsPatch::default()).await,
    );
    let flexible = profile(&fixture, "p", &[a, b], ProxySelection::FirstHealthy).await;
    let bound = profile(&fixture, "q", &[a], ProxySelection::FirstHealthy).await;
    let jobs = fixture
        .submit(vec![
            request(&fixture, None, Some(a)),
            request(&fixture, Some(flexible), None),
            request(&fixture, Some(bound), None),
        ])
        .await;
    let (first, _woken) = fixture.claim_all(worker, &jobs[..1]).await;
    assert!(fixture.claim_all(worker, &jobs[1..]).await.0.is_empty(), "both wait for the one slot");
    let Done { after, .. } = cool_down(&fixture.store, a).await.unwrap();
    extend_pause(&fixture).await;
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), jobs[1..]);
    let (granted, _woken) = fixture.claim_all(worker, &jobs[1..]).await;
    assert_eq!((granted.len(), proxies_in_use(&fixture).await), (1, vec![a, b]));
    let obstacle = explain(&fixture.store, &jobs).await.unwrap().remove(&jobs[2]).unwrap();
    let Done { value: until, after } = cool_down(&fixture.store, a).await.unwrap();
    assert_eq!(after.ready, [], "a running cool-down wakes no job");
    let refusing = Block::RetryAfter { until: until.unwrap() };
    assert_eq!((obstacle.at.key, obstacle.block), (GateKey::Proxy(a), refusing));

    fixture.settle_all(&granted).await;
    drop(cool_down(&fixture.store, b).await.unwrap());
    extend_pause(&fixture).await;
    let late = fixture.submit(vec![request(&fixture, Some(flexible), None)]).await;
    assert!(fixture.claim_all(worker, &late).await.0.is_empty());
    let obstacle = explain(&fixture.store, &late).await.unwrap().remove(&late[0]).unwrap();
    assert_eq!(obstacle.at.key, GateKey::Proxy(a), "the proxy that can be used first");

    change(&fixture, a, ProxyChanges { name: Patch::Set("z".into()), ..ProxyChanges::default() }).await;
    assert!(is_shut(&fixture, a).await, "renaming does not change the exit");
    let down = CheckResult::Down { failure: "refused".into() };
    fixture.catalogue.proxy_record_check(a, 2, down).await.unwrap();
    assert!(is_shut(&fixture, a).await, "a failed check does not open the gate");
    let moved = Patch::Set("127.0.0.1:1081".into());
    change(&fixture, a, ProxyChanges { address: moved, ..ProxyChanges::default() }).await;
    assert!(!is_shut(&fixture, a).await, "another address is another exit");
    let up = CheckResult::Up { latency_ms: 1, exit_address: None };
    fixture.catalogue.proxy_record_check(b, 1, up).await.unwrap();
    assert!(!is_shut(&fixture, b).await, "a successful check opens the gate");
    assert_eq!(fixture.settle_all(&first).await, [jobs[2]]);
    assert_eq!(fixture.claim_all(worker, &jobs[2..]).await.0.len(), 1);
    assert_eq!(proxies_in_use(&fixture).await, [a]);
}
