//! Whom a sealed value belongs to: the names under which secrets are sealed and opened. Pure.
//!
//! The verbs seal under them and the worker opens under them. A ciphertext that is moved to another row, or
//! to another column of its row, does not open.

use crate::ids::{JobId, ProfileId, ProxyId, ScheduleId, ServiceId};

/// Owner of a profile's secret.
pub fn profile_secret_owner(profile: ProfileId, name: &str) -> String {
    format!("profile_secret:{profile}:{name}")
}

/// Owner of a service's token.
pub fn service_token_owner(service: ServiceId) -> String {
    format!("service_token:{service}")
}

/// Owner of a proxy's user name.
pub fn proxy_username_owner(proxy: ProxyId) -> String {
    format!("proxy_username:{proxy}")
}

/// Owner of a proxy's password.
pub fn proxy_password_owner(proxy: ProxyId) -> String {
    format!("proxy_password:{proxy}")
}

/// What the sealed input of a schedule is bound to.
pub fn sealed_input_owner(schedule: ScheduleId) -> String {
    format!("schedule_input:{schedule}")
}

/// What the sealed input of a job is bound to.
pub fn input_purpose(job: JobId) -> String {
    format!("job_input:{job}")
}
