//! Stored specs: their bounds, their JSON form and their builders.

use callboard::{
    command::{
        ARGUMENTS_MAX, ArtifactMode, BODY_BYTES_MAX, CommandSpec, HEADERS_MAX, HttpSpec, PlaywrightSpec,
        ProgramSpec, Redirects, SCRIPT_BYTES_MAX,
    },
    command_kind::Kind,
    refusal::{Refusal, RefusalCode},
};
use serde_json::json;

use crate::fixture::allowed;

fn paths(result: Result<impl Sized, Vec<Refusal>>) -> Vec<String> {
    let refusals = result.err().unwrap_or_default();
    refusals.into_iter().map(|refusal| refusal.path.join(" ")).collect()
}

#[test]
fn composed_values_are_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    shared::<callboard::command::CompiledSpec>();
    shared::<callboard::command::Composition<'static>>();
    shared::<callboard::compose::InputSchema>();
    shared::<callboard::compose::SecretValues>();
    shared::<callboard::secret::Keyring>();
    shared::<callboard::secret::RedactingLines>();
}

#[test]
fn kinds_round_trip() {
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert_eq!(Kind::parse("line"), None);
}

#[test]
fn stored_specs_round_trip_and_tolerate_other_versions() {
    for (stored, kind) in [
        (json!({"kind": "playwright", "script": "x"}), Kind::Playwright),
        (json!({"kind": "http", "url": "https://x.test", "added": {"later": true}}), Kind::Http),
        (json!({"kind": "program", "program": "/usr/bin/x"}), Kind::Program),
    ] {
        let spec: CommandSpec = serde_json::from_value(stored).unwrap();
        assert_eq!(spec.kind(), kind);
        assert_eq!(spec.check(&allowed()), Ok(()));
        let again: CommandSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }
    let spec: PlaywrightSpec = serde_json::from_value(json!({"script": "x"})).unwrap();
    assert_eq!(spec, PlaywrightSpec::builder("x").build().unwrap());
    assert_eq!(
        (spec.trace, spec.screenshot, spec.headless),
        (ArtifactMode::Off, ArtifactMode::OnFailure, true)
    );
    let http: HttpSpec = serde_json::from_value(json!({"url": "https://x.test"})).unwrap();
    assert_eq!(http.redirects, Redirects::Follow, "as before there was a choice");
    let none = HttpSpec::builder("https://x.test").redirects(Redirects::None).build().unwrap();
    assert_eq!(serde_json::to_value(none).unwrap()["redirects"], "NONE");
    assert_eq!(http, HttpSpec::builder("https://x.test").build().unwrap());
}

#[test]
fn playwright_is_bounded() {
    assert_eq!(paths(PlaywrightSpec::builder(" ").build()), ["spec playwright script"]);
    assert!(PlaywrightSpec::builder("x".repeat(SCRIPT_BYTES_MAX)).build().is_ok());
    assert_eq!(
        paths(PlaywrightSpec::builder("x".repeat(SCRIPT_BYTES_MAX + 1)).build()),
        ["spec playwright script"]
    );
    assert_eq!(paths(PlaywrightSpec::builder("a\0").build()), ["spec playwright script"]);
    assert_eq!(paths(PlaywrightSpec::builder("export default () => {").build()), ["spec playwright script"]);
    for (width, height) in [(0, 1), (1, 0), (7681, 1), (1, 4321)] {
        assert_eq!(
            paths(PlaywrightSpec::builder("x").viewport(width, height).build()),
            ["spec playwright viewport"]
        );
    }
    let spec = PlaywrightSpec::builder("`${page} {{ not a template`")
        .viewport(7680, 4320)
        .trace(ArtifactMode::Always);
    assert!(spec.video(ArtifactMode::OnFailure).headless(false).build().is_ok());
}

