//! The keys of gates.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::ids::{CommandId, ProfileId, ProxyId, ServiceId};

/// What a limit belongs to. All jobs that pass one gate share its limits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GateKey {
    /// All jobs of a queue.
    Queue(String),
    /// All jobs of a command, in any version.
    Command(CommandId),
    /// All jobs that use a service.
    Service(ServiceId),
    /// All jobs that go through a proxy, chosen by the job or by its profile.
    Proxy(ProxyId),
    /// All jobs on a profile, which run one at a time.
    Profile(ProfileId),
}

impl fmt::Display for GateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => write!(f, "queue:{name}"),
            Self::Command(id) => write!(f, "command:{}", id.uuid()),
            Self::Service(id) => write!(f, "service:{}", id.uuid()),
            Self::Proxy(id) => write!(f, "proxy:{}", id.uuid()),
            Self::Profile(id) => write!(f, "profile:{}", id.uuid()),
        }
    }
}

/// The text is not a gate key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a gate key")]
pub struct BadGateKey;

impl FromStr for GateKey {
    type Err = BadGateKey;

    fn from_str(text: &str) -> Result<Self, BadGateKey> {
        let (kind, name) = text.split_once(':').ok_or(BadGateKey)?;
        let id = || name.parse::<Uuid>().map_err(|_| BadGateKey);
        Ok(match kind {
            "queue" => Self::Queue(name.to_owned()),
            "command" => Self::Command(id()?.into()),
            "service" => Self::Service(id()?.into()),
            "proxy" => Self::Proxy(id()?.into()),
            "profile" => Self::Profile(id()?.into()),
            _ => return Err(BadGateKey),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back() {
        let id = Uuid::from_u128(7);
        for key in [
            GateKey::Queue("a:b".into()),
            GateKey::Command(id.into()),
            GateKey::Service(id.into()),
            GateKey::Proxy(id.into()),
            GateKey::Profile(id.into()),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for bad in ["", "queue", "profile:x", "planet:00000000-0000-0000-0000-000000000007"] {
            assert_eq!(bad.parse::<GateKey>(), Err(BadGateKey), "{bad}");
        }
    }
}
