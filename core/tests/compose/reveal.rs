//! What the worker gets: secrets in their places, and nowhere else.

use std::collections::BTreeSet;

use callboard::{
    command::{
        ArtifactMode, CommandSpec, CompiledSpec, HttpSpec, PlaywrightSpec, ProgramSpec, Redirects, compose,
    },
    compose::{Nonce, OutputProtocol, ProcessPlan, Program, RevealError, Run, SecretRef, SecretValues},
    secret::Redactor,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::fixture::{Fixture, SECRETS, allowed, paths, reveal, show, values, with_argument, with_variable};

fn stdin(plan: &ProcessPlan) -> Value {
    let text = plan.stdin.as_ref().unwrap().expose_secret();
    assert_eq!(text.matches('\n').count(), 1, "one line");
    serde_json::from_str(text).unwrap()
}

fn variable<'a>(plan: &'a ProcessPlan, name: &str) -> &'a str {
    plan.environment.iter().find(|(other, _)| other == name).map(|(_, value)| value.expose_secret()).unwrap()
}

#[test]
fn a_program_gets_its_secrets_in_environment_and_stdin() {
    let spec = ProgramSpec::builder("/usr/bin/cat")
        .argument("--profile={{ chrome_profile }}")
        .variable("AUTH", "Bearer {{ service_token }}")
        .stdin("pin: {{ input.user.pin }}")
        .token("my-mail")
        .build(&allowed())
        .unwrap();
    let plan = reveal(CommandSpec::Program(spec));
    assert_eq!(
        (plan.program.clone(), plan.protocol),
        (Program::File("/usr/bin/cat".into()), OutputProtocol::Lines)
    );
    assert_eq!(plan.arguments, ["--profile=/profiles/team/alice"]);
    assert_eq!(variable(&plan, "AUTH"), "Bearer tok-GitHub-1");
    assert_eq!(variable(&plan, "CHROME_PROFILE"), "/profiles/team/alice");
    assert_eq!(variable(&plan, "CALLBOARD_ARTIFACTS"), "/tmp/attempt/artifacts");
    assert_eq!(variable(&plan, "ALL_PROXY"), "socks5h://proxy-user%401:proxy%3Apass%2F1@127.0.0.1:3128");
    assert_eq!(variable(&plan, "SERVICE_MY_MAIL_TOKEN"), SECRETS[1]);
    assert_eq!(plan.stdin.as_ref().unwrap().expose_secret(), "pin: in\"put-secret");
    let debug = format!("{plan:?}");
    assert!(SECRETS.iter().all(|secret| !debug.contains(secret)), "{debug}");
}

#[test]
fn noop_runs_nothing() {
    let spec = CommandSpec::Program(ProgramSpec::builder("callboard:noop").build(&allowed()).unwrap());
    let compiled = CompiledSpec::compile(spec).unwrap();
    let fixture = Fixture::new();
    let bare = fixture.bare();
    let composition = compose(&compiled, &bare, Nonce::draw()).unwrap();
    assert!(matches!(composition.reveal(&SecretValues::default(), &paths()), Ok(Run::Noop)));
}

