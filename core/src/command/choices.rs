//! What the jobs of a command may choose beside what the command names: profiles, proxies and
//! services (docs/adr/0020).
//!
//! Binds callers who are no admins. An admin may change the command, so may choose anything.

use serde::{Deserialize, Serialize};

use crate::ids::{ProfileId, ProxyId, ServiceId};

/// What jobs may choose, by kind. `None` is the default rule of the kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Choices {
    /// By default the command's own profile, and any if it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profiles: Option<Choice<ProfileId>>,
    /// By default the command's own proxy, and any if it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Choice<ProxyId>>,
    /// By default the command's own services. If it names none: those of the job's profile, and
    /// those without a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Choice<ServiceId>>,
}

impl Choices {
    /// Whether every kind has its default rule.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What jobs may choose of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice<Id> {
    /// Anything.
    Any,
    /// What the command names, and these.
    Listed(Vec<Id>),
}

impl<Id: PartialEq> Choice<Id> {
    /// Whether a job may choose this one. `own` is what the command names, and `is_open` whether
    /// the default rule lets jobs choose it if that is nothing.
    pub fn allows(choice: Option<&Self>, own: &[Id], chosen: &Id, is_open: bool) -> bool {
        own.contains(chosen)
            || match choice {
                Some(Self::Any) => true,
                Some(Self::Listed(listed)) => listed.contains(chosen),
                None => own.is_empty() && is_open,
            }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_may_choose_what_its_command_names_and_what_is_open() {
        let listed = Choice::Listed(vec![7]);
        for (choice, own, chosen, is_open, may) in [
            (None, &[1, 2][..], 2, true, true),
            (None, &[1], 2, true, false),
            (None, &[], 2, true, true),
            (None, &[], 2, false, false),
            (Some(&Choice::Any), &[1], 2, false, true),
            (Some(&listed), &[1], 1, false, true),
            (Some(&listed), &[1], 7, false, true),
            (Some(&listed), &[], 2, true, false),
        ] {
            assert_eq!(Choice::allows(choice, own, &chosen, is_open), may, "{choice:?} {own:?} {chosen}");
        }
    }

    #[test]
    fn the_stored_form_leaves_out_defaults() {
        let choices = Choices {
            proxies: Some(Choice::Any),
            services: Some(Choice::Listed(vec![])),
            ..Choices::default()
        };
        let stored = serde_json::to_value(&choices).unwrap();
        assert_eq!(stored, json!({ "proxies": "any", "services": { "listed": [] } }));
        assert_eq!(serde_json::from_value::<Choices>(stored).unwrap(), choices);
    }
}
