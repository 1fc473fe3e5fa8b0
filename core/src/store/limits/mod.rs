//! Tables of limits: gates, the limits that the catalogue declares for them, and usage.

pub mod declared;
pub mod gates;
pub mod usage;
mod waiters;
