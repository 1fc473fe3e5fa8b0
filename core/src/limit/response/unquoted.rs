//! What a response says without the service's own words, for a job whose contents are kept back:
//! the gates of services are shown to everybody.

use super::{Closed, Observation, Observed};

/// Words of which the names of limits are commonly made.
const COMMON: [&str; 40] = [
    "all",
    "api",
    "app",
    "burst",
    "calls",
    "code",
    "core",
    "cost",
    "credits",
    "daily",
    "day",
    "default",
    "errors",
    "global",
    "graphql",
    "hour",
    "hourly",
    "images",
    "input",
    "key",
    "minute",
    "month",
    "monthly",
    "organization",
    "output",
    "per",
    "points",
    "project",
    "read",
    "reads",
    "request",
    "requests",
    "search",
    "second",
    "tokens",
    "unit",
    "usage",
    "user",
    "write",
    "writes",
];
/// The name of limits with another name.
const OTHER: &str = "other";

impl Observation {
    /// The same with this reason of a suspension, and without names of limits that services do not
    /// commonly give. Of limits that have one name then, the one with the least left remains.
    #[must_use]
    pub fn unquoted(self, reason: String) -> Self {
        let closed = match self.closed {
            Some(Closed::Suspended { .. }) => Some(Closed::Suspended { reason }),
            other @ (Some(Closed::Until(_) | Closed::AtLeast(_)) | None) => other,
        };
        let mut limits: Vec<Observed> = Vec::new();
        for mut limit in self.limits {
            if !is_common(&limit.name) {
                OTHER.clone_into(&mut limit.name);
            }
            let left = |limit: &Observed| limit.remaining.unwrap_or(i64::MAX);
            match limits.iter_mut().find(|known| known.name == limit.name) {
                Some(known) if left(&limit) < left(known) => *known = limit,
                Some(_) => {}
                None => limits.push(limit),
            }
        }
        Self { limits, closed }
    }
}

fn is_common(name: &str) -> bool {
    name.split(['-', '_', '.', ' ']).all(|word| COMMON.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_service_writes_is_kept() {
        let limit = |name: &str, remaining| Observed {
            name: name.into(),
            limit: Some(100),
            remaining: Some(remaining),
            resets_at: None,
        };
        let names =
            ["requests", "Bob Miller", "input-tokens", "bob@example.com", "requests-of-bob", "DE00 1234"];
        let limits = names.iter().zip([9, 8, 7, 3, 5, 6]).map(|(name, left)| limit(name, left)).collect();
        let closed = Some(Closed::Suspended { reason: "Bob owes you money.".into() });
        let unquoted = Observation { limits, closed }.unquoted("It returned 402.".into());
        assert_eq!(unquoted.limits, [limit("requests", 9), limit("other", 3), limit("input-tokens", 7)]);
        assert_eq!(unquoted.closed, Some(Closed::Suspended { reason: "It returned 402.".into() }));
        for closed in [None, Some(Closed::AtLeast(std::time::Duration::from_secs(1)))] {
            let plain = Observation { limits: vec![limit("default", 1)], closed };
            assert_eq!(plain.clone().unquoted("x".into()), plain);
        }
    }
}
