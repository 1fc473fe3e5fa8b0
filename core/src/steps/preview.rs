//! Preview: composes a command without enqueuing it: exactly what submit would store, or why not.
//!
//! Called by the API. Also holds what [`submit`](super::submit) and a preview do alike: which profile, proxy
//! and services a job gets, and how it is composed from them. Writes nothing.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};

use super::submit::Desk;
use crate::{
    catalogue::{CatalogueError, SpecInput},
    command::{AllowList, CommandSpec},
    compose::{CompiledSpec, ComposedCommand, Composition, Input, InputSchema, JobFacts, Nonce, compose},
    ids::{CommandId, ProfileId, ProxyId, ServiceId},
    recipes::{Facts, Recipe, choose_proxy, secret_names},
    refusal::Refusal,
    store::{
        Connection, StoreError,
        commands::{self, Command},
        ingredients::{self, Found, Wanted},
    },
};

/// What to compose.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A saved command, as it is now.
    Command(CommandId),
    /// A spec that is being written.
    Draft {
        /// What to run.
        spec: SpecInput,
        /// JSON Schema of the input; without one, every object is let in.
        input_schema: Option<Value>,
    },
}

/// What a job names itself. What it leaves out comes from its command or its profile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// Its profile.
    pub profile: Option<ProfileId>,
    /// Its proxy.
    pub proxy: Option<ProxyId>,
    /// Its services.
    pub services: Option<&'a [ServiceId]>,
}

/// Where a job's services come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services<'a> {
    /// These, in order.
    Listed(&'a [ServiceId]),
    /// Those of the profile that it runs on.
    OfProfile(ProfileId),
    /// It has none.
    None,
}

/// What a job runs on.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) profile: Option<ProfileId>,
    pub(super) proxy: Option<ProxyId>,
    pub(super) services: Vec<ServiceId>,
}

/// A command, ready to compose.
enum Ready {
    Saved(Box<Command>, Arc<Recipe>),
    Draft(Box<CompiledSpec>, InputSchema),
}

/// Composes as [`submit`](super::submit::submit) does, and answers what would run, secrets masked. Paths of
/// refusals begin with `spec`, `inputSchema`, `input`, `commandId`, `profileId`, `proxyId` or `serviceIds`.
pub async fn preview(
    desk: &Desk,
    allowed: &AllowList,
    subject: Subject,
    named: Named<'_>,
    input: Option<&Value>,
) -> Result<ComposedCommand, CatalogueError> {
    let mut connection = desk.store.read().await?;
    let ready = match subject {
        Subject::Command(id) => saved(desk, &mut connection, id).await?,
        Subject::Draft { spec, input_schema } => draft(spec, input_schema, allowed)?,
    };
    let command = match &ready {
        Ready::Saved(command, _) => Some(&**command),
        Ready::Draft(..) => None,
    };
    let found = ingredients::load(&mut connection, &named.wanted(command)).await?;
    drop(connection);

    let mut refusals = check_references(&found, named);
    let input = match ready.schema().check(input.unwrap_or(&Value::Null)) {
        Ok(input) => input,
        Err(more) => {
            refusals.extend(more);
            return Err(CatalogueError::Refused(refusals));
        }
    };
    if !refusals.is_empty() {
        return Err(CatalogueError::Refused(refusals));
    }
    let cast = Cast::choose(&found, named, command);
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method's path is of one lifetime only"
    )]
    let composed = cast.compose(&found, ready.spec(), &input, None, |composition| composition.masked());
    composed.map_err(|refusals| {
        CatalogueError::Refused(if command.is_some() { of_command(refusals) } else { refusals })
    })
}

async fn saved(desk: &Desk, connection: &mut Connection, id: CommandId) -> Result<Ready, CatalogueError> {
    let missing = || CatalogueError::Refused(vec![no_command()]);
    let command = commands::load(connection, &[id]).await?.pop().ok_or_else(missing)?;
    let version = command.version_id;
    let recipe = desk.recipes.load(connection, [version]).await?.remove(&version);
    let recipe = recipe.ok_or_else(|| StoreError::corrupt("commands", "version_id", &version))?;
    Ok(Ready::Saved(Box::new(command), recipe))
}

