//! Targets: the profile, proxy and services of a job, chosen alike by preview and submit.

use crate::{
    command::{Composition, ReadySpec},
    compose::{Input, JobFacts},
    evaluator::{Failure, Turn},
    ids::{ProfileId, ProxyId, ServiceId},
    recipes::{Facts, choose_proxy, secret_names},
    refusal::{Refusal, RefusalCode},
    steps::choices::{Named, Services},
    store::catalogue::{commands::Command, ingredients::StoredIngredients},
};

/// Most services of a job, as of a profile or a command.
const SERVICES_MAX: usize = 100;

/// What a job runs on.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) profile: Option<ProfileId>,
    pub(super) proxy: Option<ProxyId>,
    pub(super) services: Vec<ServiceId>,
}

impl Targets {
    pub(super) fn choose(found: &StoredIngredients, named: Named<'_>, command: Option<&Command>) -> Self {
        let of_profile = |id| found.profiles.get(&id).map(|stored| stored.services.clone());
        Self {
            profile: named.profile_over(command),
            proxy: named.proxy_over(command),
            services: match named.services_over(command) {
                Services::Listed(listed) => listed.to_vec(),
                Services::OfProfile(profile) => of_profile(profile).unwrap_or_default(),
                Services::None => Vec::new(),
            },
        }
    }

    /// Composes as a first attempt would now, and returns what `take` picks from the composition.
    /// `input` must have passed the command's schema, and everything that the job names must exist.
    pub(super) async fn compose<T>(
        &self,
        turn: &mut Turn<'_>,
        found: &StoredIngredients,
        spec: &ReadySpec,
        input: &Input,
        job: Option<JobFacts>,
        take: impl FnOnce(&Composition<'_>) -> T,
    ) -> Result<T, Failure> {
        let secrets = secret_names(found, self.profile);
        let proxy = choose_proxy(found, self.proxy, self.profile);
        let facts = Facts::pick(found, &secrets, self.profile, proxy, &self.services);
        let pointers = input.secrets.pointers();
        let ingredients = facts.with(&input.public, &pointers, job);
        turn.compose(spec, &ingredients).await.map(|composition| take(&composition))
    }
}

/// Refuses a list that is too long for each of its entries to be looked up and refused.
pub(super) fn check_length(named: Named<'_>) -> Result<(), Refusal> {
    let length = named.services.map_or(0, <[ServiceId]>::len);
    if length <= SERVICES_MAX {
        return Ok(());
    }
    let message = format!("must have at most {SERVICES_MAX} services, not {length}");
    Err(Refusal::new(RefusalCode::TooMany, "serviceIds", message))
}

/// Refuses names that were not found, and services that are named twice.
pub(super) fn check_references(found: &StoredIngredients, named: Named<'_>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if named.profile.is_some_and(|id| !found.profiles.contains_key(&id)) {
        refusals.push(Refusal::not_found("profileId", "profile"));
    }
    if named.proxy.is_some_and(|id| !found.proxies.contains_key(&id)) {
        refusals.push(Refusal::not_found("proxyId", "proxy"));
    }
    let services = named.services.unwrap_or_default();
    for (index, id) in services.iter().enumerate() {
        let path = format!("serviceIds.{index}");
        if !found.services.contains_key(id) {
            refusals.push(Refusal::not_found(&path, "service"));
        } else if services[..index].contains(id) {
            refusals.push(Refusal::invalid(&path, "this service is already in the list"));
        }
    }
    refusals
}

pub(super) fn no_command() -> Refusal {
    Refusal::not_found("commandId", "command")
}

/// Moves refusals of a saved command's spec, whose paths begin with `spec`, to the input of the job
/// that can be mended: what the job lacks, or the command.
pub(super) fn of_command(failure: Failure) -> Failure {
    let moved = |refusal: Refusal| {
        if !refusal.lacks.is_empty() {
            let message = format!("{}, {}", refusal.path.join("."), refusal.message);
            Refusal::at(refusal.code, refusal.lacks, message)
        } else if refusal.path.first().is_some_and(|first| first == "spec") {
            refusal.below(&["commandId"])
        } else {
            refusal
        }
    };
    match failure {
        Failure::Refused(refusals) => refusals.into_iter().map(moved).collect::<Vec<_>>().into(),
        Failure::Unavailable(why) => why.into(),
    }
}
