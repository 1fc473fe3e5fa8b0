//! Commands written as one line.

use callboard::{
    command::{ArtifactMode, CommandSpec, LineSpec, PlaywrightSpec, ProgramSpec},
    refusal::Refusal,
};
use secrecy::ExposeSecret as _;

use crate::fixture::{SECRETS, allowed, reveal, show};

fn parse(line: &str, script: Option<&str>) -> Result<CommandSpec, Vec<Refusal>> {
    let spec = LineSpec { line: line.into(), script: script.map(str::to_owned) };
    spec.parse(&allowed(), &|path| ["/usr/bin/node", "/opt/report"].contains(&path))
}

fn program(line: &str) -> ProgramSpec {
    match parse(line, None).unwrap() {
        CommandSpec::Program(spec) => spec,
        other @ (CommandSpec::Playwright(_) | CommandSpec::Http(_)) => panic!("{other:?}"),
    }
}

fn playwright(line: &str) -> Result<PlaywrightSpec, String> {
    match parse(line, Some("export default 1")) {
        Ok(CommandSpec::Playwright(spec)) => Ok(spec),
        Ok(other @ (CommandSpec::Program(_) | CommandSpec::Http(_))) => panic!("{other:?}"),
        Err(refusals) => Err(refusals[0].message.clone()),
    }
}

#[test]
fn a_playwright_line_becomes_a_playwright_spec() {
    let line =
        "playwright --profile {{ chrome_profile }} --proxy {{ proxy_address }} --service {{ service_token }}";
    let spec = playwright(line).unwrap();
    assert_eq!(spec, PlaywrightSpec::builder("export default 1").token("service_token").build().unwrap());
    let shown = show(CommandSpec::Playwright(spec)).unwrap();
    let expected = "playwright --profile team/alice --proxy 127.0.0.1:3128 --service $SERVICE_TOKEN";
    assert_eq!(shown.display, expected);
    assert_eq!((shown.program.as_deref(), shown.arguments.len()), (Some("playwright"), 6));
    assert_eq!(shown.environment["SERVICE_TOKEN"], "***");
}

#[test]
fn playwright_options_are_parsed() {
    let spec = playwright(
        "playwright --profile={{profile.path}} --proxy='{{ proxy.address }}' --service {{ services.github.token }} \
         --service={{ services[\"my-mail\"].token }} --viewport 1280x720 --trace always --video=on-failure \
         --screenshot off --headed",
    )
    .unwrap();
    let expected = PlaywrightSpec::builder("export default 1")
        .viewport(1280, 720)
        .trace(ArtifactMode::Always)
        .video(ArtifactMode::OnFailure)
        .screenshot(ArtifactMode::Off)
        .headless(false)
        .token("github")
        .token("my-mail");
    assert_eq!(spec, expected.build().unwrap());
    let shown = show(CommandSpec::Playwright(spec)).unwrap();
    let options = "--viewport 1280x720 --trace always --video on-failure --screenshot off --headed";
    assert!(shown.display.ends_with(options), "{}", shown.display);

    let window = playwright("playwright --viewport window").unwrap();
    assert_eq!(window, PlaywrightSpec::builder("export default 1").window().build().unwrap());
    let shown = show(CommandSpec::Playwright(window)).unwrap();
    assert!(shown.display.ends_with("--viewport window"), "{}", shown.display);
}

#[test]
fn playwright_options_without_effect_are_refused() {
    for (options, expected) in [
        ("--profile alice", "--profile can only be {{ chrome_profile }}"),
        ("--profile {{ input.profile }}", "--profile can only be"),
        ("--profile x{{ chrome_profile }}", "--profile can only be"),
        ("--profile {{ chrome_profile | upper }}", "--profile can only be"),
        ("--proxy http://p:1", "--proxy can only be {{ proxy_address }}"),
        ("--service abc", "--service can only be {{ service_token }} or"),
        ("--service {{ profile.secrets.x }}", "--service can only be"),
        ("--service", "--service needs a value"),
        ("--viewport 1280", "--viewport must be WIDTHxHEIGHT"),
        ("--viewport {{ input.size }}", "--viewport must be WIDTHxHEIGHT"),
        ("--viewport 0x5", "must be 1x1 to 7680x4320"),
        ("--trace sometimes", "--trace must be off, on-failure or always"),
        ("--headed=yes", "--headed takes no value"),
        ("--slow", "playwright has no option `--slow`"),
        ("script.js", "playwright has no option `script.js`"),
        ("| tee log", "this is not a shell line"),
    ] {
        let message = playwright(&format!("playwright {options}")).unwrap_err();
        assert!(message.contains(expected), "{options}: {message}");
    }
    let no_script = parse("playwright", None).unwrap_err();
    assert_eq!(no_script[0].path, ["spec", "line", "script"]);
    assert_eq!(parse("playwright", Some("  ")).unwrap_err()[0].path, ["spec", "line", "script"]);
    assert_eq!(parse("node x", Some("x")).unwrap_err()[0].path, ["spec", "line", "script"]);
}

