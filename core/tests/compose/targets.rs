//! Where the secrets of HTTP commands may go, and which tokens programs and scripts get.

use std::collections::BTreeSet;

use callboard::{
    command::{
        CommandSpec, CompiledSpec, HttpBuilder, HttpSpec, PlaywrightSpec, ProgramBuilder, ProgramSpec,
        compose,
    },
    compose::{Nonce, Run, ServiceFacts},
    service::TokenHost,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::fixture::{Fixture, allowed, paths, values};

/// Composes a request for a job with this input. `github` has the base URL
/// `https://api.github.test/`, `my-mail` has `hosts`.
fn composed(spec: HttpBuilder, input: &Value, hosts: &[TokenHost]) -> Result<(), String> {
    composed_if(spec, input, hosts, true)
}

fn composed_if(
    spec: HttpBuilder,
    input: &Value,
    hosts: &[TokenHost],
    has_github_token: bool,
) -> Result<(), String> {
    let mut fixture = Fixture::new();
    (fixture.input, fixture.secret_inputs) = (input.clone(), BTreeSet::new());
    let [github, mail] = fixture.services();
    let services =
        [ServiceFacts { has_token: has_github_token, ..github }, ServiceFacts { token_hosts: hosts, ..mail }];
    let spec = CompiledSpec::compile(CommandSpec::Http(spec.build().unwrap())).unwrap();
    compose(&spec, &fixture.full(&services), Nonce::draw()).map(drop).map_err(|refusals| {
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert_eq!(refusals[0].path, ["spec", "http", "url"]);
        refusals[0].message.clone()
    })
}

fn with_token(url: &str, service: &str) -> HttpBuilder {
    HttpSpec::builder(url).header("Authorization", format!("Bearer {{{{ services['{service}'].token }}}}"))
}

#[test]
fn a_token_goes_to_the_hosts_of_its_service_and_nowhere_else() {
    let anywhere = || with_token("{{ input.url }}", "github");
    for fine in [
        "https://api.github.test",
        "https://API.github.test:443/x?y#z",
        "https:\\\\api.github.test\\x",
        " https://api.github.test",
    ] {
        assert_eq!(composed(anywhere(), &json!({ "url": fine }), &[]), Ok(()), "{fine}");
    }
    for (other, place) in [
        ("https://evil.test/", "https://evil.test"),
        ("https://api.github.test.evil.test/", "https://api.github.test.evil.test"),
        ("https://evil.test/https://api.github.test/", "https://evil.test"),
        ("https://evil.test#@api.github.test/", "https://evil.test"),
        ("https://evil.test\\@api.github.test/", "https://evil.test"),
        ("https://api.github.test.:443/", "https://api.github.test."),
        ("https://api.github.test:8443/", "https://api.github.test:8443"),
        ("https://www.api.github.test/", "https://www.api.github.test"),
        ("https://\u{430}pi.github.test/", "https://xn--pi-6kc.github.test"),
        ("https://[::1]/", "https://[::1]"),
        ("https://2130706433/", "https://127.0.0.1"),
    ] {
        let message = composed(anywhere(), &json!({ "url": other }), &[]).unwrap_err();
        let begin = format!(
            "the token of service github must not be sent to {place}. It may go to https://api.github.test."
        );
        assert!(message.starts_with(&begin), "{other}: {message}");
    }
    let plain = json!({ "url": "http://api.github.test/" });
    let message = composed(anywhere(), &plain, &[]).unwrap_err();
    assert!(message.contains("without TLS. Call it by https"), "{message}");
    // Who writes a user name is refused before.
    for user in ["https://api.github.test@evil.test/", "https://u:p@api.github.test/"] {
        let message = composed(anywhere(), &json!({ "url": user }), &[]).unwrap_err();
        assert!(message.contains("user name"), "{user}: {message}");
    }
}

#[test]
fn a_service_without_hosts_sends_its_token_nowhere() {
    let spec = || with_token("https://mail.test/send", "my-mail");
    let message = composed(spec(), &json!({}), &[]).unwrap_err();
    assert!(
        message.contains("has neither a baseUrl nor tokenHosts") && message.contains("my-mail"),
        "{message}"
    );
    let hosts = [TokenHost::parse("mail.test").unwrap()];
    assert_eq!(composed(spec(), &json!({}), &hosts), Ok(()));
    assert_eq!(composed(with_token("https://mail.test:25/", "my-mail"), &json!({}), &hosts), Ok(()));
    let plain = composed(with_token("http://mail.test:25/", "my-mail"), &json!({}), &hosts);
    assert!(plain.unwrap_err().contains("without TLS"));
    // Both tokens in one request: no host is both.
    let both =
        with_token("https://api.github.test/", "github").header("X", "{{ services['my-mail'].token }}");
    assert!(composed(both, &json!({}), &hosts).unwrap_err().contains("my-mail"));
    // Without a token in a header, the URL is free.
    assert_eq!(
        composed(HttpSpec::builder("{{ input.url }}"), &json!({ "url": "https://evil.test" }), &[]),
        Ok(())
    );
}

#[test]
fn a_host_header_is_held_to_the_same() {
    let named = |host: &str| with_token("https://api.github.test/", "github").header("hOsT", host);
    assert_eq!(composed(named("api.github.test"), &json!({}), &[]), Ok(()));
    for other in [
        "evil.test",
        "{{ input.host }}",
        "api.github.test@evil.test",
        "api.github.test:8443",
        "a b",
        "{{ profile.secrets.password }}",
    ] {
        let message = composed(named(other), &json!({ "host": "evil.test" }), &[]).unwrap_err();
        assert!(message.contains("the token of service github"), "{other}: {message}");
    }
}

#[test]
fn other_secrets_go_where_the_command_says() {
    for secret in
        ["{{ profile.secrets.password }}", "{{ proxy.password }}", "{{ proxy.username }}", "{{ proxy.url }}"]
    {
        let to = |url: &str| HttpSpec::builder(url).header("X", format!("a {secret}"));
        let input = json!({ "url": "https://evil.test/", "host": "evil.test", "path": "x", "known": "https://api.github.test/" });
        for fine in [
            "https://fixed.test/",
            "https://fixed.test/{{ input.path }}",
            "https://fixed.test?q={{ input.path }}",
            "{{ services.github.base_url }}users",
            "{{ input.known }}",
        ] {
            assert_eq!(composed(to(fine), &input, &[]), Ok(()), "{secret} {fine}");
        }
        for other in [
            "{{ input.url }}",
            "https://{{ input.host }}/",
            "https://fixed.test.{{ input.host }}/",
            "https://fixed.test{{ '.' }}{{ input.host }}",
            "{% set there = input.url %}{{ there }}",
            "{{ input['url'] }}#https://fixed.test/",
        ] {
            let message = composed(to(other), &input, &[]).unwrap_err();
            assert!(
                message.contains("because the job's input chose that host"),
                "{secret} {other}: {message}"
            );
        }
    }
    // Who enqueues may add services that have no token.
    let to_known = HttpSpec::builder("{{ input.url }}").header("X", "{{ profile.secrets.password }}");
    let added = composed_if(to_known, &json!({ "url": "https://api.github.test/" }), &[], false);
    assert!(added.unwrap_err().contains("because the job's input chose that host"));
    let own = || HttpSpec::builder("{{ input.url }}").header("X", "{{ input.pin }}");
    assert_eq!(composed(own(), &json!({ "url": "https://evil.test", "pin": "1" }), &[]), Ok(()));
}

/// The names of the tokens in the environment, and the services whose tokens are withheld.
fn tokens(spec: CommandSpec) -> (BTreeSet<String>, Vec<String>) {
    let fixture = Fixture::new();
    let services = fixture.services();
    let ingredients = fixture.full(&services);
    let compiled = CompiledSpec::compile(spec).unwrap();
    let composition = compose(&compiled, &ingredients, Nonce::draw()).unwrap();
    let environment = composition.masked().environment;
    let names = environment.into_keys().filter(|name| name.ends_with("TOKEN")).collect();
    (names, composition.withheld_tokens().iter().map(ToString::to_string).collect())
}

#[test]
fn a_program_gets_the_tokens_that_its_command_names() {
    let program = |spec: ProgramBuilder| tokens(CommandSpec::Program(spec.build(&allowed()).unwrap()));
    let echo = || ProgramSpec::builder("/usr/bin/echo");
    let github = ["SERVICE_GITHUB_TOKEN", "SERVICE_TOKEN"];
    for (spec, names, withheld) in [
        (echo().argument("github my-mail"), &[][..], &["github", "my-mail"][..]),
        (echo().stdin("{{ service_token }}"), &github, &["my-mail"]),
        (echo().stdin("{{ services.github.token }}"), &github, &["my-mail"]),
        (echo().argument("-c").argument("echo $SERVICE_TOKEN"), &github, &["my-mail"]),
        (echo().argument("$SERVICE_MY_MAIL_TOKEN"), &["SERVICE_MY_MAIL_TOKEN"], &["github"]),
        (echo().token("my-mail"), &["SERVICE_MY_MAIL_TOKEN"], &["github"]),
        (echo().token("*"), &["SERVICE_GITHUB_TOKEN", "SERVICE_MY_MAIL_TOKEN", "SERVICE_TOKEN"], &[]),
    ] {
        let expected = (
            names.iter().map(ToString::to_string).collect(),
            withheld.iter().map(ToString::to_string).collect(),
        );
        assert_eq!(program(spec.clone()), expected, "{spec:?}");
    }
    // The input is no text of the command.
    assert_eq!(program(echo().argument("{{ input.name }}")).0, BTreeSet::new());
}

#[test]
fn the_client_of_http_commands_gets_no_variable_and_a_bad_list_is_refused() {
    let (names, withheld) =
        tokens(CommandSpec::Http(with_token("https://api.github.test/", "github").build().unwrap()));
    assert_eq!((names, withheld), (BTreeSet::new(), Vec::new()));
    let refusals =
        ProgramSpec::builder("/usr/bin/echo").token("1st").token("a b").build(&allowed()).unwrap_err();
    let paths: Vec<String> = refusals.iter().map(|refusal| refusal.path.join(".")).collect();
    assert_eq!(paths, ["spec.program.tokens.0", "spec.program.tokens.1"]);
}

#[test]
fn a_script_gets_the_tokens_of_the_services_that_it_names() {
    let fixture = Fixture::new();
    let services = fixture.services();
    let ingredients = fixture.full(&services);
    for (spec, github, mail) in [
        (PlaywrightSpec::builder("services.github.token"), json!("tok-GitHub-1"), Value::Null),
        (PlaywrightSpec::builder("services['my-mail']"), Value::Null, json!("tok-Mail-22")),
        (PlaywrightSpec::builder("process.env.SERVICE_TOKEN"), json!("tok-GitHub-1"), Value::Null),
        (PlaywrightSpec::builder("Object.keys(services)"), Value::Null, Value::Null),
        (PlaywrightSpec::builder("Object.values(services)"), json!("tok-GitHub-1"), json!("tok-Mail-22")),
        (
            PlaywrightSpec::builder("services.github").token("my-mail"),
            json!("tok-GitHub-1"),
            json!("tok-Mail-22"),
        ),
        (PlaywrightSpec::builder("1").token("service_token"), json!("tok-GitHub-1"), Value::Null),
        (PlaywrightSpec::builder("1").token("*"), json!("tok-GitHub-1"), json!("tok-Mail-22")),
    ] {
        let compiled = CompiledSpec::compile(CommandSpec::Playwright(spec.clone().build().unwrap())).unwrap();
        let composition = compose(&compiled, &ingredients, Nonce::draw()).unwrap();
        let Run::Process(plan) = composition.reveal(&values(), &paths()).unwrap() else {
            panic!("nothing to run")
        };
        let line: Value = serde_json::from_str(plan.stdin.unwrap().expose_secret()).unwrap();
        for (name, token) in [("github", &github), ("my-mail", &mail)] {
            assert_eq!(&line["services"][name]["token"], token, "{spec:?} {name}");
            assert_eq!(line["services"][name].get("isTokenWithheld").is_some(), token.is_null(), "{spec:?}");
        }
        let given = plan.environment.iter().filter(|(name, _)| name.ends_with("TOKEN")).count();
        assert_eq!(given, usize::from(!github.is_null()) * 2 + usize::from(!mail.is_null()), "{spec:?}");
    }
}