#[test]
fn http_is_bounded() {
    let url = "https://x.test/{{ input.id }}";
    let fine = HttpSpec::builder(url)
        .method("POST")
        .header("A", "{{ service_token }}")
        .body("{}")
        .expect_status(404);
    assert!(fine.build().is_ok());
    for bad in ["", "x.test", "/path", "ftp://x.test", "file:///etc/passwd", "https://u:p@x.test", "http://"]
    {
        assert_eq!(paths(HttpSpec::builder(bad).build()), ["spec http url"], "{bad}");
    }
    assert_eq!(paths(HttpSpec::builder(url).method("get").build()), ["spec http method"]);
    assert_eq!(paths(HttpSpec::builder(url).method("CONNECT").build()), ["spec http method"]);
    assert_eq!(paths(HttpSpec::builder(url).expect_status(99).expect_status(600).build()).len(), 2);
    assert_eq!(
        paths(HttpSpec::builder(url).body("x".repeat(BODY_BYTES_MAX + 1)).build()),
        ["spec http body"]
    );
    for bad in ["", "a b", "a:b", "é", "Content-Length", "transfer-encoding", "a\nb"] {
        assert_eq!(
            paths(HttpSpec::builder(url).header(bad, "x").build()),
            [format!("spec http headers {bad}")],
            "{bad}"
        );
    }
    assert_eq!(
        paths(HttpSpec::builder(url).header("X-A", "1").header("x-a", "2").build()),
        ["spec http headers x-a"]
    );
    assert_eq!(paths(HttpSpec::builder(url).header("X.A", "{{ x").build()), ["spec http headers X.A"]);
    for bad in
        ["a\r\nb", "a\n", "\u{1}", "\u{7f}", "{{ input.a }}\r\nX-Other: 1", "{% if input.a %}\n{% endif %}"]
    {
        assert_eq!(
            paths(HttpSpec::builder(url).header("X", bad).build()),
            ["spec http headers X"],
            "{bad:?}"
        );
    }
    for fine in ["a\tb", "ü", "{{ 'a\n' | trim }}", "{% if input.a -%}\n a\n{%- endif %}", "{#\n#}a"] {
        assert!(HttpSpec::builder(url).header("X", fine).build().is_ok(), "{fine:?}");
    }
    for bad in ["https://x.test/l1\nl2", "https://x.test/\t", "https://x.test/a\r\n", "\u{1}https://x.test"] {
        assert_eq!(paths(HttpSpec::builder(bad).build()), ["spec http url"], "{bad:?}");
    }
    assert_eq!(paths(HttpSpec::builder(url).body("a\0").build()), ["spec http body"]);
    let many = (0..=HEADERS_MAX).fold(HttpSpec::builder(url), |spec, n| spec.header(format!("x-{n}"), ""));
    assert_eq!(many.build().unwrap_err()[0].code, RefusalCode::TooMany);
}

#[test]
fn program_is_bounded_and_allow_listed() {
    let build = |program: &str| ProgramSpec::builder(program).build(&allowed());
    for fine in ["/usr/bin/node", "/opt/report", "callboard:noop"] {
        assert!(build(fine).is_ok(), "{fine}");
    }
    for bad in ["node", "/bin/sh", "/usr/bin/../../bin/sh", "/usr/bin/{{ input.x }}", "callboard:other", ""] {
        assert_eq!(paths(build(bad)), ["spec program program"], "{bad}");
    }
    let message = &build("/bin/sh").unwrap_err()[0].message;
    assert!(message.contains("/usr/bin, /opt/report, callboard:noop"), "{message}");

    let echo = || ProgramSpec::builder("/usr/bin/echo");
    for bad in ["", "1X", "A-B", "A=B", "CALLBOARD_JOB", "callboard_x"] {
        assert_eq!(
            paths(echo().variable(bad, "x").build(&allowed())),
            [format!("spec program environment {bad}")]
        );
    }
    assert!(echo().variable("LD_PRELOAD", "x").variable("_a1", "").build(&allowed()).is_ok());
    assert_eq!(paths(echo().argument("a\0").build(&allowed())), ["spec program arguments 0"]);
    assert_eq!(
        paths(echo().argument("x".repeat(8 * 1024 + 1)).build(&allowed())),
        ["spec program arguments 0"]
    );
    assert_eq!(
        paths(echo().variable("A", "x".repeat(32 * 1024 + 1)).build(&allowed())),
        ["spec program environment A"]
    );
    assert_eq!(paths(echo().stdin("x".repeat(BODY_BYTES_MAX + 1)).build(&allowed())), ["spec program stdin"]);
    let many = (0..=ARGUMENTS_MAX).fold(echo(), |spec, _| spec.argument("x"));
    assert_eq!(paths(many.build(&allowed())), ["spec program arguments"]);
}
