//! Composes a command for a job with a service, and runs the HTTP child with it as the worker does.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{ChildStdout, Command, Stdio},
};

use callboard::{
    command::{CommandSpec, CompiledSpec, HttpBuilder, compose},
    compose::{
        Ingredients, Nonce, ProxyFacts, Run, Sandbox, SecretRef, SecretValues, ServiceFacts, WorkerPaths,
    },
    ids::{ProxyId, ServiceId},
    proxy::ProxyProtocol,
    service::TokenHost,
};
use rustix::process::Pid;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

/// The token of the service `s`.
pub(crate) const TOKEN: &str = "tok-0123456789-abcdefghijklmnopqrstuvwx";

/// A proxy of a job.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proxy<'a> {
    pub(crate) protocol: ProxyProtocol,
    pub(crate) address: &'a str,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// A call to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) proxy: Option<Proxy<'a>>,
    pub(crate) base_url: Option<&'a str>,
    /// A file of certificates to trust instead of the machine's.
    pub(crate) authority: Option<&'a str>,
    pub(crate) token: &'a str,
}

pub(crate) const DIRECT: Call<'_> = Call { proxy: None, base_url: None, authority: None, token: TOKEN };

/// What the child reported.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) events: Vec<Value>,
    /// Everything that it wrote.
    pub(crate) output: String,
}

impl Ended {
    fn last(&self, kind: &str) -> Option<&Value> {
        self.events.iter().rev().find(|event| event["type"] == kind)
    }

    /// The result of a call that succeeded.
    #[track_caller]
    pub(crate) fn result(&self) -> &Value {
        &self.last("result").unwrap_or_else(|| panic!("no result: {}", self.output))["value"]
    }

    /// The failure of a call that failed.
    #[track_caller]
    pub(crate) fn failure(&self) -> &Value {
        self.last("failure").unwrap_or_else(|| panic!("no failure: {}", self.output))
    }

    pub(crate) fn code(&self) -> &str {
        self.failure()["code"].as_str().unwrap()
    }

    pub(crate) fn message(&self) -> &str {
        self.failure()["message"].as_str().unwrap()
    }
}

impl Call<'_> {
    /// Runs the command.
    #[track_caller]
    pub(crate) fn run(&self, spec: HttpBuilder) -> Ended {
        self.run_and(spec, |_| ())
    }

    /// Runs the command, and does something with the process meanwhile.
    #[track_caller]
    pub(crate) fn run_and(&self, spec: HttpBuilder, meanwhile: impl FnOnce(&mut Running)) -> Ended {
        let spec = CompiledSpec::compile(CommandSpec::Http(spec.build().unwrap())).unwrap();
        let settings = json!({});
        // Where the tests' servers listen, and what some are called.
        let hosts =
            ["127.0.0.1", "localhost", "[::1]", "virtual.test"].map(|host| TokenHost::parse(host).unwrap());
        let service = ServiceFacts {
            id: ServiceId::from(Uuid::from_u128(1)),
            name: "s",
            // One that is `http`, so that the token may go without TLS.
            base_url: self.base_url.or(Some("http://service.test")),
            token_hosts: &hosts,
            settings: &settings,
            has_token: true,
        };
        let proxy = self.proxy.map(|proxy| ProxyFacts {
            id: ProxyId::from(Uuid::from_u128(2)),
            name: "p",
            protocol: proxy.protocol,
            address: proxy.address,
            has_username: proxy.username.is_some(),
            has_password: proxy.password.is_some(),
        });
        let (input, secret_inputs) = (json!({}), BTreeSet::new());
        let services = [service];
        let ingredients = Ingredients {
            profile: None,
            proxy,
            services: &services,
            input: &input,
            secret_inputs: &secret_inputs,
            job: None,
        };
        let composition = compose(&spec, &ingredients, Nonce::draw()).unwrap();
        let mut values = SecretValues::default();
        values.insert(SecretRef::ServiceToken("s".into()), self.token.into());
        for (secret, value) in [
            (SecretRef::ProxyUsername, self.proxy.and_then(|proxy| proxy.username)),
            (SecretRef::ProxyPassword, self.proxy.and_then(|proxy| proxy.password)),
        ] {
            if let Some(value) = value {
                values.insert(secret, value.into());
            }
        }
        let Run::Process(plan) = composition.reveal(&values, &paths()).unwrap() else {
            panic!("nothing to run")
        };
        self.child(plan.stdin.unwrap().expose_secret(), meanwhile)
    }

    fn child(&self, line: &str, meanwhile: impl FnOnce(&mut Running)) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard-worker"));
        command.arg("http").stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(authority) = self.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        let mut child = command.spawn().unwrap();
        // It stays open, because the child ends with it.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        let mut running = Running {
            process: Pid::from_child(&child),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            output: String::new(),
        };
        meanwhile(&mut running);
        let Running { mut stdout, mut output, .. } = running;
        stdout.read_to_string(&mut output).unwrap();
        child.wait().unwrap();
        let events = output.lines().map(event).collect();
        Ended { events, output }
    }
}

/// The child while it runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Pid,
    stdout: BufReader<ChildStdout>,
    output: String,
}

impl Running {
    /// Waits for an event of this kind.
    pub(crate) fn until(&mut self, kind: &str) {
        loop {
            let from = self.output.len();
            assert!(self.stdout.read_line(&mut self.output).unwrap() > 0, "no {kind}: {}", self.output);
            if event(&self.output[from..])["type"] == kind {
                return;
            }
        }
    }
}

/// Reads an event as the worker does: field by field, because a result may be as deep as any value.
fn event(line: &str) -> Value {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
    let read = |value: &RawValue| serde_json::from_str::<Value>(value.get()).unwrap();
    fields.into_iter().map(|(name, value)| (name, read(&value))).collect()
}

fn paths() -> WorkerPaths {
    WorkerPaths {
        profile_root: "/nowhere".into(),
        temporary_profile: "/nowhere".into(),
        artifacts_directory: "/nowhere".into(),
        chromium: "/nowhere".into(),
        sandbox: Sandbox::Auto,
        allow_private_targets: true,
    }
}
