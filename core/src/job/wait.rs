//! Histogram of how long jobs were ready before they started, with four buckets per doubling. Pure.
//!
//! `store::jobs::live` stores each wait as a code, `floor(4 * log2(1 + milliseconds))`. Quantiles
//! of counted codes are within 10% of the exact value.

use std::time::Duration;

/// Codes per doubling.
const CODES_PER_DOUBLING: f64 = 4.0;

/// The number of waits for each code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits(Vec<(i16, i64)>);

impl Waits {
    /// From codes and counts in any order. A code may occur more than once.
    pub fn of(counts: impl IntoIterator<Item = (i16, i64)>) -> Self {
        let mut counts: Vec<(i16, i64)> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        counts.sort_unstable();
        Self(counts)
    }

    /// Returns the wait that this share of all waits (0 to 1) did not exceed. `None` without waits.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total: i64 = self.0.iter().map(|(_, count)| count).sum();
        let wanted = share * total as f64;
        let mut seen = 0;
        let reaches = |(_, count): &&(i16, i64)| {
            seen += count;
            seen as f64 >= wanted
        };
        self.0.iter().find(reaches).map(|(code, _)| middle(*code))
    }
}

/// The middle of a code's range, in whole milliseconds.
fn middle(code: i16) -> Duration {
    let millis = ((f64::from(code) + 0.5) / CODES_PER_DOUBLING).exp2() - 1.0;
    Duration::from_millis(millis.round().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(millis: u64) -> i16 {
        (CODES_PER_DOUBLING * (1.0 + millis as f64).log2()).floor() as i16
    }

    #[test]
    fn quantiles_are_within_a_tenth_of_the_exact_value() {
        for factor in [1, 7, 900, 60_000] {
            let waits: Vec<u64> = (10..=1000).map(|wait| wait * factor).collect();
            let histogram = Waits::of(waits.iter().map(|wait| (code(*wait), 1)));
            for share in [0.01, 0.5, 0.95, 1.0] {
                let exact = waits[((waits.len() - 1) as f64 * share) as usize] as f64;
                let told = histogram.quantile(share).unwrap().as_millis() as f64;
                assert!((told - exact).abs() <= exact * 0.1 + 1.0, "{share} of {factor}: {told} for {exact}");
            }
        }
        assert_eq!(Waits::default().quantile(0.5), None);
        assert_eq!(Waits::of([(0, 5)]).quantile(0.95), Some(Duration::ZERO), "less than a millisecond");
    }
}
