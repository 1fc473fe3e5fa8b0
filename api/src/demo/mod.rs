//! Things to try Callboard on, in development only: a site to log in to, a rate-limited JSON
//! service, and a forward proxy.

pub mod proxy;
mod quote;
pub mod site;
