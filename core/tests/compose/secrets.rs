//! Where secrets are allowed, and that templates cannot inspect them.

use callboard::{
    command::{CommandSpec, CompiledSpec, HttpSpec, ProgramSpec, compose},
    compose::{Encoding, Nonce, Piece, SecretRef},
    refusal::RefusalCode,
};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::fixture::{
    Fixture, SECRETS, allowed, refusal, reveal, show, show_for, with_argument, with_variable,
};

const NAMES: [&str; 8] = [
    "service_token",
    "services.github.token",
    "services['my-mail'].token",
    "profile.secrets.password",
    "proxy.username",
    "proxy.password",
    "proxy.url",
    "input.user.pin",
];

fn variable(template: &str) -> String {
    show(with_variable(template)).unwrap().environment["X"].clone()
}

#[test]
fn secrets_are_masked_where_they_are_allowed() {
    for name in NAMES {
        let expected = if name == "proxy.url" { "a socks5h://***:***@127.0.0.1:3128 b" } else { "a *** b" };
        assert_eq!(variable(&format!("a {{{{ {name} }}}} b")), expected);
        let stdin = ProgramSpec::builder("/usr/bin/cat")
            .stdin(format!("{{{{ {name} }}}}"))
            .build(&allowed())
            .unwrap();
        assert!(show(CommandSpec::Program(stdin)).is_ok());
    }
    let header = HttpSpec::builder("https://api.github.test")
        .header("Authorization", "Bearer {{ service_token }}")
        .build()
        .unwrap();
    let http = show(CommandSpec::Http(header)).unwrap().http.unwrap();
    assert_eq!(http.headers["Authorization"], "Bearer ***");
}

#[test]
fn secrets_are_refused_everywhere_else() {
    for name in NAMES {
        let template = format!("https://x.test/{{{{ {name} }}}}");
        let url = HttpSpec::builder(&template).build().unwrap();
        let body = HttpSpec::builder("https://x.test").method("POST").body(&template).build().unwrap();
        for (spec, path) in [
            (with_argument(&template), vec!["spec", "program", "arguments", "0"]),
            (CommandSpec::Http(url), vec!["spec", "http", "url"]),
            (CommandSpec::Http(body), vec!["spec", "http", "body"]),
        ] {
            let refusals = show(spec).unwrap_err();
            assert_eq!((refusals[0].code, refusals.len()), (RefusalCode::NotComposable, 1));
            assert_eq!(refusals[0].path, path);
            assert!(refusals[0].message.contains("must not be used in"), "{}", refusals[0].message);
        }
    }
    let message = refusal(with_argument("{{ services['my-mail'].token }}"));
    assert!(
        message.starts_with("the secret services.my-mail.token must not be used in an argument"),
        "{message}"
    );
}

#[test]
fn a_secret_can_be_joined_assigned_and_tested() {
    for (template, expected) in [
        ("{{ 'Bearer ' ~ service_token }}", "Bearer ***"),
        ("{% set header = 'Bearer ' ~ service_token %}{{ header }} {{ header }}", "Bearer *** Bearer ***"),
        ("{{ service_token | default('x') }}", "***"),
        ("{{ services.other.token | default('x') if services.other is defined else 'none' }}", "none"),
        ("{% if service_token %}has{% endif %}", "has"),
        ("{{ [service_token, 'b'] | join(':') }}", "***:b"),
        ("{% for name in services %}{{ services[name].token }},{% endfor %}", "***,***,"),
        ("{% if not service_token %}none{% elif proxy.password is not none %}both{% endif %}", "both"),
        ("{{ service_token or 'none' }}{{ service_token | default('none', true) }}", "******"),
        (
            "{% if 'github' in services and services.github.name == 'github' %}{{ service_token }}{% endif %}",
            "***",
        ),
        ("{% if input.user.pin is defined %}{{ input.user.pin }}{% endif %}", "***"),
        ("{{ input.name }}", "world"),
    ] {
        assert_eq!(variable(template), expected, "{template}");
    }
}

