//! Which tokens a command names. A program or script gets those, and no others of its job.

use super::{invalid, line_secrets::path_at, too_many};
use crate::{compose::SecretRef, name::check_identifier, refusal::Refusal};

/// Stands for the tokens of all services of the job.
pub(super) const ALL: &str = "*";
/// Stands for the token of the first service that has one, as in templates.
pub(super) const FIRST: &str = "service_token";
/// Most names of a list.
const NAMES_MAX: usize = 100;

/// Whether one of the texts names the token of a service: by the template `services.NAME.token`, by
/// its variable `SERVICE_NAME_TOKEN`, or, if it is the first service that has one, by
/// `service_token` or `SERVICE_TOKEN`.
pub(super) fn in_texts<'a>(texts: impl Iterator<Item = &'a str>, service: &str, is_first: bool) -> bool {
    let variable = SecretRef::ServiceToken(service.to_owned()).variable_name();
    let mut texts = texts;
    texts.any(|text| {
        text.contains(&variable)
            || (is_first && (text.contains("service_token") || text.contains("SERVICE_TOKEN")))
            || text.match_indices("services").any(|(at, _)| is_token_of(&text[at..], service))
    })
}

fn is_token_of(text: &str, service: &str) -> bool {
    path_at(text).is_some_and(|(path, _)| {
        let [root, name, field, ..] = path.as_slice() else { return false };
        root == "services" && name == service && field == "token"
    })
}

/// Whether a list names the token of a service.
pub(super) fn in_list(list: &[String], service: &str, is_first: bool) -> bool {
    list.iter().any(|name| name == service || name == ALL || (is_first && name == FIRST))
}

/// Whether the source of a script has the name of a service as a word of its own, as has every
/// script that reads `services.NAME`, `services["NAME"]` or `{ NAME }`, or goes through all of them
/// by `Object.values(services)` or `Object.entries(services)`.
pub(super) fn in_script(script: &str, service: &str) -> bool {
    let takes_all = |function: &str| {
        script.match_indices(function).any(|(at, _)| {
            let rest = script[at + function.len()..].trim_start();
            rest.strip_prefix('(').is_some_and(|rest| rest.trim_start().starts_with("services"))
        })
    };
    if takes_all("Object.values") || takes_all("Object.entries") {
        return true;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '$';
    script
        .match_indices(service)
        .any(|(at, _)| !script[..at].ends_with(is_part) && !script[at + service.len()..].starts_with(is_part))
}

/// What is wrong with a list.
pub(super) fn faults(kind: &str, list: &[String]) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = too_many(&[kind, "tokens"], list.len(), NAMES_MAX).into_iter().collect();
    let bad = list.iter().enumerate().filter(|(_, name)| *name != ALL && check_identifier("", name).is_err());
    refusals.extend(bad.map(|(index, _)| {
        invalid(
            &[kind, "tokens", &index.to_string()],
            "must be the name of a service, or `*` for all of them",
        )
    }));
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_by_its_template_or_its_variable() {
        for (text, service, is_first, is_named) in [
            ("{{ services.github.token }}", "github", false, true),
            ("{{ services[\"my-mail\"].token }}", "my-mail", false, true),
            ("{{ services['github'].token }}", "github", false, true),
            ("{{ services.github.base_url }}", "github", true, false),
            ("{{ services.git.token }}", "github", true, false),
            ("echo $SERVICE_GITHUB_TOKEN", "github", false, true),
            ("echo $SERVICE_TOKEN", "github", true, true),
            ("echo $SERVICE_TOKEN", "github", false, false),
            ("{{ service_token }}", "github", true, true),
            ("{{ service_token }}", "github", false, false),
            ("github", "github", true, false),
        ] {
            assert_eq!(in_texts([text].into_iter(), service, is_first), is_named, "{text} {service}");
        }
    }

    #[test]
    fn a_script_names_a_service_by_its_name() {
        for (script, is_named) in [
            ("await go(services.shop.token)", true),
            ("const { shop } = services", true),
            ("services['shop']", true),
            ("const shopping = 1, my_shop = 2, $shop = 3", false),
            ("services['shop-2']", false),
            ("Object.keys(services)", false),
            ("Object.values(services).map(({ token }) => token)", true),
            ("for (const [name, { token }] of Object.entries ( services )) {}", true),
        ] {
            assert_eq!(in_script(script, "shop"), is_named, "{script}");
        }
        let in_list = |name: &str, is_first| in_list(&[name.to_owned()], "shop", is_first);
        assert!(in_list("*", false) && in_list("shop", false) && in_list("service_token", true));
        assert!(!in_list("other", true) && !in_list("service_token", false));
    }
}