#[test]
fn any_other_line_becomes_a_program_spec() {
    let spec = program("node  fetch.js --name '{{ input.name }} x' \"a b\" {{ input.list | join(' ') }} ''");
    assert_eq!(spec.program, "/usr/bin/node");
    assert_eq!(
        spec.arguments,
        ["fetch.js", "--name", "{{ input.name }} x", "a b", "{{ input.list | join(' ') }}", ""]
    );
    assert!(spec.environment.is_empty() && spec.stdin.is_none());
    let shown = show(CommandSpec::Program(spec)).unwrap();
    assert_eq!(shown.display, "/usr/bin/node fetch.js --name 'world x' 'a b' 'a b c' ''");
    assert_eq!(program("report").program, "/opt/report");
    assert_eq!(program("/usr/bin/anything").program, "/usr/bin/anything");
    assert_eq!(program("callboard:noop").program, "callboard:noop");
}

#[test]
fn invalid_program_lines_are_refused() {
    for (line, expected) in [
        ("", "is empty"),
        ("nope x", "there is no program `nope` on the allow-list (/usr/bin, /opt/report"),
        ("/bin/sh -c x", "`/bin/sh` is not on the allow-list"),
        ("{{ input.program }} x", "the program must not be a template"),
        ("A=1 node", "sets a variable only in a shell"),
        ("node x && node y", "column 8: this is not a shell line"),
        ("node $(id)", "nothing is expanded here"),
        ("node {{ input.x", "is not closed"),
        ("node a {% if x %}", "argument 2: line 1"),
    ] {
        let refusals = parse(line, None).unwrap_err();
        assert_eq!(refusals[0].path, ["spec", "line", "line"]);
        assert!(refusals[0].message.contains(expected), "{line}: {}", refusals[0].message);
    }
}

#[test]
fn secrets_in_a_line_become_environment_variables() {
    let spec = program(
        "node --token {{ service_token }} --mail {{ services['my-mail'].token }} -p '{{ profile.secrets.password }}' \
         {{ proxy.url }} \"{{proxy.password}}\" {{- services.github.token -}}",
    );
    let arguments = [
        "--token",
        "$SERVICE_TOKEN",
        "--mail",
        "$SERVICE_MY_MAIL_TOKEN",
        "-p",
        "$PROFILE_SECRET_PASSWORD",
        "$PROXY_URL",
        "$PROXY_PASSWORD",
        "$SERVICE_GITHUB_TOKEN",
    ];
    assert_eq!(spec.arguments, arguments);
    assert_eq!(spec.environment["PROFILE_SECRET_PASSWORD"], "{{ profile.secrets.password }}");
    assert_eq!(spec.environment.len(), 6);
    let shown = show(CommandSpec::Program(spec.clone())).unwrap();
    assert!(shown.display.starts_with("/usr/bin/node --token $SERVICE_TOKEN --mail $SERVICE_MY_MAIL_TOKEN"));
    assert_eq!(shown.environment["PROFILE_SECRET_PASSWORD"], "***");

    let plan = reveal(CommandSpec::Program(spec));
    assert_eq!(plan.arguments, arguments, "arguments are not expanded");
    let (_, password) = plan.environment.iter().find(|(name, _)| name == "PROFILE_SECRET_PASSWORD").unwrap();
    assert_eq!(password.expose_secret(), SECRETS[2]);
}

#[test]
fn a_secret_that_is_a_part_of_a_word_is_refused() {
    for (word, variable) in [
        ("\"Authorization: Bearer {{ service_token }}\"", "$SERVICE_TOKEN"),
        ("'Authorization: Bearer {{ service_token }}'", "$SERVICE_TOKEN"),
        ("Authorization:\\ {{ service_token }}", "$SERVICE_TOKEN"),
        ("--token={{ service_token }}", "$SERVICE_TOKEN"),
        ("--mail='{{ services[\"my-mail\"].token }}'", "$SERVICE_MY_MAIL_TOKEN"),
        ("u:{{ profile.secrets.password }}", "$PROFILE_SECRET_PASSWORD"),
        ("{{ profile.secrets.password }}!", "$PROFILE_SECRET_PASSWORD"),
        ("{{ proxy.username }}{{ proxy.password }}", "$PROXY_USERNAME"),
        ("{{ input.user }}:{{ proxy.password }}", "$PROXY_PASSWORD"),
        ("{{ service_token }}{# note #}", "$SERVICE_TOKEN"),
        ("'curl -u \"x:{{ service_token }}\" https://a.test'", "$SERVICE_TOKEN"),
        ("http://u:{{ proxy.password }}@h:1", "$PROXY_PASSWORD"),
    ] {
        let message = parse(&format!("node {word}"), None).unwrap_err()[0].message.clone();
        assert!(message.contains(&format!("would get the text {variable}.")), "{word}: {message}");
    }
}

#[test]
fn secrets_in_larger_expressions_are_refused() {
    for line in [
        "node {{ service_token | upper }}",
        "node {{ 'Bearer ' ~ services.github.token }}",
        "node {% if service_token %}x{% endif %}",
        "node {{ proxy.password[0] }}",
        "node {{ services[\"my-mail\"].token | default('x') }}",
        "node {{ input.x if profile.secrets.password else 1 }}",
    ] {
        let message = parse(line, None).unwrap_err()[0].message.clone();
        assert!(message.contains("can only be used by itself in a line"), "{line}: {message}");
    }
    for line in
        ["node {{ 'service_token' }}", "node {{ input.service_token }}", "node {{ input.proxy.password }}"]
    {
        assert!(program(line).environment.is_empty(), "{line}");
    }
    let clash = parse("node {{ profile.secrets.a_b }} {{ profile.secrets['a-b'] }}", None).unwrap_err();
    assert!(clash[0].message.contains("would both set the environment variable PROFILE_SECRET_A_B"));
}
