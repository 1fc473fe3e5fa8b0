//! Which templates are allowed, what they see, and how they are refused.

use std::collections::BTreeMap;

use callboard::{
    command::{CommandSpec, CompiledSpec},
    refusal::RefusalCode,
};

use crate::fixture::{Fixture, refusal, show, show_for, with_argument, with_variable};

fn argument(template: &str) -> String {
    show(with_argument(template)).unwrap().arguments.remove(0)
}

#[test]
fn values_render_as_text() {
    for (template, expected) in [
        ("plain {text} %}", "plain {text} %}"),
        ("Hello {{ input.name }}!", "Hello world!"),
        ("{{ input.count }} {{ input.ratio }} {{ input.flag }} {{ not input.flag }}", "3 1.5 true false"),
        ("{{ input.list | join('+') }}", "a+b c"),
        ("{{ input.list | tojson }}", r#"["a","b c"]"#),
        ("{{ input.name | tojson }}{{ input.nothing | tojson }}", r#""world"null"#),
        ("{{ 'a b/&ä' | urlencode }}", "a%20b%2F%26%C3%A4"),
        ("{{ input.missing | default('none') }}{{ input.nothing | default('-', true) }}", "none-"),
        ("{% if input.flag %}yes{% else %}no{% endif %}{{ 'x' if not input.flag }}", "yes"),
        ("{% for item in input.list %}[{{ item }}]{% endfor %}", "[a][b c]"),
        ("{% if proxy %}{{ proxy.address }}{% endif %}", "127.0.0.1:3128"),
        ("{{ profile.name }} {{ profile.path }} {{ chrome_profile }}", "Alice team/alice team/alice"),
        ("{{ profile.environment.LANG }}", "de"),
        ("{{ proxy.name }} {{ proxy.protocol }} {{ proxy_address }}", "exit socks5 127.0.0.1:3128"),
        ("{{ service_name }} {{ services.github.base_url }}", "github https://api.github.test/"),
        ("{{ services.github.settings.org }} {{ services['my-mail'].name }}", "acme my-mail"),
        ("{{ services.github.settings.deep.list[1] }}", "2"),
        ("{{ job.attempt }} {{ job.id }}", "2 job_00000000000000000000000005"),
        ("{{ input.user.id }}{# a note #}", "7"),
        ("{{ ' a ' | trim }}{{ 'a-b' | replace('-', '+') }}", "aa+b"),
        ("<{{ '<&>' }}>", "<<&>>"),
        ("{{ input.name }}\n", "world\n"),
        ("{\"a\": {{ input.count }}}\n\n", "{\"a\": 3}\n\n"),
        ("{% for item in input.list %}{{ item }}\n{% endfor %}", "a\nb c\n"),
        ("{{ input.name == 'world' }} {{ 'w' in input.name }} {{ input.count in [1, 3] }}", "true true true"),
        ("{{ input.count < 4 and not input.name != 'world' }} {{ 1 < input.count <= 3 }}", "true true"),
        (
            "{{ input.name is eq 'world' }} {{ 'b c' is in input.list }} {{ 'github' in services }}",
            "true true true",
        ),
        ("{% for item in input.list if item == 'a' %}{{ item }}{% endfor %}", "a"),
        (
            "{{ input.missing is eq 'a' }} {{ input.missing is none }} {{ input.nothing is none }}",
            "false false true",
        ),
        ("{{ input.list | sort | join }}{{ [2, 1] | min }}{{ ['b', 'b'] | unique | join }}", "ab c1b"),
        ("{{ [1, 2, 3] | select('gt', 1) | join }}{{ input.list | map('upper') | join }}", "23AB C"),
    ] {
        assert_eq!(argument(template), expected, "{template}");
    }
}

#[test]
fn missing_values_are_named() {
    for (template, expected) in [
        (
            "{{ input.missing }}",
            "line 1, column 4: this command uses `input.missing`, but the input has no missing",
        ),
        (
            "{{ input.user.x }}",
            "line 1, column 4: this command uses `input.user.x`, but the input has no user.x",
        ),
        (
            "{{ services.other.token }}",
            "this command uses `services.other`, but the job has no service other",
        ),
        ("{{ profile.secrets.x }}", "this command uses `profile.secrets.x`, but the profile has no secret x"),
        ("{{ profile.environment.x }}", "`profile.environment.x`, but the profile has no variable x"),
        ("{{ services['my-mail'].base_url }}", "but the service my-mail has no base URL"),
        ("é{{ input.nothing }}", "line 1, column 5: `input.nothing` is null"),
        ("{{ input.list }}", "`input.list` is a list or an object"),
        ("{{ input.missing | tojson }}", "but the input has no missing"),
        ("{{ input.missing | urlencode }}", "but the input has no missing"),
        ("{{ input.missing | upper }}", "but the input has no missing"),
        ("a {{ input.missing == 'a' }}", "line 1, column 3: this command uses `input.missing`"),
        ("{{ input.name == input.missing.x }}", "but the input has no missing"),
        ("{% if input.name == 'a' %}{% endif %}{{ input.missing }}", "line 1, column 41: "),
    ] {
        let message = refusal(with_argument(template));
        assert!(message.contains(expected), "{template}: {message}");
    }
}

#[test]
fn missing_parts_of_the_job_are_named() {
    let fixture = Fixture::new();
    for (template, expected) in [
        ("{{ proxy.address }}", "this command uses `proxy.address`, but the job has no proxy"),
        ("{{ proxy_address }}", "this command uses `proxy_address`, but the job has no proxy"),
        ("{{ proxy }}", "`proxy` is null"),
        ("{{ chrome_profile }}", "this command uses `chrome_profile`, but the job has no profile"),
        ("{{ profile.secrets.x }}", "but the job has no profile"),
        ("{{ service_token }}", "this command uses `service_token`, but the job has no service with a token"),
        ("{{ services.github.token }}", "but the job has no service github"),
    ] {
        let refusals = show_for(with_variable(template), &fixture.bare()).unwrap_err();
        assert_eq!(refusals[0].code, RefusalCode::NotComposable);
        assert_eq!(refusals[0].path, ["spec", "program", "environment", "X"]);
        assert!(refusals[0].message.contains(expected), "{template}: {}", refusals[0].message);
    }
    let optional = with_argument(
        "{% if proxy %}{{ proxy.address }}{% else %}direct{% endif %}{{ job.id }}{{ job.attempt }}",
    );
    assert_eq!(show_for(optional, &fixture.bare()).unwrap().arguments, ["direct{job.id}1"]);
}

#[test]
fn malformed_templates_are_refused_with_line_and_column() {
    for (template, place) in [
        ("{{ input.", "line 1, column "),
        ("a\nb {{ x y }}", "line 2, column 8: "),
        ("{% if input.x %}", "line 1"),
        ("\n\n  {% nonsense %}", "line 3, column 6: "),
        ("{% include 'x' %}", "line 1, column 4: "),
        ("{{ 'open }}", "line 1"),
        ("a\n{{ input.inptu }}{{ inptu.x }}", "line 2, column 21: there is no variable `inptu`"),
        ("a\n b {{ inptu.x }}", "line 2, column 7: there is no variable `inptu`"),
        ("{{ nonsense() }}", "line 1, column 4: there is no variable `nonsense`"),
        ("{{ debug() }}", "line 1, column 4: there is no variable `debug`"),
        ("{% if unknown is defined %}x{% endif %}", "line 1, column 7: there is no variable `unknown`"),
    ] {
        let spec = CommandSpec::Program(callboard::command::ProgramSpec {
            program: "/usr/bin/echo".into(),
            arguments: vec!["fine".into(), template.into()],
            environment: BTreeMap::new(),
            stdin: None,
            tokens: Vec::new(),
        });
        let refusals = CompiledSpec::compile(spec.clone()).unwrap_err();
        assert_eq!(refusals[0].code, RefusalCode::Invalid);
        assert_eq!(refusals[0].path, ["spec", "program", "arguments", "1"]);
        assert!(refusals[0].message.starts_with(place), "{template}: {}", refusals[0].message);
        assert_eq!(spec.check(&crate::fixture::allowed()).unwrap_err(), refusals);
    }
}

#[test]
fn unknown_filters_and_tests_are_refused_when_saved() {
    for (template, expected) in [
        ("{{ input.name | nonsense }}", "line 1, column 17: the filter `nonsense` is unknown"),
        ("\n{{ input.name|upper|nonsense(1) }}", "line 2, column 21: the filter `nonsense` is unknown"),
        ("{% if false %}{{ 1 | nonsense }}{% endif %}", "the filter `nonsense` is unknown"),
        ("{% filter nonsense %}{% endfilter %}", "the filter `nonsense` is unknown"),
        ("{% set x | nonsense %}a{% endset %}", "the filter `nonsense` is unknown"),
        ("{{ input.list | map('nonsense') | join }}", "the filter `nonsense` is unknown"),
        ("{{ 1 is nonsense }}", "line 1, column 9: the test `nonsense` is unknown"),
        ("{{ 1 is not nonsense }}", "the test `nonsense` is unknown"),
        ("{{ input.list | select('nonsense') | join }}", "the test `nonsense` is unknown"),
        ("{{ input.list | selectattr('a', 'nonsense') | join }}", "the test `nonsense` is unknown"),
        ("{{ input.list | rejectattr('a.b', 'nonsense', 1) | join }}", "the test `nonsense` is unknown"),
        ("{{ input.list | map('') | join }}", "the filter `` is unknown"),
        (
            "{{ input.name.nonsense() }}",
            "line 1, column 15: values have no methods, so that `.nonsense()` cannot be called",
        ),
        ("{{ input.name.upper() }}", "Write the filter `| upper` instead of `.upper()`"),
        ("{{ 'a'.join(input.list) }}", "Write the filter `| join` instead of `.join()`"),
    ] {
        let built = callboard::command::HttpSpec::builder("https://x.test").body(template).build();
        let refusals = built.unwrap_err();
        assert_eq!((refusals[0].code, refusals.len()), (RefusalCode::Invalid, 1), "{template}");
        assert_eq!(refusals[0].path, ["spec", "http", "body"]);
        assert!(refusals[0].message.ends_with(expected), "{template}: {}", refusals[0].message);
    }
    for template in [
        "'a | nonsense'",
        "{{ 'a | nonsense' }}",
        "{{ input['is'] is defined }}",
        "{# 1 | nonsense #}",
        "{{ input.list | selectattr('nonsense') | map(attribute='nonsense') | join }}",
        "{{ input.list | map(input.filter) | join }}",
        "{{ input.list | map('up' ~ 'per') | join }}",
        "{% for x in input.list %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x) }}{% endfor %}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1) }}{{ range(2) | join }}",
        "{{ (input.a.b) }}{{ input.a.b if (true) }}",
    ] {
        assert!(
            callboard::command::HttpSpec::builder("https://x.test").body(template).build().is_ok(),
            "{template}"
        );
    }
}

#[test]
fn what_a_loops_variable_lacks_is_named() {
    let mut fixture = Fixture::new();
    fixture.input = serde_json::json!({"rows": [{"note": "a"}, {"note": "b"}], "mixed": [{"note": "a"}, {}], "user": {"pin": "***"}});
    let services = fixture.services();
    let ingredients = fixture.full(&services);
    let template =
        |list: &str| with_argument(&format!("{{% for x in input.{list} %}}{{{{ x.note }}}}{{% endfor %}}"));
    assert_eq!(show_for(template("rows"), &ingredients).unwrap().arguments, ["ab"]);
    let message = show_for(template("mixed"), &ingredients).unwrap_err().remove(0).message;
    assert!(message.ends_with("`x.note` is undefined"), "{message}");
}

#[test]
fn work_and_text_are_bounded() {
    for template in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ ('x' * 10000) | replace('x', 'y' * 10000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ] {
        let message = refusal(with_argument(template));
        assert!(!message.is_empty(), "{template}: {message}");
    }
    let message = refusal(with_argument("{{ 'x' * 200000 }}"));
    assert!(message.contains("is 200000 bytes long when rendered"), "{message}");
    assert!(refusal(with_argument("a{{ '\\u0000' }}")).contains("NUL"));
}
