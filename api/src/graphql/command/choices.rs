//! The GraphQL types for what the jobs of a command may choose.

use async_graphql::{Enum, ID, InputObject, MaybeUndefined, SimpleObject};
use callboard::{
    command::{self, Choices},
    patch::{ChoicesPatch, Patch},
    refusal::Refusal,
};
use uuid::Uuid;

use crate::graphql::inputs::ids_of;

/// What jobs may choose of one kind. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ChoiceRule {
    /// What the command names. If it names none: any profile, any proxy, and of services those of
    /// the job's profile and those without a token.
    Default,
    /// What the command names, and what is listed.
    Listed,
    /// Anything.
    Any,
}

/// What OPERATORs may choose for the jobs of a command. ADMINs, and schedules, may choose anything.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct CommandChoices {
    /// What `profileId` may be.
    pub profiles: Choice,
    /// What `proxyId` may be.
    pub proxies: Choice,
    /// What `serviceIds` may be.
    pub services: Choice,
}

/// What jobs may choose of one kind.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Choice {
    /// The rule.
    pub rule: ChoiceRule,
    /// With LISTED, what jobs may choose beside what the command names.
    pub ids: Vec<ID>,
}

/// Changes to what OPERATORs may choose for the jobs of a command. An absent kind keeps its rule,
/// which is the default rule for a new command. Null resets it to the default rule.
#[derive(Debug, Clone, Default, InputObject)]
pub struct CommandChoicesInput {
    /// What `profileId` may be.
    pub profiles: MaybeUndefined<ChoiceInput>,
    /// What `proxyId` may be.
    pub proxies: MaybeUndefined<ChoiceInput>,
    /// What `serviceIds` may be.
    pub services: MaybeUndefined<ChoiceInput>,
}

/// What jobs may choose of one kind. Replaces the kind's rule and ids.
#[derive(Debug, Clone, InputObject)]
pub struct ChoiceInput {
    /// The rule.
    pub rule: ChoiceRule,
    /// With LISTED, what jobs may choose beside what the command names, at most 100. Empty or
    /// absent: only what the command names. With another rule it must be absent or empty.
    pub ids: Option<Vec<ID>>,
}

impl From<&Choices> for CommandChoices {
    fn from(choices: &Choices) -> Self {
        Self {
            profiles: Choice::of(choices.profiles.as_ref()),
            proxies: Choice::of(choices.proxies.as_ref()),
            services: Choice::of(choices.services.as_ref()),
        }
    }
}

impl Choice {
    fn of<Id: ToString>(choice: Option<&command::Choice<Id>>) -> Self {
        match choice {
            None => Self { rule: ChoiceRule::Default, ids: Vec::new() },
            Some(command::Choice::Any) => Self { rule: ChoiceRule::Any, ids: Vec::new() },
            Some(command::Choice::Listed(ids)) => {
                Self { rule: ChoiceRule::Listed, ids: ids.iter().map(|id| ID(id.to_string())).collect() }
            }
        }
    }
}

impl CommandChoicesInput {
    /// Converts the input for the core, or returns what is malformed.
    pub fn read(self) -> Result<ChoicesPatch, Vec<Refusal>> {
        Ok(ChoicesPatch {
            profiles: read("profiles", self.profiles)?,
            proxies: read("proxies", self.proxies)?,
            services: read("services", self.services)?,
        })
    }
}

fn read<Id>(
    kind: &str,
    choice: MaybeUndefined<ChoiceInput>,
) -> Result<Patch<command::Choice<Id>>, Vec<Refusal>>
where
    Id: std::str::FromStr + From<Uuid>,
{
    let ChoiceInput { rule, ids } = match choice {
        MaybeUndefined::Undefined => return Ok(Patch::Leave),
        MaybeUndefined::Null => return Ok(Patch::Clear),
        MaybeUndefined::Value(choice) => choice,
    };
    let ids = ids.unwrap_or_default();
    if rule != ChoiceRule::Listed && !ids.is_empty() {
        let refusal = Refusal::invalid("", "are only for the rule LISTED. Leave them out");
        return Err(vec![refusal.below(&["choices", kind, "ids"])]);
    }
    Ok(match rule {
        ChoiceRule::Default => Patch::Clear,
        ChoiceRule::Any => Patch::Set(command::Choice::Any),
        ChoiceRule::Listed => Patch::Set(command::Choice::Listed(ids_of(&ids))),
    })
}
