//! Lanes: which jobs share a priority of a queue fairly (docs/adr/0013). Pure.

use crate::ids::ProfileId;

/// A new or idle lane begins this many rounds early, so that its first jobs run before those of
/// busy lanes.
pub const HEAD_START: i64 = 16;

/// The fairness unit: a queue, a priority, and a fairness key or profile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) key: String,
}

impl Lane {
    /// The lane of a job: its fairness key's, or else its profile's. Jobs with neither share one.
    pub fn of(queue: &str, priority: i16, fairness_key: Option<&str>, profile: Option<ProfileId>) -> Self {
        let key = match (fairness_key, profile) {
            (Some(key), _) => format!("key:{key}"),
            (None, Some(profile)) => format!("profile:{}", profile.uuid()),
            (None, None) => String::new(),
        };
        Self { queue: queue.to_owned(), priority, key }
    }
}
