//! Finish: attempts end, and their jobs with them.

pub mod cancel;
pub mod report_alive;
pub mod rescue;
pub mod retry;
pub mod settle;
