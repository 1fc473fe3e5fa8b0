//! The owners for which secrets are sealed and opened. Pure.
//!
//! A ciphertext that is moved to another row, or to another column of its row, does not open.

use std::fmt;

use crate::ids::{JobId, ProfileId, ProxyId, ScheduleId, ServiceId};

/// What a sealed secret belongs to: a column of one row. Its text is part of what is sealed, so it
/// never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// A secret of a profile, by its name.
    ProfileSecret(ProfileId, &'a str),
    /// The token of a service.
    ServiceToken(ServiceId),
    /// The user name for a proxy.
    ProxyUsername(ProxyId),
    /// The password for a proxy.
    ProxyPassword(ProxyId),
    /// The secret parts of the input that a schedule stores.
    ScheduleInput(ScheduleId),
    /// The secret parts of a job's input.
    JobInput(JobId),
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProfileSecret(profile, name) => write!(f, "profile_secret:{profile}:{name}"),
            Self::ServiceToken(service) => write!(f, "service_token:{service}"),
            Self::ProxyUsername(proxy) => write!(f, "proxy_username:{proxy}"),
            Self::ProxyPassword(proxy) => write!(f, "proxy_password:{proxy}"),
            Self::ScheduleInput(schedule) => write!(f, "schedule_input:{schedule}"),
            Self::JobInput(job) => write!(f, "job_input:{job}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_texts_of_owners_never_change() {
        let id = Uuid::from_u128(7);
        for (owner, text) in [
            (Owner::ProfileSecret(id.into(), "pin"), "profile_secret:profile_00000000000000000000000007:pin"),
            (Owner::ServiceToken(id.into()), "service_token:service_00000000000000000000000007"),
            (Owner::ProxyUsername(id.into()), "proxy_username:proxy_00000000000000000000000007"),
            (Owner::ProxyPassword(id.into()), "proxy_password:proxy_00000000000000000000000007"),
            (Owner::ScheduleInput(id.into()), "schedule_input:schedule_00000000000000000000000007"),
            (Owner::JobInput(id.into()), "job_input:job_00000000000000000000000007"),
        ] {
            assert_eq!(owner.to_string(), text);
        }
    }
}
