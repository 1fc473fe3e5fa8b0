//! What stands in a job's way, in one sentence for a person. Pure.

use super::{GateKey, gate::Block};
use crate::clock::written;

/// Names the gate and what is the matter with it. `name` is what people call the thing; `by` is a job that is behind the gate.
pub fn explain(key: &GateKey, name: &str, block: &Block, by: Option<&str>) -> String {
    let it = if name.is_empty() { format!("its {}", noun(key)) } else { format!("its {} {name}", noun(key)) };
    match (block, key) {
        (Block::Rate { limit, until }, _) => {
            format!("The limit {limit} of {it} has no room for it before {}.", written(*until))
        }
        (Block::Capped { most, per, until }, _) => {
            let per = per.as_str();
            let until = written(*until);
            format!("{} has used up its cap of {most} a {per}; the next {per} begins at {until}.", begin(&it))
        }
        (Block::QuotaExhausted { limit, until }, _) => {
            format!("{} says that its limit {limit} is used up until {}.", begin(&it), written(*until))
        }
        (Block::RetryAfter { until }, GateKey::Proxy(_)) => {
            format!("{} could not be reached, and is left alone until {}.", begin(&it), written(*until))
        }
        (Block::RetryAfter { until }, _) => {
            format!("{} asked for no more requests before {}.", begin(&it), written(*until))
        }
        (Block::Suspended { reason }, _) => format!("{} is suspended: {reason}", begin(&it)),
        (Block::NoSlots { .. }, GateKey::Profile(_)) => match by {
            Some(by) => format!("{} is in use by {by}.", begin(&it)),
            None => format!("{} is in use.", begin(&it)),
        },
        (Block::NoSlots { max: 1 }, _) => format!("A job of {it} runs already, and one may at a time."),
        (Block::NoSlots { max }, _) => format!("{max} jobs of {it} run already, as many as may."),
        (Block::BehindWaiters, _) => format!("Jobs that came before it wait for {it}."),
    }
}

/// What kind of thing a gate belongs to.
pub(crate) const fn noun(key: &GateKey) -> &'static str {
    match key {
        GateKey::Queue(_) => "queue",
        GateKey::Command(_) => "command",
        GateKey::Service(_) => "service",
        GateKey::Proxy(_) => "proxy",
        GateKey::Profile(_) => "profile",
    }
}

fn begin(it: &str) -> String {
    it.replacen("its", "Its", 1)
}
