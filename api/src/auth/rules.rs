//! Which role each field needs, in one table.
//!
//! It is applied to an operation as a whole before anything of it runs (`operation::permission`),
//! and a test holds it against `schema.graphql`: no field of `Query`, `Mutation` and `Subscription`
//! without a rule, and no rule without a field. Fields of other types need what the field needs
//! that returned them, unless they have a rule of their own.

use std::{collections::HashMap, sync::LazyLock};

use super::Role;

/// What a field needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing, not even a key.
    Nothing,
    /// A key with at least this role.
    Role(Role),
}

const OPEN: Need = Need::Nothing;
const VIEWER: Need = Need::Role(Role::Viewer);
const OPERATOR: Need = Need::Role(Role::Operator);
const ADMIN: Need = Need::Role(Role::Admin);

/// Stands for every field of a type.
pub const EVERY_FIELD: &str = "*";

/// The rules: the type, what is needed, and the fields.
pub const RULES: &[(&str, Need, &[&str])] = &[
    ("Query", OPEN, &["viewer"]),
    ("Query", VIEWER, &["node", "nodes"]),
    ("Query", VIEWER, &["profile", "profiles", "service", "services", "proxy", "proxies"]),
    ("Query", VIEWER, &["command", "commands", "commandPreview"]),
    ("Query", VIEWER, &["schedule", "schedules", "cronPreview"]),
    ("Query", VIEWER, &["job", "jobs", "queues", "workers"]),
    ("Query", ADMIN, &["apiKeys", "auditEvents"]),
    ("Mutation", OPEN, &["sessionCreate", "sessionDelete"]),
    ("Mutation", OPERATOR, &["jobEnqueue", "jobsEnqueue", "jobEnqueueAgain", "scheduleRunNow"]),
    ("Mutation", OPERATOR, &["jobCancel", "jobsCancel", "jobRetry", "jobsRetry", "jobRunNow"]),
    // What has happened is removed.
    ("Mutation", ADMIN, &["jobDelete"]),
    ("Mutation", ADMIN, &["profileCreate", "profileUpdate", "profileDelete"]),
    ("Mutation", ADMIN, &["serviceCreate", "serviceUpdate", "serviceDelete"]),
    ("Mutation", ADMIN, &["serviceTokenRefresh", "serviceResume"]),
    ("Mutation", ADMIN, &["proxyCreate", "proxyImport", "proxyUpdate", "proxyDelete", "proxyCheck"]),
    ("Mutation", ADMIN, &["commandCreate", "commandUpdate", "commandDelete"]),
    ("Mutation", ADMIN, &["queueUpdate", "queuePause", "queueResume", "workerDrain"]),
    ("Mutation", ADMIN, &["scheduleCreate", "scheduleUpdate", "scheduleDelete"]),
    ("Mutation", ADMIN, &["apiKeyCreate", "apiKeyRevoke"]),
    ("Subscription", VIEWER, &["jobEvents", "jobLog", "jobsChanged", "queueStats", "workersChanged"]),
    // Also where it is reached by `node`.
    ("ApiKey", ADMIN, &[EVERY_FIELD]),
    ("AuditEvent", ADMIN, &[EVERY_FIELD]),
];

/// The names of all queries, mutations and subscriptions.
pub fn operations() -> impl Iterator<Item = &'static str> {
    let roots = RULES.iter().filter(|(on, ..)| ROOTS.contains(on));
    roots.flat_map(|(.., fields)| fields.iter().copied())
}

/// The types whose fields need more than what returned them.
pub fn types() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(on, ..)| *on).filter(|on| !ROOTS.contains(on))
}

/// The types whose fields are the operations.
pub const ROOTS: [&str; 3] = ["Query", "Mutation", "Subscription"];

/// The names by which the schema describes itself.
const INTROSPECTION: [&str; 2] = ["__schema", "__type"];

static NEEDS: LazyLock<HashMap<&str, HashMap<&str, Need>>> = LazyLock::new(|| {
    let mut needs: HashMap<&str, HashMap<&str, Need>> = HashMap::new();
    for (on, need, fields) in RULES {
        needs.entry(on).or_default().extend(fields.iter().map(|field| (*field, *need)));
    }
    needs
});

/// Whether a field shows the schema.
pub fn is_introspection(field: &str) -> bool {
    INTROSPECTION.contains(&field)
}

/// What a field needs. `None` if it needs no more than what returned it.
pub fn need(on: &str, field: &str) -> Option<Need> {
    if field == "__typename" {
        return None;
    }
    let of_type = NEEDS.get(on);
    let rule = of_type.and_then(|fields| fields.get(field).or_else(|| fields.get(EVERY_FIELD))).copied();
    match rule {
        None if is_introspection(field) => Some(VIEWER),
        // A root field without a rule: a test fails, and until it has one only an ADMIN may use it.
        None if ROOTS.contains(&on) => Some(ADMIN),
        rule => rule,
    }
}

/// Whether a caller with this role may load an object of this type by its id.
pub fn may_load(on: &str, role: Option<Role>) -> bool {
    match NEEDS.get(on).and_then(|fields| fields.get(EVERY_FIELD)) {
        None | Some(Need::Nothing) => true,
        Some(Need::Role(least)) => role.is_some_and(|role| role >= *least),
    }
}

/// The queries, mutations and subscriptions that a role may use, ordered by name.
pub fn allowed(role: Role) -> Vec<&'static str> {
    let may = |need: &Need| match need {
        Need::Nothing => true,
        Need::Role(least) => role >= *least,
    };
    let rules = RULES.iter().filter(|(on, need, _)| ROOTS.contains(on) && may(need));
    let mut names: Vec<&str> = rules.flat_map(|(.., fields)| fields.iter().copied()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_without_a_rule_is_kept_shut_at_the_roots_only() {
        for (on, field, expected) in [
            ("Query", "viewer", Some(OPEN)),
            ("Query", "jobs", Some(VIEWER)),
            ("Query", "apiKeys", Some(ADMIN)),
            ("Query", "__schema", Some(VIEWER)),
            ("Query", "__typename", None),
            ("Query", "somethingNew", Some(ADMIN)),
            ("Mutation", "jobCancel", Some(OPERATOR)),
            ("Subscription", "somethingNew", Some(ADMIN)),
            ("Job", "id", None),
            ("ApiKey", "name", Some(ADMIN)),
            ("ApiKey", "__typename", None),
        ] {
            assert_eq!(need(on, field), expected, "{on}.{field}");
        }
    }

    #[test]
    fn each_role_may_do_what_the_one_below_may() {
        let [viewer, operator, admin] = [Role::Viewer, Role::Operator, Role::Admin].map(allowed);
        assert!(viewer.contains(&"jobs") && !viewer.contains(&"jobCancel"));
        assert!(operator.contains(&"jobCancel") && !operator.contains(&"apiKeys"));
        assert!(admin.contains(&"apiKeys"));
        assert!(viewer.iter().all(|name| operator.contains(name)));
        assert!(operator.iter().all(|name| admin.contains(name)));
        assert!(may_load("Job", Some(Role::Viewer)) && !may_load("ApiKey", Some(Role::Operator)));
        assert!(may_load("ApiKey", Some(Role::Admin)) && !may_load("ApiKey", None));
    }
}
