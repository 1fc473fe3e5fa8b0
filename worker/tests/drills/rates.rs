//! Rates, by the start times in the database: never more than a bucket allows, and hardly less.

use std::time::Duration;

use callboard::clock::Time;
use callboard_test_support::{Database, eventually, private_redis};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::system::{PATIENCE, Settings, System};

const WORKERS: usize = 4;
/// How long each rate is measured, and the time before that, in which nine thousand jobs are
/// parked.
const MEASURED: Duration = Duration::from_mins(1);
const SETTLES: Duration = Duration::from_secs(10);
/// Tolerance for rounding: of a time in the database, and of a bucket by a microsecond per token.
const ROUNDING: f64 = 0.001;
/// The share of the allowed rate that must be used.
const USED_MIN: f64 = 0.99;

/// A service, and how often its jobs may start.
struct Rate {
    name: &'static str,
    per_second: u32,
    burst: u32,
}

const RATES: [Rate; 6] = [
    Rate { name: "hundred", per_second: 100, burst: 1 },
    Rate { name: "ten", per_second: 10, burst: 1 },
    Rate { name: "one", per_second: 1, burst: 1 },
    Rate { name: "wide", per_second: 20, burst: 20 },
    Rate { name: "middle", per_second: 15, burst: 5 },
    Rate { name: "narrow", per_second: 12, burst: 1 },
];
/// The services of each kind of job: one, or three at once, of which the narrowest counts.
const KINDS: [&[usize]; 4] = [&[0], &[1], &[2], &[3, 4, 5]];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and a half: script/drill rates"]
async fn rates() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let url = database.url().to_owned();
    let settings = Settings::new(database.url(), redis.url());
    let mut system = System::with(settings, redis, Some(database), 0).await;
    for _ in 0..WORKERS {
        system.add_worker(8).await;
    }
    let mut services = Vec::new();
    for Rate { name, per_second, burst } in RATES {
        let limits = json!([{ "limit": per_second, "per": "PT1S", "burst": burst }]);
        let service = json!({ "name": name, "rateLimits": limits });
        services.push(system.make("serviceCreate", "service", service).await);
    }
    let command = system.shell("nothing", "exit 0", json!({})).await;
    for kind in KINDS {
        let all: Vec<&String> = kind.iter().map(|&index| &services[index]).collect();
        let rate = kind.iter().map(|&index| RATES[index].per_second).min().unwrap();
        let seconds = (MEASURED + SETTLES * 3).as_secs() as usize;
        let requests: Vec<Value> =
            vec![json!({ "commandId": command, "serviceIds": all }); rate as usize * seconds];
        for requests in requests.chunks(1000) {
            system.enqueue_all(requests.to_vec()).await;
        }
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut starts = Vec::new();
    for kind in KINDS {
        let (service, enough) = (services[kind[0]].clone(), MEASURED + SETTLES * 2);
        let times = eventually(PATIENCE + enough, || {
            let (url, service) = (url.clone(), service.clone());
            async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                let times = starts_of(&url, &service).await;
                let lasted = *times.last()? - *times.first()?;
                (lasted.to_std().unwrap() >= enough).then_some(times)
            }
        })
        .await;
        starts.push(times);
    }
    for (kind, times) in KINDS.iter().zip(&starts) {
        for &index in *kind {
            check(&RATES[index], times);
        }
        let narrowest = kind.iter().map(|&index| &RATES[index]).min_by_key(|rate| rate.per_second).unwrap();
        report(narrowest, kind.len(), times);
    }
    let throttled: i64 = sqlx::query_scalar("SELECT count(*) FROM attempts WHERE outcome <> 'succeeded'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(throttled, 0, "some attempts did not succeed");
}

/// The start times of attempts with this service, in order.
async fn starts_of(url: &str, service: &str) -> Vec<Time> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let service: callboard::ids::ServiceId = service.parse().unwrap();
    sqlx::query_scalar(
        "SELECT started_at FROM attempts JOIN jobs ON jobs.id = job_id WHERE service_ids[1] = $1 ORDER BY started_at",
    )
    .bind(service.uuid())
    .fetch_all(&mut connection)
    .await
    .unwrap()
}

/// In no period more starts than the bucket holds and refills meanwhile.
fn check(rate: &Rate, times: &[Time]) {
    let begin = times[0];
    let mut least = f64::INFINITY;
    for (number, at) in times.iter().enumerate() {
        let elapsed = (*at - begin).num_microseconds().unwrap() as f64 / 1_000_000.0;
        let ahead = number as f64 - elapsed * f64::from(rate.per_second);
        least = least.min(ahead);
        let most = f64::from(rate.burst) + ROUNDING;
        assert!(ahead - least + 1.0 <= most, "{}: start {number} at {at} is too early", rate.name);
    }
}

/// Prints how much of the rate was used while it was measured.
fn report(rate: &Rate, buckets: usize, times: &[Time]) {
    let (from, until) = (times[0] + SETTLES, times[0] + SETTLES + MEASURED);
    let within: Vec<Time> = times.iter().copied().filter(|at| (from..until).contains(at)).collect();
    let allowed = f64::from(rate.per_second) * MEASURED.as_secs_f64();
    let used = within.len() as f64 / allowed;
    let gaps = within.windows(2).map(|pair| (pair[1] - pair[0]).num_microseconds().unwrap());
    let (shortest, longest) = gaps.fold((i64::MAX, 0), |(low, high), gap| (low.min(gap), high.max(gap)));
    println!(
        "{} a second, {buckets} bucket(s): {:.2} % used; from start to start {:.3} to {:.3} ms",
        rate.per_second,
        used * 100.0,
        shortest as f64 / 1000.0,
        longest as f64 / 1000.0
    );
    assert!(used >= USED_MIN, "{}: {used}", rate.name);
}
