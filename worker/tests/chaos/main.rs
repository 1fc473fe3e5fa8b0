//! Chaos: runs the whole system under a seeded storm of faults, and audits the result.
//!
//! The audit compares the database with what the children wrote. There is one test, which is short
//! in `script/test`. `script/chaos` sets `CALLBOARD_CHAOS_SECONDS`, `CALLBOARD_CHAOS_SEED` and
//! `CALLBOARD_CHAOS_REPORT`.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test binary in several files: a panic is how a test fails"
)]

mod audit;
mod dice;
mod faults;
mod forger;
mod history;
mod ledger;
mod load;
mod report;
#[path = "../life/system.rs"]
#[expect(dead_code, reason = "shared with tests/life, which uses all of it")]
mod system;
mod weather;

use std::time::{Duration, Instant};

use callboard_test_support::{private_postgres, private_redis};

use dice::Dice;
use faults::Storm;
use load::Load;
use report::Report;
use system::{Settings, System};
use weather::Weather;

/// Length of a storm without `CALLBOARD_CHAOS_SECONDS`.
const SHORT: Duration = Duration::from_secs(25);
const SHORT_SEED: u64 = 20_261_123;
/// Percentage of jobs in a browser without `CALLBOARD_CHAOS_BROWSERS`.
const BROWSERS: u64 = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_run_twice_or_left_in_a_storm() {
    let seed = number("CALLBOARD_CHAOS_SEED").unwrap_or(SHORT_SEED);
    let lasts = number("CALLBOARD_CHAOS_SECONDS").map_or(SHORT, Duration::from_secs);
    let weather = Weather::from_environment();
    let (postgres, redis) = tokio::join!(private_postgres(), private_redis());
    let mut settings = Settings::new(postgres.url(), redis.url());
    if let Ok(mutant) = std::env::var("CALLBOARD_MUTANT") {
        settings.set("CALLBOARD_MUTANT", &mutant);
    }
    let system = System::with(settings, redis.clone(), None, 0).await;
    let mut load =
        Load::prepare(&system, Dice::new(seed), number("CALLBOARD_CHAOS_BROWSERS").unwrap_or(BROWSERS)).await;
    let mut storm = Storm::new(weather, system, postgres.clone(), redis, Dice::new(seed ^ 0x5707));
    storm.fill_up();
    let busy_loops = weather.busy_loops();

    let began = Instant::now();
    while began.elapsed() < lasts {
        load.go_on(&storm.system);
        storm.blow().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    storm.calm_down().await;
    drop(busy_loops);
    let system = &mut storm.system;
    system.until_ready().await;
    load.settle_up(system).await;
    let stuck = load.until_all_have_ended(system).await;
    let violations = audit::audit(system, postgres.url(), &load, &storm.shaken, stuck).await;
    let losses = audit::losses(postgres.url()).await;
    let report = Report::new(weather, seed, began.elapsed(), &storm.faults, &load, losses, violations);
    println!("{report}");
    report.write();
    if !report.violations.is_empty() {
        system.keep_log(seed);
    }
    assert!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
}
