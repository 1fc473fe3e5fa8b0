//! Limits: what stands in a ready job's way, and what clears it.

pub mod bound;
pub mod call;
pub mod cool_down;
pub(crate) mod demands;
pub mod observe;
pub mod why;
