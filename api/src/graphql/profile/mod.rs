//! Profiles: browser identities with their secrets, services and proxies.

mod inputs;
mod mutation;
mod object;
mod query;

pub use inputs::{ProfileCreateInput, ProfileDeleteInput, ProfileUpdateInput};
pub use mutation::{ProfileMutation, ProfilePayload};
pub use object::{Profile, ProfileConnection, ProfileEdge, ProxySelection};
pub use query::ProfileQuery;