fn draft(spec: SpecInput, input_schema: Option<Value>, allowed: &AllowList) -> Result<Ready, CatalogueError> {
    let spec = check_spec(spec, allowed).and_then(CompiledSpec::compile);
    let schema = InputSchema::compile(&input_schema.unwrap_or_else(|| json!({})));
    match (spec, schema) {
        (Ok(spec), Ok(schema)) => Ok(Ready::Draft(Box::new(spec), schema)),
        (spec, schema) => {
            Err(CatalogueError::Refused([spec.err(), schema.err()].into_iter().flatten().flatten().collect()))
        }
    }
}

/// The same checks as when a command is saved.
fn check_spec(spec: SpecInput, allowed: &AllowList) -> Result<CommandSpec, Vec<Refusal>> {
    match spec {
        SpecInput::Spec(spec) => spec.check(allowed).map(|()| spec),
        SpecInput::Line(line) => line.parse(allowed, &|path: &str| Path::new(path).is_file()),
    }
}

impl Ready {
    fn spec(&self) -> &CompiledSpec {
        match self {
            Self::Saved(_, recipe) => &recipe.spec,
            Self::Draft(spec, _) => spec,
        }
    }

    fn schema(&self) -> &InputSchema {
        match self {
            Self::Saved(_, recipe) => &recipe.schema,
            Self::Draft(_, schema) => schema,
        }
    }
}

impl<'a> Named<'a> {
    /// The profile: the job's own, or the command's.
    pub fn profile_over(&self, command: Option<&Command>) -> Option<ProfileId> {
        self.profile.or_else(|| command?.profile_id)
    }

    /// The proxy: the job's own, or the command's. Without one, the profile's choice is made at the start of each attempt.
    pub fn proxy_over(&self, command: Option<&Command>) -> Option<ProxyId> {
        self.proxy.or_else(|| command?.proxy_id)
    }

    /// The services: the job's own, even if that is none; or the command's, if it has any; or the profile's.
    pub fn services_over(&self, command: Option<&'a Command>) -> Services<'a> {
        let of_command = || command.map(|command| &command.service_ids[..]).filter(|ids| !ids.is_empty());
        match self.services.or_else(of_command) {
            Some(listed) => Services::Listed(listed),
            None => self.profile_over(command).map_or(Services::None, Services::OfProfile),
        }
    }

    fn wanted(&self, command: Option<&Command>) -> Wanted {
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

impl Cast {
    /// Everything that a job runs on.
    pub(super) fn choose(found: &Found, named: Named<'_>, command: Option<&Command>) -> Self {
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

    /// Composes with what is known now, as a first attempt would; `take` keeps what the caller needs of it.
    /// `input` has passed the command's schema, and what the job names was found.
    pub(super) fn compose<T>(
        &self,
        found: &Found,
        spec: &CompiledSpec,
        input: &Input,
        job: Option<JobFacts>,
        take: impl FnOnce(&Composition<'_>) -> T,
    ) -> Result<T, Vec<Refusal>> {
        let secrets = secret_names(found, self.profile);
        let proxy = choose_proxy(found, self.proxy, self.profile);
        let facts = Facts::pick(found, &secrets, self.profile, proxy, &self.services);
        let pointers = input.secrets.pointers();
        let ingredients = facts.with(&input.public, &pointers, job);
        compose(spec, &ingredients, Nonce::draw()).map(|composition| take(&composition))
    }
}

/// Refuses what a job names and what was not found, and services that it names twice.
pub(super) fn check_references(found: &Found, named: Named<'_>) -> Vec<Refusal> {
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
            refusals.push(Refusal::invalid(&path, "this service is in the list already"));
        }
    }
    refusals
}

/// The refusal of a command that does not exist.
pub(super) fn no_command() -> Refusal {
    Refusal::not_found("commandId", "command")
}

/// Refusals of a saved command's spec, whose paths begin with `spec`, as seen from the input that names the
/// command.
pub(super) fn of_command(refusals: Vec<Refusal>) -> Vec<Refusal> {
    refusals.into_iter().map(|refusal| refusal.below(&["commandId"])).collect()
}
