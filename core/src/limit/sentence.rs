//! Explains which gate blocks a job, and until when. Pure.

use super::{GateKey, gate::Block};
use crate::clock::written;

/// Names the gate's owner, what is reached, and when it ends. An empty `name` is left out. `by` is
/// the job that holds the gate of a profile.
pub fn explain(key: &GateKey, name: &str, block: &Block, by: Option<&str>) -> String {
    let owner =
        if name.is_empty() { format!("job's {}", noun(key)) } else { format!("{} {name}", noun(key)) };
    match (block, key) {
        (Block::Rate { limit, until }, _) => {
            format!("The rate limit {limit} of the {owner} is reached until {}.", written(*until))
        }
        (Block::Capped { most, per, until }, _) => {
            let per = per.as_str();
            format!(
                "The {owner} has reached its cap of {most} a {per}. The next {per} begins at {}.",
                written(*until)
            )
        }
        (Block::QuotaExhausted { limit, until }, _) => {
            format!("The {owner} reports that its quota {limit} is exhausted until {}.", written(*until))
        }
        (Block::RetryAfter { until }, GateKey::Proxy(_)) => {
            format!("The {owner} could not be reached and cools down until {}.", written(*until))
        }
        (Block::RetryAfter { until }, _) => {
            format!("The {owner} allows no requests until {}.", written(*until))
        }
        (Block::Suspended { reason }, _) => format!("The {owner} is suspended: {reason}"),
        (Block::NoSlots { .. }, GateKey::Profile(_)) => match by {
            Some(by) => format!("The {owner} is in use by {by}."),
            None => format!("The {owner} is in use by another job."),
        },
        (Block::NoSlots { max: 1 }, _) => {
            format!("The concurrency limit of the {owner} is reached: 1 job is running.")
        }
        (Block::NoSlots { max }, _) => {
            format!("The concurrency limit of the {owner} is reached: {max} jobs are running.")
        }
        (Block::BehindWaiters, _) => format!("Earlier jobs are waiting for the {owner}."),
    }
}

/// What kind of object a gate belongs to.
pub(crate) const fn noun(key: &GateKey) -> &'static str {
    match key {
        GateKey::Queue(_) => "queue",
        GateKey::Command(_) => "command",
        GateKey::Service(_) => "service",
        GateKey::Proxy(_) => "proxy",
        GateKey::Profile(_) => "profile",
    }
}
