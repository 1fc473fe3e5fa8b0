//! The owners for which secrets are sealed and opened. Pure.
//!
//! A ciphertext that is moved to another row, or to another column of its row, does not open.

use crate::ids::{JobId, ProfileId, ProxyId, ScheduleId, ServiceId};

/// The owner of a profile's secret.
pub fn profile_secret_owner(profile: ProfileId, name: &str) -> String {
    format!("profile_secret:{profile}:{name}")
}

/// The owner of a service's token.
pub fn service_token_owner(service: ServiceId) -> String {
    format!("service_token:{service}")
}

/// The owner of a proxy's user name.
pub fn proxy_username_owner(proxy: ProxyId) -> String {
    format!("proxy_username:{proxy}")
}

/// The owner of a proxy's password.
pub fn proxy_password_owner(proxy: ProxyId) -> String {
    format!("proxy_password:{proxy}")
}

/// The owner of a schedule's sealed input.
pub fn sealed_input_owner(schedule: ScheduleId) -> String {
    format!("schedule_input:{schedule}")
}

/// The owner of a job's sealed input.
pub fn input_purpose(job: JobId) -> String {
    format!("job_input:{job}")
}
