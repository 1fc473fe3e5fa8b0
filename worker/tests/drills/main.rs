//! Drills: measure the numbers of docs/reliability.md on the whole system.
//!
//! Each takes minutes. `script/drill` runs them, alone, because a busy machine would distort the
//! times.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test binary in several files: a panic is how a test fails"
)]

mod browsers;
mod cancel;
#[path = "../chaos/dice.rs"]
#[expect(dead_code, reason = "shared with tests/chaos, which uses all of it")]
mod dice;
mod failover;
mod fair;
mod kill;
#[path = "../life/ledger.rs"]
#[expect(dead_code, reason = "shared with tests/life, which uses all of it")]
mod ledger;
#[path = "../life/primary.rs"]
mod primary;
mod rates;
mod redis;
mod stop;
#[path = "../life/system.rs"]
#[expect(dead_code, reason = "shared with tests/life, which uses all of it")]
mod system;

use std::{fmt, time::Duration};

use callboard::clock;

/// Durations in milliseconds, sorted.
struct Times(Vec<f64>);

impl Times {
    fn new(mut milliseconds: Vec<f64>) -> Self {
        assert!(!milliseconds.is_empty(), "nothing was measured");
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// The smallest value that at least `percent` % of the values do not exceed.
    fn percentile(&self, percent: usize) -> f64 {
        self.0[(self.0.len() * percent).div_ceil(100).max(1) - 1]
    }

    #[track_caller]
    fn assert_p99(&self, limit: Duration) {
        assert!(self.percentile(99) <= limit.as_secs_f64() * 1000.0, "{self}");
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99, max) = (self.percentile(50), self.percentile(99), self.percentile(100));
        write!(f, "{} measured: p50 {p50:.0} ms, p99 {p99:.0} ms, at most {max:.0} ms", self.0.len())
    }
}

/// Milliseconds since 1970, like `date +%s%3N`.
fn now() -> f64 {
    clock::now().timestamp_micros() as f64 / 1000.0
}
