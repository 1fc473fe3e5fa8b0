//! A token bucket stored as a single time (the generic cell rate algorithm).

use serde::{Deserialize, Serialize};

use super::RateLimit;
use crate::clock::Time;

/// The moment, in nanoseconds since 1970, at which the bucket is full again if no more tokens are
/// taken. Time alone refills it, so nothing is counted and nothing drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket(i64);

impl Bucket {
    /// A bucket from which no token has been taken.
    pub const FULL: Self = Self(i64::MIN / 2);

    /// Returns when the next token can be taken: `now` or later.
    pub fn opens_at(self, limit: &RateLimit, now: Time) -> Time {
        let opens = self.0 - limit.interval() * (i64::from(limit.burst) - 1);
        if opens <= nanos(now) { now } else { time_at_or_after(opens) }
    }

    /// Takes a token at a time that [`Bucket::opens_at`] returned, or later.
    pub fn take(&mut self, limit: &RateLimit, at: Time) {
        self.0 = self.0.max(nanos(at)) + limit.interval();
    }

    /// How many tokens can be taken until `until`, each as early as possible.
    pub fn room(self, limit: &RateLimit, now: Time, until: Time) -> u32 {
        let (now, until) = (nanos(now), nanos(until.max(now)));
        let interval = limit.interval();
        // Token n, counted from 0, opens at `full + interval * (n + 1 - burst)`.
        let last = until + interval * (i64::from(limit.burst) - 1) - self.0.max(now);
        if last < 0 { 0 } else { u32::try_from(last / interval + 1).unwrap_or(u32::MAX) }
    }

    /// Returns when the bucket is full: `now` or later.
    pub fn full_at(self, now: Time) -> Time {
        if self.0 <= nanos(now) { now } else { time_at_or_after(self.0) }
    }

    /// How many tokens it holds at `now`.
    pub fn holds(self, limit: &RateLimit, now: Time) -> u32 {
        self.room(limit, now, now).min(limit.burst)
    }
}

/// Times in this program lie between 1970 and 2262.
fn nanos(time: Time) -> i64 {
    time.timestamp_nanos_opt().unwrap_or(i64::MAX / 2)
}

/// Rounds up to the database's microseconds, so that no start is early.
fn time_at_or_after(nanos: i64) -> Time {
    let micros = nanos.div_euclid(1000) + i64::from(nanos.rem_euclid(1000) != 0);
    Time::from_timestamp_micros(micros).unwrap_or(Time::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::tests::rate;
    use super::*;

    fn at(micros: i64) -> Time {
        Time::from_timestamp_micros(1_800_000_000_000_000 + micros).unwrap()
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_evenly() {
        let (limit, mut bucket) = (rate(10, "PT1S", 3), Bucket::FULL);
        let mut starts = Vec::new();
        for _ in 0..6 {
            let start = bucket.opens_at(&limit, at(0));
            bucket.take(&limit, start);
            starts.push((start - at(0)).num_milliseconds());
        }
        assert_eq!(starts, [0, 0, 0, 100, 200, 300]);
    }

    #[test]
    fn holds_tokens_and_has_room_for_more_later() {
        let (limit, mut bucket) = (rate(10, "PT1S", 3), Bucket::FULL);
        assert_eq!((bucket.holds(&limit, at(0)), bucket.room(&limit, at(0), at(250_000))), (3, 5));
        for _ in 0..3 {
            bucket.take(&limit, at(0));
        }
        assert_eq!((bucket.holds(&limit, at(0)), bucket.room(&limit, at(0), at(250_000))), (0, 2));
        assert_eq!(bucket.holds(&limit, at(99_999)), 0);
        assert_eq!(bucket.holds(&limit, at(100_000)), 1);
        assert_eq!(bucket.holds(&limit, at(900_000_000)), 3, "never more than the burst");
    }

    #[test]
    fn a_rate_that_does_not_divide_the_second_loses_a_microsecond_a_token_at_most() {
        let (limit, mut bucket) = (rate(7, "PT1S", 1), Bucket::FULL);
        for _ in 0..70_001 {
            let start = bucket.opens_at(&limit, at(0));
            bucket.take(&limit, start);
        }
        let late = bucket.0 - nanos(at(0)) - 10_000 * 1_000_000_000 - limit.interval();
        assert!((0..=70_001_000).contains(&late), "{late} ns late after 10,000 s");
    }

    proptest! {
        /// However callers ask, no span of time has more starts than the burst plus its refill.
        #[test]
        fn never_more_than_burst_and_refill(
            limit in 1u32..200, per_ms in 1u64..5000, burst in 1u32..20,
            pauses in prop::collection::vec(0i64..200_000, 1..200),
        ) {
            let per = crate::duration::IsoDuration(Duration::from_millis(per_ms));
            let limit = RateLimit { name: "x".into(), limit, per, burst };
            let (mut bucket, mut now, mut starts) = (Bucket::FULL, 0, Vec::new());
            for pause in pauses {
                now += pause;
                let start = bucket.opens_at(&limit, at(now));
                let room = bucket.room(&limit, at(now), start);
                prop_assert!(room >= 1, "an open bucket has room");
                bucket.take(&limit, start);
                starts.push(start);
            }
            for (first, from) in starts.iter().enumerate() {
                for (last, to) in starts.iter().enumerate().skip(first) {
                    let elapsed = (*to - *from).num_nanoseconds().unwrap();
                    let most = i64::from(burst) + elapsed / limit.interval();
                    prop_assert!((last - first + 1) as i64 <= most, "{} starts in {elapsed} ns", last - first + 1);
                }
            }
        }

        /// A caller that asks as soon as the bucket opens gets the full rate.
        #[test]
        fn nothing_is_lost_by_asking_in_time(limit in 1u32..1000, burst in 1u32..10) {
            let limit = rate(limit, "PT1S", burst);
            let mut bucket = Bucket::FULL;
            let mut start = at(0);
            for _ in 0..200 {
                start = bucket.opens_at(&limit, start);
                bucket.take(&limit, start);
            }
            let ideal = limit.interval() * (200 - i64::from(burst));
            let late = (start - at(0)).num_nanoseconds().unwrap() - ideal;
            prop_assert!((0..=200_000).contains(&late), "{late} ns late");
        }
    }
}
