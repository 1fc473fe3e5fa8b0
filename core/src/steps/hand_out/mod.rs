//! Hand out: jobs become ready, and their references go to Redis.

pub mod dispatch;
pub mod pause;
pub mod promote;
pub mod unblock;
