//! What a job request names itself, and whether its command lets it.

use crate::{
    audit::Actor,
    command::Choice,
    ids::{ProfileId, ProxyId, ServiceId},
    refusal::Refusal,
    store::{
        catalogue::{
            commands::Command,
            ingredients::{StoredIngredients, Wanted},
        },
        jobs::records::JobRecord,
    },
};

/// What a job request names itself. The rest comes from its command or its profile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// The profile.
    pub profile: Option<ProfileId>,
    /// The proxy.
    pub proxy: Option<ProxyId>,
    /// The services.
    pub services: Option<&'a [ServiceId]>,
}

/// Where a job's services come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services<'a> {
    /// This list, in order.
    Listed(&'a [ServiceId]),
    /// The services of the job's profile.
    OfProfile(ProfileId),
    /// No services.
    None,
}

impl<'a> Named<'a> {
    /// The job's own profile, or the command's.
    pub fn profile_over(&self, command: Option<&Command>) -> Option<ProfileId> {
        self.profile.or_else(|| command?.profile_id)
    }

    /// The job's own proxy, or the command's. If `None`, the claim of each attempt chooses one of
    /// the profile's proxies.
    pub fn proxy_over(&self, command: Option<&Command>) -> Option<ProxyId> {
        self.proxy.or_else(|| command?.proxy_id)
    }

    /// The job's own services, even if that list is empty, or the command's if it has any, or the
    /// profile's.
    pub fn services_over(&self, command: Option<&'a Command>) -> Services<'a> {
        let of_command = || command.map(|command| &command.service_ids[..]).filter(|ids| !ids.is_empty());
        match self.services.or_else(of_command) {
            Some(listed) => Services::Listed(listed),
            None => self.profile_over(command).map_or(Services::None, Services::OfProfile),
        }
    }

    pub(super) fn wanted(&self, command: Option<&Command>) -> Wanted {
        let services = self.services.into_iter().chain(command.map(|command| command.service_ids.as_slice()));
        Wanted {
            profiles: self
                .profile
                .into_iter()
                .chain(command.and_then(|command| command.profile_id))
                .collect(),
            proxies: self.proxy.into_iter().chain(command.and_then(|command| command.proxy_id)).collect(),
            services: services.flatten().copied().collect(),
        }
    }
}

/// Refuses what a caller who is no admin may not choose for a job of this command.
pub(super) fn check_choices(
    found: &StoredIngredients,
    named: Named<'_>,
    command: &Command,
    by: Option<&Actor>,
) -> Vec<Refusal> {
    if !by.is_some_and(|actor| actor.is_bound) {
        return Vec::new();
    }
    let (choices, mut refusals) = (&command.choices, Vec::new());
    let mut refuse = |path: &str, noun: &str, name: Option<&str>| {
        let message = format!(
            "the command {} does not let its jobs choose the {noun} {}. An ADMIN may choose any, and can open the \
             command for others with its `choices`",
            command.name,
            name.unwrap_or_default()
        );
        refusals.push(Refusal::invalid(path, message));
    };
    if let Some(id) = named.profile {
        let stored = found.profiles.get(&id);
        if !Choice::allows(choices.profiles.as_ref(), command.profile_id.as_slice(), &id, true) {
            refuse("profileId", "profile", stored.map(|stored| stored.profile.name.as_str()));
        }
    }
    if let Some(id) = named.proxy {
        let stored = found.proxies.get(&id);
        if !Choice::allows(choices.proxies.as_ref(), command.proxy_id.as_slice(), &id, true) {
            refuse("proxyId", "proxy", stored.map(|stored| stored.proxy.name.as_str()));
        }
    }
    let profile = named.profile_over(Some(command)).and_then(|id| found.profiles.get(&id));
    for (index, id) in named.services.unwrap_or_default().iter().enumerate() {
        let stored = found.services.get(id);
        let is_of_profile = profile.is_some_and(|profile| profile.services.contains(id));
        let is_open = is_of_profile || stored.is_none_or(|stored| stored.token.is_none());
        if !Choice::allows(choices.services.as_ref(), &command.service_ids, id, is_open) {
            let path = format!("serviceIds.{index}");
            refuse(&path, "service", stored.map(|stored| stored.service.name.as_str()));
        }
    }
    refusals.extend(check_brought(found, named, command));
    refusals.extend(check_order(found, named, command));
    refusals
}

/// Refuses a profile that brings services which the command does not let jobs choose.
fn check_brought(found: &StoredIngredients, named: Named<'_>, command: &Command) -> Option<Refusal> {
    let Services::OfProfile(profile) = named.services_over(Some(command)) else { return None };
    let profile = found.profiles.get(&profile).filter(|_| command.profile_id != Some(profile))?;
    let choices = command.choices.services.as_ref();
    let is_allowed = |id: &&ServiceId| Choice::allows(choices, &command.service_ids, id, true);
    let brought = profile.services.iter().find(|id| !is_allowed(id))?;
    let message = format!(
        "the profile {} brings the service {}, which the command {} does not let its jobs choose. Name others \
         in serviceIds",
        profile.profile.name,
        found.services.get(brought).map(|stored| stored.service.name.as_str()).unwrap_or_default(),
        command.name
    );
    Some(Refusal::invalid("profileId", message))
}

/// Refuses a list that puts another service of the command first: `service_token` in its templates
/// would be that of another service than the command means.
fn check_order(found: &StoredIngredients, named: Named<'_>, command: &Command) -> Option<Refusal> {
    let with_token = |ids: &[ServiceId]| {
        let has_token = |id: &&ServiceId| found.services.get(id).is_some_and(|stored| stored.token.is_some());
        ids.iter().find(has_token).copied()
    };
    let own = with_token(&command.service_ids)?;
    with_token(named.services?).filter(|first| *first != own && command.service_ids.contains(first))?;
    let message = format!(
        "must name the service {} before others with a token, because its token is the service_token of the \
         command {}",
        found.services.get(&own).map(|stored| stored.service.name.as_str()).unwrap_or_default(),
        command.name
    );
    Some(Refusal::invalid("serviceIds", message))
}

/// What was chosen for a job. Services that its command or its profile gives it anyway are not.
pub(super) fn chosen<'a>(found: &StoredIngredients, job: &'a JobRecord, command: &Command) -> Named<'a> {
    let named = Named { profile: job.profile_id, proxy: job.proxy_id, services: None };
    let given = match named.services_over(Some(command)) {
        Services::Listed(listed) => listed,
        Services::OfProfile(profile) => {
            found.profiles.get(&profile).map(|stored| &stored.services[..]).unwrap_or_default()
        }
        Services::None => &[],
    };
    Named { services: (job.service_ids != given).then_some(&job.service_ids[..]), ..named }
}