/// Conditions that look at the secrets S and T.
pub(crate) const CONDITIONS: &[&str] = &[
    "S == 'x'",
    "'x' == S",
    "S != 'x'",
    "S < 'x'",
    "'x' >= S",
    "'a' < S < 'z'",
    "S in ['x', 'y']",
    "'x' in S",
    "'x' in [S]",
    "S not in ['x']",
    "(S) == 'x'",
    "not (S == 'x')",
    "true and S == 'x'",
    "S|string == 'x'",
    "S ~ '' == 'x'",
    "S == S",
    "[S] == ['x']",
    "{'a': S} == {'a': 'x'}",
    "S is eq 'x'",
    "S is equalto('x')",
    "S is ne 'x'",
    "S is lt 'x'",
    "S is ge 'x'",
    "S is sameas 'x'",
    "S is in ['x']",
    "'x' is in [S]",
    "S is string",
    "S is number",
    "S is true",
    "S is lower",
    "S is startingwith 'x'",
    "S is endingwith 'x'",
    "[S] | select('eq', 'x') | list",
    "['x'] | reject('equalto', S) | list",
    "[{'a': S}] | selectattr('a', 'eq', 'x') | list",
    "[S, 'x'] | sort",
    "[S, 'x'] | max",
    "[S, S] | unique | list",
    "[{'a': S}, {'a': T}] | sort(attribute='a')",
    "[{'a': S}, {'a': T}] | groupby('a')",
];

#[test]
fn a_secret_is_never_compared_or_tested() {
    for condition in CONDITIONS {
        let (secret, other) = ("profile.secrets.password", "services['my-mail'].token");
        let condition = condition.replace('T', other).replace('S', secret);
        let loops = format!("{{% for x in ['x'] if {condition} %}}{{% endfor %}}");
        let set = format!("{{% set x = {condition} %}}");
        for template in [
            format!("{{% if {condition} %}}a{{% else %}}b{{% endif %}}"),
            format!("{{{{ 'a' if {condition} }}}}"),
            set,
            loops,
        ] {
            let refusals = show(with_variable(&template)).unwrap_err();
            assert_eq!(refusals[0].path, ["spec", "program", "environment", "X"], "{template}");
            assert!(!refusals[0].message.contains('\u{10FFF0}'), "{}", refusals[0].message);
        }
    }
    for template in [
        "{% set p = input.user.pin %}{% if p == '1234' %}{% endif %}",
        "{% for p in [input.user.pin] %}{{ p == 1 }}{% endfor %}",
        "{% macro m(p) %}{{ p == 1 }}{% endmacro %}{{ m(input.user.pin) }}",
        "{% if input.user == {'pin': '1'} %}{% endif %}",
        "{{ input['us' ~ 'er']['pin'] == '1' }}",
        // It may be empty, which a template must not see.
        "{% if input.user.pin %}{% endif %}",
        "{{ 'a' if not input.user.pin }}",
        "{{ input.user.pin or 'none' }}",
        "{{ input.user.pin | default('none', true) }}",
        "{{ input.user.pin is none }}",
        "{{ service_token | pprint }}",
        // Text that it was joined to.
        "{% set h = 'Bearer ' ~ service_token %}{% if h == 'Bearer x' %}{% endif %}{{ h }}",
        "{% set h = 'Bearer ' ~ service_token %}{{ h }}{{ 'a' if h is eq 'Bearer x' }}",
    ] {
        let message = refusal(with_variable(template));
        assert!(
            message.contains("compared or tested") || message.contains("unchanged"),
            "{template}: {message}"
        );
    }
    let message = refusal(with_variable("a\n{% if profile.secrets.password == 'x' %}{% endif %}"));
    assert!(message.starts_with("line 2, column "), "{message}");
    assert!(
        message.contains("the secret profile.secrets.password must not be compared or tested"),
        "{message}"
    );
}

#[test]
fn a_secret_can_only_be_used_unchanged() {
    for template in [
        "{{ service_token | upper }}",
        "{{ service_token | lower }}",
        "{{ service_token | title }}",
        "{{ service_token | capitalize }}",
        "{{ service_token | urlencode }}",
        "{{ service_token | tojson }}",
        "{{ service_token | trim }}",
        "{{ service_token | replace('a', 'b') }}",
        "{{ service_token | length }}",
        "{{ service_token | reverse }}",
        "{{ service_token | first }}",
        "{{ service_token | list }}",
        "{{ service_token[0] }}",
        "{{ service_token[:4] }}",
        "{{ (service_token ~ '')[:4] }}",
        "{{ (service_token ~ '')[1:] }}",
        "{{ (service_token ~ '') | length }}",
        "{{ (service_token ~ 'x') | upper }}",
        "{{ '%.3s' | format(service_token) }}",
        "{{ service_token | int }}",
        "{{ service_token + 'x' }}",
        "{{ {'a': [service_token]} | tojson }}",
        "{{ services | tojson }}",
        "{{ services | urlencode }}",
        "{% for c in service_token ~ '' %}{{ c }}-{% endfor %}",
        "{% set x = service_token ~ '' %}gone",
        "{{ service_token }}{{ (service_token ~ '') | length }}",
        "{{ input.user | tojson }}",
        "{{ input.user.pin | upper }}",
        "{{ proxy.url | replace('socks5h', 'http') }}",
        "{{ profile.path | upper }}",
    ] {
        let refusals = show(with_variable(template)).unwrap_err();
        assert_eq!(refusals[0].code, RefusalCode::NotComposable, "{template}");
        assert_eq!(refusals[0].path, ["spec", "program", "environment", "X"]);
        assert!(!refusals[0].message.contains('\u{10FFF0}'), "{}", refusals[0].message);
    }
    let message = refusal(with_variable("{{ service_token | upper }}"));
    assert_eq!(
        message,
        "the secret services.github.token can only be used unchanged, without a filter or an index"
    );
    let message = refusal(with_variable("{{ service_token | tojson }}"));
    assert!(message.contains("a secret can only be used unchanged"), "{message}");
}

