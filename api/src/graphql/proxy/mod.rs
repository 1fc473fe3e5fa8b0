//! Proxies, their credentials, and checks of whether they work.

mod check;
mod inputs;
mod mutation;
mod object;
mod query;

pub use check::ProxyProbe;
pub use inputs::{ProxyCheckInput, ProxyCreateInput, ProxyDeleteInput, ProxyImportInput, ProxyUpdateInput};
pub use mutation::{ProxyMutation, ProxyPayload};
pub use object::{HealthStatus, Proxy, ProxyConnection, ProxyEdge, ProxyHealth, ProxyProtocol};
pub use query::ProxyQuery;
