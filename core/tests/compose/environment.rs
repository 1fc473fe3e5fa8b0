//! The environment variables that every command gets.

use std::collections::BTreeMap;

use callboard::{
    command::{CommandSpec, ProgramSpec},
    compose::ServiceFacts,
    refusal::RefusalCode,
};

use crate::fixture::{Fixture, allowed, show, show_for, with_argument};

#[test]
fn a_job_with_everything_gets_every_variable() {
    let spec = ProgramSpec::builder("/usr/bin/echo").token("*");
    let environment = show(CommandSpec::Program(spec.build(&allowed()).unwrap())).unwrap().environment;
    let proxy = "socks5h://***:***@127.0.0.1:3128";
    let expected = BTreeMap::from([
        ("LANG", "de"),
        ("CHROME_PROFILE", "team/alice"),
        ("PROXY_URL", proxy),
        ("PROXY_ADDRESS", "127.0.0.1:3128"),
        ("HTTP_PROXY", proxy),
        ("HTTPS_PROXY", proxy),
        ("ALL_PROXY", proxy),
        ("http_proxy", proxy),
        ("https_proxy", proxy),
        ("all_proxy", proxy),
        ("NO_PROXY", ""),
        ("no_proxy", ""),
        ("SERVICE_TOKEN", "***"),
        ("SERVICE_GITHUB_TOKEN", "***"),
        ("SERVICE_GITHUB_URL", "https://api.github.test/"),
        ("SERVICE_MY_MAIL_TOKEN", "***"),
        ("CALLBOARD_JOB", "job_00000000000000000000000005"),
        ("CALLBOARD_ATTEMPT", "2"),
        ("CALLBOARD_ARTIFACTS", "$CALLBOARD_ARTIFACTS"),
    ]);
    let shown: BTreeMap<&str, &str> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(shown, expected);
}

#[test]
fn a_job_with_nothing_gets_only_its_own_facts() {
    let fixture = Fixture::new();
    let environment = show_for(with_argument("x"), &fixture.bare()).unwrap().environment;
    let names: Vec<&String> = environment.keys().collect();
    assert_eq!(names, ["CALLBOARD_ARTIFACTS", "CALLBOARD_ATTEMPT", "CALLBOARD_JOB"]);
}

#[test]
fn variables_of_the_spec_override_the_others() {
    let spec = ProgramSpec::builder("/usr/bin/env")
        .variable("LANG", "fr")
        .variable("HTTP_PROXY", "")
        .variable("SERVICE_TOKEN", "{{ services['my-mail'].token }}");
    let environment = show(CommandSpec::Program(spec.build(&allowed()).unwrap())).unwrap().environment;
    assert_eq!((environment["LANG"].as_str(), environment["HTTP_PROXY"].as_str()), ("fr", ""));
    assert_eq!(environment["SERVICE_TOKEN"], "***");
}

#[test]
fn services_whose_variables_collide_are_refused() {
    let fixture = Fixture::new();
    let [first, second] = fixture.services();
    let services = [ServiceFacts { name: "my_mail", ..first }, second];
    let refusals = show_for(with_argument("x"), &fixture.full(&services)).unwrap_err();
    assert_eq!((refusals[0].code, refusals[0].path[0].as_str()), (RefusalCode::NotComposable, "serviceIds"));
    assert!(refusals[0].message.contains("my_mail and my-mail"), "{}", refusals[0].message);
}

#[test]
fn arguments_and_environment_are_bounded_together() {
    let mut spec = ProgramSpec::builder("/usr/bin/echo");
    for _ in 0..20 {
        spec = spec.argument("{{ 'x' * 60000 }}");
    }
    let refusals = show(CommandSpec::Program(spec.build(&allowed()).unwrap())).unwrap_err();
    assert!(refusals[0].message.contains("arguments and environment are 12"), "{}", refusals[0].message);
}
