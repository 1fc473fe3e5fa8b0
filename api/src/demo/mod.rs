//! Things to try the system on, in development only: a small site to log in to, a rate-limited JSON service, and a
//! forward proxy. Mounted by `serve` when the environment says development; never in production.

pub mod proxy;
mod quote;
pub mod site;
