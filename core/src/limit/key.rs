//! The names of gates: what jobs take turns at.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::ids::{CommandId, ProfileId, ProxyId, ServiceId};

/// What a limit belongs to. Jobs that go through the same gate share its limits, whatever runs them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GateKey {
    /// All jobs of a queue.
    Queue(String),
    /// All jobs of a command, in whatever version.
    Command(CommandId),
    /// All jobs that use a service.
    Service(ServiceId),
    /// All jobs that go through a proxy, their own or their profile's choice.
    Proxy(ProxyId),
    /// All jobs on a profile: one at a time.
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

/// The text is not the name of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a gate")]
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
