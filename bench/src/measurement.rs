//! One measurement, which a subcommand prints as a line of JSON and `report` reads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// Its name, whose meaning `report` knows.
    pub(crate) name: String,
    /// Items per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    /// Median time of an item, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p50: Option<f64>,
    /// 99th percentile of the time of an item, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    /// Number of items.
    #[serde(default)]
    pub(crate) count: usize,
}

impl Measurement {
    /// Returns the rate of `count` items in `took`.
    pub(crate) fn rate(name: &str, count: usize, took: Duration) -> Self {
        let rate = Some(count as f64 / took.as_secs_f64());
        Self { name: name.to_owned(), rate, count, ..Self::default() }
    }

    /// Returns the percentiles of the times of single items.
    pub(crate) fn times(name: &str, times: Vec<Duration>) -> Self {
        Self { name: name.to_owned(), count: times.len(), ..Self::default() }.with_times(times)
    }

    /// Adds the percentiles of the times of single items.
    pub(crate) fn with_times(mut self, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len().max(1) - 1));
        self.p50 = at(0.50).map(|time| time.as_secs_f64() * 1000.0);
        self.p99 = at(0.99).map(|time| time.as_secs_f64() * 1000.0);
        self
    }

    /// Prints it as a line of JSON.
    #[expect(clippy::print_stdout, reason = "a bench prints")]
    pub(crate) fn print(&self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let measured = Measurement::times("x", times);
        assert_eq!((measured.p50, measured.p99), (Some(51.0), Some(100.0)));
        assert_eq!(Measurement::times("x", Vec::new()).p50, None);
    }
}
