//! Limits: gates, what the catalogue declares for them, and what has been used.

pub mod declared;
pub mod gates;
pub mod usage;
mod waiters;
