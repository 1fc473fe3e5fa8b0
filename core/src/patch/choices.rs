//! Patches of what the jobs of a command may choose. Pure.

use super::Patch;
use crate::{
    command::{Choice, Choices},
    ids::{ProfileId, ProxyId, ServiceId},
};

/// Changes of choices. A cleared kind goes back to its default rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChoicesPatch {
    /// See [`Choices`].
    pub profiles: Patch<Choice<ProfileId>>,
    /// See [`Choices`].
    pub proxies: Patch<Choice<ProxyId>>,
    /// See [`Choices`].
    pub services: Patch<Choice<ServiceId>>,
}

impl ChoicesPatch {
    /// Returns the choices with this patch applied.
    pub fn over(self, stored: Choices) -> Choices {
        Choices {
            profiles: self.profiles.over_optional(stored.profiles),
            proxies: self.proxies.over_optional(stored.proxies),
            services: self.services.over_optional(stored.services),
        }
    }
}
