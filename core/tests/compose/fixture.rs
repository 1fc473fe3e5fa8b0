//! A job with a profile, a proxy with credentials, two services, public and secret input.

use std::collections::{BTreeMap, BTreeSet};

use callboard::{
    command::{AllowList, CommandSpec, CompiledSpec, ProgramSpec, compose},
    compose::{
        ComposedCommand, Ingredients, JobFacts, Nonce, ProcessPlan, ProfileFacts, ProxyFacts, Run, Sandbox,
        SecretInputs, SecretRef, SecretValues, ServiceFacts, WorkerPaths,
    },
    ids::{JobId, ProfileId, ProxyId, ServiceId},
    proxy::ProxyProtocol,
    refusal::Refusal,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Values of all secrets. None of them may ever be shown.
pub(crate) const SECRETS: [&str; 6] =
    ["tok-GitHub-1", "tok-Mail-22", "hunter2-pro\"file", "proxy-user@1", "proxy:pass/1", "in\"put-secret"];

/// The ingredients of the jobs in these tests.
pub(crate) struct Fixture {
    environment: BTreeMap<String, String>,
    secret_names: Vec<String>,
    settings: [Value; 2],
    pub(crate) input: Value,
    pub(crate) secret_inputs: BTreeSet<String>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            environment: BTreeMap::from([("LANG".into(), "de".into())]),
            secret_names: vec!["password".into()],
            settings: [json!({"org": "acme", "deep": {"list": [1, 2]}}), json!({})],
            input: json!({
                "name": "world", "count": 3, "ratio": 1.5, "flag": true, "nothing": null, "list": ["a", "b c"],
                "user": {"pin": "***", "id": 7},
            }),
            secret_inputs: BTreeSet::from(["/user/pin".to_owned()]),
        }
    }

    pub(crate) fn services(&self) -> [ServiceFacts<'_>; 2] {
        let service = |n, name, base_url, settings| ServiceFacts {
            id: ServiceId::from(Uuid::from_u128(n)),
            name,
            base_url,
            token_hosts: &[],
            settings,
            has_token: true,
        };
        [
            service(1, "github", Some("https://api.github.test/"), &self.settings[0]),
            service(2, "my-mail", None, &self.settings[1]),
        ]
    }

    /// The ingredients of a job with everything.
    pub(crate) fn full<'a>(&'a self, services: &'a [ServiceFacts<'a>]) -> Ingredients<'a> {
        Ingredients {
            profile: Some(ProfileFacts {
                id: ProfileId::from(Uuid::from_u128(3)),
                name: "Alice",
                path: "team/alice",
                environment: &self.environment,
                secrets: &self.secret_names,
            }),
            proxy: Some(ProxyFacts {
                id: ProxyId::from(Uuid::from_u128(4)),
                name: "exit",
                protocol: ProxyProtocol::Socks5,
                address: "127.0.0.1:3128",
                has_username: true,
                has_password: true,
            }),
            services,
            input: &self.input,
            secret_inputs: &self.secret_inputs,
            job: Some(JobFacts { id: JobId::from(Uuid::from_u128(5)), attempt: 2 }),
        }
    }

    /// The ingredients of a preview with nothing but an input.
    pub(crate) fn bare(&self) -> Ingredients<'_> {
        let input = (&self.input, &self.secret_inputs);
        Ingredients {
            profile: None,
            proxy: None,
            services: &[],
            input: input.0,
            secret_inputs: input.1,
            job: None,
        }
    }
}

pub(crate) fn values() -> SecretValues {
    let inputs = json!({"/user/pin": SECRETS[5]}).to_string();
    let mut values = SecretValues::new(SecretInputs::from_text(&inputs.into()).unwrap());
    values.insert(SecretRef::ServiceToken("github".into()), SECRETS[0].into());
    values.insert(SecretRef::ServiceToken("my-mail".into()), SECRETS[1].into());
    values.insert(SecretRef::ProfileSecret("password".into()), SECRETS[2].into());
    values.insert(SecretRef::ProxyUsername, SECRETS[3].into());
    values.insert(SecretRef::ProxyPassword, SECRETS[4].into());
    values
}

pub(crate) fn paths() -> WorkerPaths {
    WorkerPaths {
        profile_root: "/profiles/".into(),
        temporary_profile: "/tmp/attempt/profile".into(),
        artifacts_directory: "/tmp/attempt/artifacts".into(),
        chromium: "/usr/bin/chromium".into(),
        sandbox: Sandbox::Auto,
        allow_private_targets: false,
    }
}

pub(crate) fn allowed() -> AllowList {
    AllowList::parse("/usr/bin:/opt/report:callboard:noop").unwrap()
}

/// A program with this one argument.
pub(crate) fn with_argument(argument: &str) -> CommandSpec {
    CommandSpec::Program(ProgramSpec::builder("/usr/bin/echo").argument(argument).build(&allowed()).unwrap())
}

/// A program with this value in the variable `X`.
pub(crate) fn with_variable(value: &str) -> CommandSpec {
    CommandSpec::Program(
        ProgramSpec::builder("/usr/bin/echo").variable("X", value).build(&allowed()).unwrap(),
    )
}

/// Composes for a job with everything and masks the result.
pub(crate) fn show(spec: CommandSpec) -> Result<ComposedCommand, Vec<Refusal>> {
    let fixture = Fixture::new();
    let services = fixture.services();
    show_for(spec, &fixture.full(&services))
}

pub(crate) fn show_for(
    spec: CommandSpec,
    ingredients: &Ingredients<'_>,
) -> Result<ComposedCommand, Vec<Refusal>> {
    let compiled = CompiledSpec::compile(spec)?;
    let composition = compose(&compiled, ingredients, Nonce::draw())?;
    let shown = composition.masked();
    let whole = serde_json::to_string(&shown).unwrap() + &format!("{composition:?}");
    assert!(SECRETS.iter().all(|secret| !whole.contains(secret)), "a secret is visible: {whole}");
    assert!(!whole.contains("\u{10FFF0}aZ"), "a mark is visible: {whole}");
    Ok(shown)
}

/// The message of the only refusal.
pub(crate) fn refusal(spec: CommandSpec) -> String {
    let refusals = show(spec).unwrap_err();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    refusals[0].message.clone()
}

/// Composes for a job with everything and reveals the result.
pub(crate) fn reveal(spec: CommandSpec) -> ProcessPlan {
    let fixture = Fixture::new();
    let services = fixture.services();
    let ingredients = fixture.full(&services);
    let compiled = CompiledSpec::compile(spec).unwrap();
    let composition = compose(&compiled, &ingredients, Nonce::draw()).unwrap();
    match composition.reveal(&values(), &paths()).unwrap() {
        Run::Process(plan) => plan,
        Run::Noop => panic!("nothing to run"),
    }
}