#[test]
fn the_runner_gets_one_line_with_everything() {
    let spec = PlaywrightSpec::builder("// {{ service_token }} ${x}")
        .viewport(800, 600)
        .video(ArtifactMode::Always)
        .token("my-mail");
    let plan = reveal(CommandSpec::Playwright(spec.build().unwrap()));
    assert_eq!(
        (&plan.program, plan.protocol, plan.arguments.len()),
        (&Program::Runner, OutputProtocol::Events, 0)
    );
    let mut line = stdin(&plan);
    let masks = line.as_object_mut().unwrap().remove("secretsToMask").unwrap();
    let masks: BTreeSet<&str> = masks.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(masks, BTreeSet::from(SECRETS));
    let mut input = Fixture::new().input;
    input["user"]["pin"] = SECRETS[5].into();
    let expected = json!({
        "v": 1,
        "job": "job_00000000000000000000000005",
        "attempt": 2,
        "script": "// {{ service_token }} ${x}",
        "input": input,
        "services": {
            "github": {
                "baseUrl": "https://api.github.test/",
                "token": SECRETS[0],
                "settings": {"org": "acme", "deep": {"list": [1, 2]}},
            },
            "my-mail": {"baseUrl": null, "token": SECRETS[1], "settings": {}},
        },
        "profile": {
            "name": "Alice",
            "directory": "/profiles/team/alice",
            "environment": {"LANG": "de"},
            "secrets": {"password": SECRETS[2]},
        },
        "proxy": {"server": "socks5://127.0.0.1:3128", "username": SECRETS[3], "password": SECRETS[4]},
        "options": {
            "viewport": {"width": 800, "height": 600},
            "trace": "OFF",
            "video": "ALWAYS",
            "screenshot": "ON_FAILURE",
            "har": "OFF",
            "headless": true,
        },
        "artifactsDirectory": "/tmp/attempt/artifacts",
        "chromium": "/usr/bin/chromium",
        "sandbox": "auto",
    });
    assert_eq!(line, expected);
}

#[test]
fn a_script_without_profile_and_proxy_gets_a_temporary_profile() {
    let compiled =
        CompiledSpec::compile(CommandSpec::Playwright(PlaywrightSpec::builder("x").build().unwrap()))
            .unwrap();
    let fixture = Fixture::new();
    let mut bare = fixture.bare();
    let none = BTreeSet::new();
    bare.secret_inputs = &none;
    let composition = compose(&compiled, &bare, Nonce::draw()).unwrap();
    assert_eq!(composition.masked().display, "playwright");
    let Run::Process(plan) = composition.reveal(&SecretValues::default(), &paths()).unwrap() else {
        panic!()
    };
    let line = stdin(&plan);
    assert_eq!(line["profile"]["directory"], "/tmp/attempt/profile");
    assert_eq!((&line["proxy"], &line["secretsToMask"]), (&Value::Null, &json!([])));
}

#[test]
fn the_http_client_gets_one_line_with_the_request() {
    let spec = HttpSpec::builder(
        "{{ services.github.base_url }}repos/{{ input.name | urlencode }}?q={{ 'a b' | urlencode }}",
    )
    .method("POST")
    .header("Authorization", "Bearer {{ service_token }}")
    .header("X-Name", "{{ input.name }}")
    .header("accept", "text/x")
    .header("Accept-Language", "{{ service_token }}")
    .redirects(Redirects::SameOrigin)
    .body("{\"name\": {{ input.name | tojson }}}")
    .expect_status(201);
    let spec = CommandSpec::Http(spec.build().unwrap());
    let shown = show(spec.clone()).unwrap();
    let expected = "POST 'https://api.github.test/repos/world?q=a%20b' -H 'Accept-Language: ***' \
                    -H 'Authorization: Bearer ***' \
                    -H 'X-Name: world' -H 'accept: text/x' -d '{\"name\": \"world\"}'";
    assert_eq!((shown.display.as_str(), shown.program), (expected, None));
    let plan = reveal(spec);
    assert_eq!(
        (&plan.program, plan.protocol, plan.arguments.len()),
        (&Program::HttpClient, OutputProtocol::Events, 0)
    );
    let mut line = stdin(&plan);
    let masks = line.as_object_mut().unwrap().remove("secretsToMask").unwrap();
    assert_eq!(masks.as_array().map(Vec::len), Some(SECRETS.len()));
    let expected = json!({
        "v": 1,
        "request": {
            "method": "POST",
            "url": "https://api.github.test/repos/world?q=a%20b",
            "headers": {
                "Accept-Language": "tok-GitHub-1",
                "Authorization": "Bearer tok-GitHub-1",
                "X-Name": "world",
                "accept": "text/x",
            },
            "body": "{\"name\": \"world\"}",
        },
        "redirects": "SAME_ORIGIN",
        "harmlessHeaders": ["accept"],
        "proxy": {"server": "socks5h://127.0.0.1:3128", "username": SECRETS[3], "password": SECRETS[4]},
        "expectStatus": [201],
        "allowPrivateTargets": false,
        "services": {"github": {"baseUrl": "https://api.github.test/"}, "my-mail": {"baseUrl": null}},
    });
    assert_eq!(line, expected);
}

