//! Finish: attempts end, and their jobs with them.

pub mod cancel;
pub mod own_up;
pub mod rescue;
pub mod retry;
pub mod settle;
