//! Limits decide which ready jobs may start, and wake parked jobs when there is room for them.
//!
//! A gate is one limited resource (a queue, command, service, proxy or profile) with its buckets,
//! slots and caps. A job starts only if all of its gates let it pass at one moment. `demands` lists
//! the gates of a job, and `run::claim` decides. A job that may not start is parked at the gate
//! that blocks it. The jobs parked at a gate are its waiters.
//!
//! `wake` gives waiters another chance when their gate has room. `observe` closes and opens the
//! gates of services by what the services say, `cool_down` closes the gate of a proxy that cannot
//! be reached, and `queue_limit` sets the limit of a queue. `explain` says what blocks a job.

pub mod cool_down;
pub(crate) mod demands;
pub mod explain;
pub mod observe;
pub mod queue_limit;
pub mod wake;
