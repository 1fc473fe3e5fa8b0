//! Services: external APIs that jobs call, with their tokens, settings and limits.

mod inputs;
mod mutation;
mod object;
mod query;

pub use inputs::{
    ServiceCreateInput, ServiceDeleteInput, ServiceResumeInput, ServiceTokenRefreshInput, ServiceUpdateInput,
};
pub use mutation::{ServiceMutation, ServicePayload};
pub use object::{Service, ServiceConnection, ServiceEdge};
pub use query::ServiceQuery;
