//! A service, an outside API that jobs call. Pure. Its token is kept apart and encrypted.

use url::Url;

use crate::{clock::Time, ids::ServiceId, limit::Limits};

/// An outside API as the catalogue keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Unique among services. Templates use it (`services.<name>.token`).
    pub name: String,
    /// Its base URL. Responses from this host are read for limit headers.
    pub base_url: Option<Url>,
    /// A JSON object that commands may use (`services.<name>.settings.*`).
    pub settings: serde_json::Value,
    /// How many jobs may use it at once, and how often they may start.
    pub limits: Limits,
    /// Rises with every change, including a new token.
    pub version: i32,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}
