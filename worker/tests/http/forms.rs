//! Secrets that a server sends back in another form than it got them, or that are changed on the
//! way: none is shown.

use callboard::{
    command::{HttpSpec, Redirects},
    secret::Redactor,
};

use crate::{
    call::{Call, DIRECT},
    site::{Reply, Site},
};

const SECRETS: [&str; 2] = ["WJalrXUtnFEMIK7MDENG", "Geheimnis-\u{e4}-Vertraulich-\u{e9}"];

/// What of a secret is recognised in any form: its runs of ASCII, in lower case.
fn pieces(secret: &str) -> Vec<String> {
    let runs = secret.split(|c: char| !c.is_ascii_alphanumeric());
    runs.filter(|run| run.len() > 5).map(str::to_ascii_lowercase).collect()
}

/// What a call shows to which this is replied, as the worker keeps it.
fn shown(
    secret: &'static str,
    redirects: Redirects,
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> String {
    let site = Site::start(move |_| reply());
    let call = Call { token: secret, base_url: Some(&site.url), ..DIRECT };
    let spec = HttpSpec::builder(&site.url).header("X-Api-Key", "{{ services.s.token }}");
    let output = call.run(spec.redirects(redirects)).output;
    Redactor::new([&secret.into()]).redact(&output).to_lowercase()
}

#[test]
fn what_is_written_in_another_form_is_masked_before() {
    for secret in SECRETS {
        for (what, status, header, value) in [
            ("host", 302, "location", format!("http://{secret}.invalid/")),
            ("label", 302, "location", format!("//x-{secret}-y.invalid:1/?a")),
            ("user", 302, "location", format!("http://{secret}:x@127.0.0.1:9/")),
            ("slash", 302, "location", format!("http:\\\\{secret}\\a")),
            ("scheme", 302, "location", format!("{}://x/", secret.replace(|c: char| !c.is_ascii(), ""))),
            ("coding", 200, "content-encoding", secret.to_owned()),
            ("two codings", 200, "content-encoding", format!("gzip, {secret}")),
            ("type", 200, "content-type", format!("text/{secret}")),
            ("charset", 200, "content-type", format!("text/plain; charset={secret}")),
            ("name", 200, secret, "x".to_owned()),
            ("limit", 429, &*format!("x-ratelimit-remaining-{secret}").leak(), "5".to_owned()),
            ("resource", 429, "x-ratelimit-resource", secret.to_owned()),
        ] {
            for redirects in [Redirects::None, Redirects::Follow, Redirects::SameOrigin] {
                let value = value.clone();
                let shown =
                    shown(secret, redirects, move || Reply::of(status, "").with(header, value.clone()));
                // The masked form of the second one is no scheme.
                if what == "scheme" && !secret.is_ascii() {
                    continue;
                }
                for piece in pieces(secret) {
                    assert!(!shown.contains(&piece), "{what} {secret}: {shown}");
                }
            }
        }
    }
}

#[test]
fn a_body_is_masked_whatever_encoding_the_server_names() {
    for secret in SECRETS {
        let latin_1: Vec<u8> = secret.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let others = [secret.as_bytes().to_vec(), latin_1];
        for bytes in others.iter().flat_map(|bytes| [bytes.clone(), [bytes, &b" \xff rest"[..]].concat()]) {
            for content_type in [
                "text/plain",
                "text/plain; charset=utf-8",
                "text/html; charset=iso-8859-1",
                "application/octet-stream",
                "text/xml; charset=windows-1251",
            ] {
                for status in [200, 500] {
                    let body = bytes.clone();
                    let reply = move || Reply::of(status, body.clone()).with("content-type", content_type);
                    let shown = shown(secret, Redirects::None, reply);
                    for piece in pieces(secret) {
                        assert!(!shown.contains(&piece), "{content_type} {secret}: {shown}");
                    }
                }
            }
        }
    }
}