#[test]
fn rendered_requests_are_checked() {
    let spec = |url: &str, header: &str| {
        CommandSpec::Http(HttpSpec::builder(url).header("X", header).build().unwrap())
    };
    for (url, header, path, expected) in [
        ("{{ 'javascript:alert(1)' }}", "", "url", "must begin with http://"),
        ("{{ 'file:///etc/passwd' }}", "", "url", "must begin with http://"),
        ("{{ input.name }}", "", "url", "is not an absolute URL"),
        ("https://{{ 'u:p@x.test' }}", "", "url", "must not contain a user name"),
        ("https://x.test/{{ 'x' * 9000 }}", "", "url", "bytes long when rendered"),
        (
            "https://x.test",
            "{{ 'a\r\nHost: evil' }}",
            "headers X",
            "a line break or another control character",
        ),
        ("https://x.test", "{{ 'a\u{1}' }}", "headers X", "a line break or another control character"),
        ("https://x.test", "{{ 'a\u{7f}' }}", "headers X", "a line break or another control character"),
        ("https://x.test/{{ 'a\nb' }}", "", "url", "a line break or another control character"),
        ("https://x.test/{{ 'a\tb' }}", "", "url", "a line break or another control character"),
        ("https://x.test/{{ input.name }}\n", "", "url", "a line break or another control character"),
    ] {
        let refusals = show(spec(url, header)).unwrap_err();
        assert_eq!(refusals[0].path.join(" "), format!("spec http {path}"));
        assert!(refusals[0].message.contains(expected), "{url}: {}", refusals[0].message);
    }
}

#[test]
fn reveal_errors_never_quote_a_value() {
    let fixture = Fixture::new();
    let services = fixture.services();
    let ingredients = fixture.full(&services);
    let compiled = CompiledSpec::compile(with_variable("{{ service_token }}")).unwrap();
    let composition = compose(&compiled, &ingredients, Nonce::draw()).unwrap();
    let missing = composition.reveal(&SecretValues::default(), &paths()).unwrap_err();
    assert!(matches!(missing, RevealError::Missing { .. }), "{missing}");

    let mut broken = values();
    broken.insert(SecretRef::ServiceToken("github".into()), "line\nbreak\0".into());
    let error = composition.reveal(&broken, &paths()).unwrap_err();
    assert!(
        matches!(&error, RevealError::NotText { place } if place == "environment variable SERVICE_GITHUB_TOKEN")
    );
    let header =
        HttpSpec::builder("https://api.github.test").header("A", "{{ service_token }}").build().unwrap();
    let compiled = CompiledSpec::compile(CommandSpec::Http(header)).unwrap();
    let composition = compose(&compiled, &ingredients, Nonce::draw()).unwrap();
    let error = composition.reveal(&broken, &paths()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value of a secret has a line break or another control character, which header A must not contain"
    );
}

#[test]
fn secret_values_are_redacted_from_the_log() {
    let redactor = Redactor::new(&values().to_redact());
    let line = SECRETS.join(" ");
    assert_eq!(redactor.redact(&line), "*** *** *** *** *** ***");
    assert!(format!("{:?}", values()).contains("ProxyPassword"));
    assert!(SECRETS.iter().all(|secret| !format!("{:?}", values()).contains(secret)));
    assert!(reveal(with_argument("x")).stdin.is_none());
}
