//! Lanes: whose jobs share the turns of one priority of a queue (docs/adr/0013). Pure.

use crate::ids::ProfileId;

/// A lane that has been idle, or is new, begins so many rounds back: its first jobs go before those of lanes that are busy.
pub const HEAD_START: i64 = 16;

/// One who shares the jobs of one priority of a queue with others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    pub(crate) queue: String,
    pub(crate) priority: i16,
    pub(crate) key: String,
}

impl Lane {
    /// Of a job: that of its fairness key, or of its profile; jobs that have neither share one.
    pub fn of(queue: &str, priority: i16, fairness_key: Option<&str>, profile: Option<ProfileId>) -> Self {
        let key = match (fairness_key, profile) {
            (Some(key), _) => format!("key:{key}"),
            (None, Some(profile)) => format!("profile:{}", profile.uuid()),
            (None, None) => String::new(),
        };
        Self { queue: queue.to_owned(), priority, key }
    }
}
