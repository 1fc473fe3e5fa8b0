//! Limits: what stands in a ready job's way, and what clears it.

pub mod cool_down;
pub(crate) mod demands;
pub mod explain;
pub mod observe;
pub mod queue_limit;
pub mod wake;