#[test]
fn a_refused_template_does_not_affect_the_next_one() {
    let spec = ProgramSpec::builder("/usr/bin/echo")
        .variable("A", "{{ service_token | upper }}")
        .variable("B", "{{ service_token ~ input.missing }}")
        .variable("C", "{{ service_token }}{{ input.missing }}")
        .variable("D", "plain {{ input.name }}")
        .variable("E", "{{ service_token }}");
    let refusals = show(CommandSpec::Program(spec.build(&allowed()).unwrap())).unwrap_err();
    let places: Vec<&str> = refusals.iter().map(|refusal| refusal.path[3].as_str()).collect();
    assert_eq!(places, ["A", "B", "C"]);
}

#[test]
fn a_forged_mark_is_plain_text() {
    let mut fixture = Fixture::new();
    for index in 0..4 {
        let forged = format!("\u{10FFF0}aZ0000000000000000.{index}\u{10FFF1}");
        fixture.input = json!({"note": forged, "user": {"pin": "***"}});
        let services = fixture.services();
        let ingredients = fixture.full(&services);
        let compiled = CompiledSpec::compile(with_variable("{{ input.note }}")).unwrap();
        let composition = compose(&compiled, &ingredients, Nonce::draw()).unwrap();
        assert_eq!(composition.masked().environment["X"], forged, "the input is unchanged");
        // Beside a real secret, a stray mark is refused, because it looks like a broken one.
        let both = CompiledSpec::compile(with_variable("{{ input.note }}{{ service_token }}")).unwrap();
        assert!(compose(&both, &ingredients, Nonce::draw()).is_err());
    }
}

#[test]
fn a_composition_names_its_secrets() {
    let fixture = Fixture::new();
    let services = fixture.services();
    let ingredients = fixture.full(&services);
    let compiled =
        CompiledSpec::compile(with_variable("{{ input.user.pin }}{{ profile.secrets.password }}")).unwrap();
    let composition = compose(&compiled, &ingredients, Nonce::draw()).unwrap();
    let all: Vec<String> = composition.secrets().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["profile.secrets.password", "proxy.username", "proxy.password", "input.user.pin"]);
    let bare = fixture.bare();
    let compiled = CompiledSpec::compile(with_argument("x")).unwrap();
    assert!(compose(&compiled, &bare, Nonce::draw()).unwrap().secrets().is_empty());
}

#[test]
fn credentials_in_a_url_are_percent_encoded() {
    let plan = reveal(with_variable("{{ proxy.url }}"));
    let (_, url) = plan.environment.iter().find(|(name, _)| name == "X").unwrap();
    assert_eq!(url.expose_secret(), "socks5h://proxy-user%401:proxy%3Apass%2F1@127.0.0.1:3128");
    let piece = Piece::Secret(SecretRef::ProxyPassword, Encoding::Url);
    assert!(!format!("{piece:?}").contains(SECRETS[4]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_input_becomes_a_mark(note in "[ -~\u{10FFF0}\u{10FFF1}]{0,40}") {
        let mut fixture = Fixture::new();
        fixture.input = json!({"note": note, "user": {"pin": "***"}});
        let services = fixture.services();
        let ingredients = fixture.full(&services);
        let spec = with_variable("{{ input.note }}");
        let shown = show_for(spec, &ingredients).map(|shown| shown.environment["X"].clone());
        prop_assert!(shown.is_ok_and(|shown| shown == note));
    }
}
