//! What a template does with secrets that is refused when the command is saved.

use callboard::{command::CommandSpec, refusal::RefusalCode};
use serde_json::json;

use crate::{
    fixture::{with_argument, with_variable},
    secrets::CONDITIONS,
};

/// The input's schema of the fixture.
fn schema() -> serde_json::Value {
    let id = json!({ "type": "integer" });
    let user = json!({ "allOf": [{ "properties": { "id": id, "pin": { "$ref": "#/$defs/secret" } } }] });
    json!({ "properties": { "user": user }, "$defs": { "secret": { "writeOnly": true } } })
}

fn misused(spec: &CommandSpec) -> Option<String> {
    let mut refusals = spec.misused_secrets(&schema());
    assert!(refusals.len() <= 1, "{refusals:?}");
    refusals.pop().map(|refusal| {
        assert_eq!(refusal.code, RefusalCode::Invalid);
        assert!(
            refusal.message.starts_with("line ") && !refusal.message.contains('\u{10FFF0}'),
            "{refusal:?}"
        );
        refusal.message
    })
}

#[test]
fn a_misuse_that_no_job_changes_is_refused_when_saved() {
    // Of an object it depends on the other side what is looked at.
    let later = "{'a': S} == {'a': 'x'}";
    for named in CONDITIONS.iter().filter(|named| **named != later) {
        for (secret, other) in [
            ("profile.secrets.password", "services['my-mail'].token"),
            ("service_token", "proxy.password"),
            ("input['user'].pin", "proxy.username"),
        ] {
            let condition = named.replace('T', other).replace('S', secret);
            for template in [
                format!("{{% if {condition} %}}a{{% endif %}}"),
                format!("{{{{ 'a' if {condition} }}}}"),
                format!("{{% if input.x %}}{{% elif {condition} %}}{{% endif %}}"),
            ] {
                assert!(misused(&with_variable(&template)).is_some(), "{template}");
            }
        }
    }
    for (template, message) in [
        (
            "a\n{% if profile.secrets.pw == 'x' %}{% endif %}",
            "line 2, column 7: the secret profile.secrets.pw must not be compared or tested: templates never see \
             its value, only place it",
        ),
        ("{% if input.a and service_token == input.b %}{% endif %}", "the secret service_token must not"),
        ("{% for x in input.list if x == service_token %}{% endfor %}", "the secret service_token must not"),
        ("{% set p = input.user.pin %}{% if p == '1' %}{% endif %}", "the secret input.user.pin must not"),
        ("{% set h = 'x' ~ proxy.username %}{{ h == 'xy' }}", "must not be compared"),
        ("{% if input.user.pin %}{% endif %}", "the secret input.user.pin must not be compared or tested"),
        (
            "{% if input.x %}{{ service_token | upper }}{% endif %}",
            "service_token can only be used unchanged",
        ),
        ("{{ service_token | tojson }}", "a secret can only be used unchanged"),
        (
            "{{ services.any.token | default('') == '' }}",
            "the secret services.any.token must not be compared",
        ),
        ("{% if chrome_profile == 'x' %}{% endif %}", "profile.path must not be compared"),
    ] {
        let found = misused(&with_variable(template)).unwrap_or_else(|| panic!("{template} is saved"));
        assert!(found.contains(message), "{template}: {found}");
    }
}

#[test]
fn what_a_job_may_do_is_saved() {
    for template in [
        "{{ 'Bearer ' ~ service_token }}",
        "{% set header = 'Bearer ' ~ service_token %}{{ header }} {{ header }}",
        "{{ service_token | default('x') }}{{ service_token or 'none' }}",
        "{{ services.other.token | default('x') if services.other is defined else 'none' }}",
        "{% if service_token %}has{% elif proxy.password is not none %}{{ proxy.url }}{% endif %}",
        "{{ [service_token, 'b'] | join(':') }}",
        "{% for name in services %}{{ services[name].token }},{% endfor %}",
        "{% if 'github' in services and services.github.name == 'github' %}{{ service_token }}{% endif %}",
        "{% if input.user.pin is defined %}{{ input.user.pin }}{% endif %}",
        "{% if input.user.id == 7 and input.pin == 'public' %}{{ input.user.id + 1 }}{% endif %}",
        "{% if proxy == none or profile == none or input.user == none %}{% endif %}",
        "{% if profile.name == 'x' and service_name == 'y' and services.a.base_url != 'z' %}{% endif %}",
        "{% if profile.environment.secrets == 'x' or services.a.settings.token == 'y' %}{% endif %}",
        "{% if profile.secrets.password is defined and profile.secrets.password %}{% endif %}",
        "{{ services | length > 1 }}{{ profile.secrets | length }}",
        // Names of the template's own.
        "{% set service_token = 'x' %}{% if service_token == 'x' %}{% endif %}",
        "{% for input in input.list %}{{ input.user.pin == 1 }}{% endfor %}",
        "{% macro m(profile) %}{{ profile.secrets.a == 1 }}{% endmacro %}",
        "{% with proxy = input.proxy %}{{ proxy.password == 1 }}{% endwith %}",
        "{% set p = service_token %}{% set p = 'x' %}{{ p == 'x' }}",
        "{% raw %}{{ service_token == 'x' }}{% endraw %}{# {{ service_token == 'x' }} #}",
        "service_token == 'x'",
    ] {
        assert_eq!(misused(&with_variable(template)), None, "{template}");
    }
    // Where a secret must not be used, the preview and the enqueue say.
    for template in
        ["{{ 'yes' if service_token else 'no' }}", "{{ service_token is defined }}", "{{ service_token }}"]
    {
        assert_eq!(misused(&with_argument(template)), None, "{template}");
    }
}
