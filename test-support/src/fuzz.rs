//! Fuzzing on stable Rust: values of a strategy, from a seed, for a while.
//!
//! In an ordinary test run a target runs for two seconds, always with the same values. In CI
//! `CALLBOARD_FUZZ_SECONDS=60` gives it a minute, and `CALLBOARD_FUZZ_SEED` other values.

use std::time::{Duration, Instant};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// How long a target runs if nothing else is asked for.
const SECONDS: u64 = 2;
/// The fewest values, on a machine that is busy with other things.
const VALUES_MIN: u64 = 200;

/// Values of a strategy until the time is over. If the test panics, the last one is printed, and
/// how to get it again.
pub fn fuzz<S: Strategy>(strategy: S) -> Fuzz<S> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("CALLBOARD_FUZZ_SEED").unwrap_or(24);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    Fuzz {
        strategy,
        runner: TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)),
        until: Instant::now() + Duration::from_secs(number("CALLBOARD_FUZZ_SECONDS").unwrap_or(SECONDS)),
        seed,
        count: 0,
        last: None,
    }
}

/// The values of [`fuzz`].
#[derive(Debug)]
pub struct Fuzz<S: Strategy> {
    strategy: S,
    runner: TestRunner,
    until: Instant,
    seed: u64,
    count: u64,
    last: Option<S::Tree>,
}

impl<S: Strategy> Iterator for Fuzz<S> {
    type Item = S::Value;

    fn next(&mut self) -> Option<S::Value> {
        if self.count >= VALUES_MIN && Instant::now() >= self.until {
            return None;
        }
        self.count += 1;
        let tree = self.strategy.new_tree(&mut self.runner).ok()?;
        let value = tree.current();
        self.last = Some(tree);
        Some(value)
    }
}

impl<S: Strategy> Drop for Fuzz<S> {
    #[expect(clippy::print_stdout, reason = "test runners show what a failed test has printed")]
    fn drop(&mut self) {
        if let Some(last) = self.last.as_ref().filter(|_| std::thread::panicking()) {
            let (count, seed) = (self.count, self.seed);
            println!("value {count} of CALLBOARD_FUZZ_SEED={seed}:\n{:?}", last.current());
        }
    }
}
