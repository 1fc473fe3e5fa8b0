//! What an attack found, and its kin: each ended the API, or held it for minutes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{TestServer, refused};

/// A loop that changes a value that many times, and what is asked of it in the end.
fn grown(start: &str, grow: &str, rounds: usize, end: &str) -> String {
    format!(
        "{{% set n=namespace(x={start},y={start}) %}}{{% for i in range({rounds}) %}}{{% set n.x={grow} %}}\
         {{% set n.y=[n.y] %}}{{% endfor %}}{{{{ {end} }}}}"
    )
}

/// What becomes of a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Composed,
    /// Its extent is refused before it is compiled.
    TooLong,
    /// It fails like any other mistake.
    Mistake,
    /// The engine has counted its steps and its text.
    OutOfFuel,
    /// The child has ended.
    TooMuch,
}

/// Most processor time of a preview: of its child, which has started anew, and of the API.
const PROCESSOR_MAX: Duration = Duration::from_millis(900);

fn ends(preview: &Value) -> Ends {
    if preview["composed"].is_object() {
        return Ends::Composed;
    }
    refused(preview);
    let errors = preview["userErrors"].as_array().into_iter().flatten();
    let messages: Vec<&str> = errors.filter_map(|error| error["message"].as_str()).collect();
    let says = |part: &str| messages.iter().any(|message| message.contains(part));
    if says("does too much work: more than 250 ms") {
        Ends::TooMuch
    } else if says("does too much work or renders too much text") {
        Ends::OutOfFuel
    } else if says("can have at most") || says("at most 32 deep") || says("can follow each other") {
        Ends::TooLong
    } else {
        Ends::Mistake
    }
}

fn hostile() -> Vec<(&'static str, String, Ends)> {
    let deep = |open: &str, close: &str, depth: usize| {
        format!("{{{{ {}1{} }}}}", open.repeat(depth), close.repeat(depth))
    };
    vec![
        ("two values that nest deeply are compared", grown("[1]", "[n.x]", 5000, "n.x==n.y"), Ends::Composed),
        ("a value that nests deeply is dropped", grown("[1]", "[n.x]", 20_000, "1 + ''"), Ends::OutOfFuel),
        ("a value that nests deeply is rendered", grown("[1]", "{'a': n.x}", 20_000, "n.x|tojson"), Ends::OutOfFuel),
        ("a value that nests deeply is searched for secrets", grown("[1]", "[n.x]", 20_000, "n.x|urlencode"), Ends::OutOfFuel),
        ("a list doubles", grown("[1]", "n.x+n.x", 60, "n.x|length"), Ends::TooMuch),
        ("a list doubles and is written", grown("[1]", "n.x+n.x", 60, "n.x|tojson"), Ends::TooMuch),
        ("a list doubles by sharing", grown("[1]", "[n.x, n.x]", 60, "n.x|tojson"), Ends::TooMuch),
        ("shared values are compared", grown("[1]", "[n.x, n.x]", 60, "n.x == [n.x, n.x]"), Ends::TooMuch),
        ("shared values are searched", grown("[1]", "[n.x, n.x]", 60, "n.x|urlencode"), Ends::TooMuch),
        ("a text doubles", grown("'x'", "n.x~n.x", 60, "n.x|length"), Ends::OutOfFuel),
        ("a text is added to itself", grown("'x'", "n.x+n.x", 60, "n.x|length"), Ends::OutOfFuel),
        ("a text is repeated", "{{ ('x' * 1000000000)|length }}".into(), Ends::OutOfFuel),
        ("a list is repeated", "{{ ([1] * 1000000000000)|list|length }}".into(), Ends::Mistake),
        ("minus signs", format!("{{{{ {}1 }}}}", "-".repeat(8000)), Ends::TooLong),
        ("minus signs with blanks", format!("{{{{ {}1 }}}}", "- ".repeat(400)), Ends::TooLong),
        ("nots", format!("{{{{ {}1 }}}}", "not ".repeat(2000)), Ends::TooLong),
        ("brackets", deep("(", ")", 4000), Ends::TooLong),
        ("lists", deep("[", "]", 4000), Ends::TooLong),
        ("objects", deep("{'a': ", "}", 1300), Ends::TooLong),
        ("calls", deep("range(", ")", 1300), Ends::TooLong),
        ("attributes", format!("{{{{ input{} }}}}", ".a".repeat(4000)), Ends::TooLong),
        ("filters", format!("{{{{ 'x'{} }}}}", "|trim".repeat(1600)), Ends::TooLong),
        ("powers", format!("{{{{ {}2 }}}}", "2 ** ".repeat(1600)), Ends::TooLong),
        ("conditions", deep("1 if 1 else ", "", 600), Ends::TooLong),
        ("blocks", format!("{}{}", "{% if 1 %}".repeat(300), "{% endif %}".repeat(300)), Ends::TooLong),
        ("elifs", format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(600)), Ends::TooLong),
        ("a macro that calls itself", "{% macro m(a) %}{{ m([a]) }}{{ m([a]) }}{% endmacro %}{{ m(1) }}".into(), Ends::Mistake),
        ("a long separator", "{{ range(90000)|join(range(90000)|join)|length }}".into(), Ends::OutOfFuel),
        ("batches", "{{ range(90000)|batch(1)|map('list')|list|tojson }}{{ 1|batch(1000000000, 'x')|list }}".into(), Ends::OutOfFuel),
        ("slices", "{{ range(9)|slice(1000000000)|list|length }}".into(), Ends::OutOfFuel),
        ("a format's width", "{{ '%999999999d'|format(1)|length }}".into(), Ends::OutOfFuel),
        ("an indent", "{{ 'a\\nb'|indent(999999999)|length }}".into(), Ends::OutOfFuel),
        ("loops in loops", "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{{ a }}{% endfor %}{% endfor %}{% endfor %}".into(), Ends::OutOfFuel),
    ]
}

#[tokio::test]
async fn hostile_templates_are_refused_in_time_and_the_api_lives() {
    let mut server = TestServer::start().await;
    let pid = server.pid();
    let mut wrong = Vec::new();
    for (what, template, expected) in hostile() {
        let before = server.processor_time();
        let (preview, took) = server.preview(&template).await;
        let spent = server.processor_time().saturating_sub(before);
        println!("{what}: {:?} after {took:?}, {spent:?} of processor time: {preview}", ends(&preview));
        if ends(&preview) != expected || spent > PROCESSOR_MAX {
            wrong.push((what, ends(&preview), spent));
        }
        server.health().await;
    }
    assert_eq!(wrong, [], "what, how it ended, processor time");
    assert!(server.is_running() && server.pid() == pid);
    let (preview, _) = server.preview("{% for a in input.list %}{{ a }}{% endfor %}").await;
    assert_eq!(preview["composed"]["arguments"], json!(["123"]), "{preview}");
}

#[tokio::test]
async fn what_is_too_long_or_deep_is_told_with_line_and_column() {
    let server = TestServer::start().await;
    for (template, told) in [
        (format!("a\n{{{{ {}1 }}}}", "-".repeat(8000)), "line 2, column 504: a tag can have at most 500"),
        (format!("{{{{ {}1{} }}}}", "(".repeat(40), ")".repeat(40)), "line 1, column 36: brackets"),
    ] {
        let (preview, _) = server.preview(&template).await;
        assert!(refused(&preview).starts_with(told), "{preview}");
        assert_eq!(preview["userErrors"][0]["path"], json!(["input", "spec", "program", "arguments", "0"]));
    }
    let (preview, _) = server.preview(&grown("[1]", "[n.x, n.x]", 60, "n.x|tojson")).await;
    assert!(refused(&preview).contains("does too much work"), "{preview}");
}

/// Stores a spec that no check would let pass, as an older version might have.
async fn spoil(server: &TestServer, command: &str, template: &str) {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(server.database.url()).await.unwrap();
    let spec = json!({ "kind": "program", "program": "/bin/true", "arguments": [template] });
    // Of the version that the command runs now.
    let statement =
        "UPDATE command_versions SET spec = $1 WHERE id = (SELECT version_id FROM commands WHERE name = $2)";
    let done = sqlx::query(statement).bind(spec).bind(command).execute(&mut connection).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test]
async fn a_saved_command_that_does_too_much_ends_no_reader() {
    let mut server = TestServer::start().await;
    let create = "mutation($input: CommandCreateInput!) { commandCreate(input: $input) { command { id } userErrors { message } } }";
    let spec = json!({ "program": { "program": "/bin/true", "arguments": ["{{ input.a|default('x') }}"] } });
    for (name, template) in [
        ("grows", grown("[1]", "[n.x, n.x]", 60, "n.x|tojson")),
        ("deep", format!("{{{{ {}1 }}}}", "-".repeat(8000))),
    ] {
        let created = server.data(create, json!({ "input": { "name": name, "spec": spec } })).await;
        let id = created["commandCreate"]["command"]["id"].clone();
        assert!(id.is_string(), "{created}");
        let enqueue = "mutation($id: ID!) { jobEnqueue(input: { commandId: $id }) { job { id } userErrors { message } } }";
        let enqueued = server.data(enqueue, json!({ "id": id })).await;
        let job = enqueued["jobEnqueue"]["job"]["id"].clone();
        assert!(job.is_string(), "{enqueued}");
        spoil(&server, name, &template).await;
        // Another process has nothing of it in memory.
        server = server.restarted().await;
        let read = server
            .data("query($id: ID!) { job(id: $id) { composed { display } } }", json!({ "id": job }))
            .await;
        let display = read["job"]["composed"]["display"].as_str().unwrap();
        assert!(display.starts_with("(no longer composes: "), "{display}");
        let (preview, _) = server.preview_of(json!({ "commandId": id })).await;
        assert_eq!(preview["userErrors"][0]["code"], "NOT_COMPOSABLE", "{preview}");
        let enqueued = server.data(enqueue, json!({ "id": id })).await;
        assert_eq!(enqueued["jobEnqueue"]["job"], Value::Null);
        let schedule = "mutation($id: ID!) { scheduleCreate(input: { name: \"s\", job: { commandId: $id }, cron: \"* * * * *\" }) { userErrors { message } } }";
        let refusal = server.data(schedule, json!({ "id": id })).await;
        assert!(refusal["scheduleCreate"]["userErrors"][0].is_object(), "{refusal}");
        server.health().await;
    }
}

/// Previews, and how they may end.
fn dear_inputs() -> Vec<(&'static str, &'static [Ends], Value)> {
    let spec = json!({ "program": { "program": "/bin/true" } });
    let script = |script: String| json!({ "spec": { "playwright": { "script": script } } });
    let checked =
        |schema: Value, input: Value| json!({ "spec": spec, "inputSchema": schema, "input": input });
    let patterns: serde_json::Map<String, Value> =
        (0..100).map(|n| (format!("{n}(\\p{{L}}{{90}}){{3}}"), json!({}))).collect();
    let branches: Vec<Value> = (0..1500).map(|n| json!({ "type": "string", "minLength": n })).collect();
    let nested = (0..12).fold(
        json!({ "type": "object" }),
        |inner, _| json!({ "allOf": [inner.clone(), inner], "unevaluatedProperties": false }),
    );
    // What takes about 250 ms of processor time ends as the machine is fast or slow.
    vec![
        (
            "a pattern with many states",
            &[Ends::Composed, Ends::TooMuch],
            checked(
                json!({ "properties": { "a": { "pattern": "[01]*1[01]{4000}$" } } }),
                json!({ "a": "01".repeat(100_000) }),
            ),
        ),
        (
            "many large patterns",
            &[Ends::Mistake],
            checked(json!({ "patternProperties": patterns }), json!({ "a": 1 })),
        ),
        (
            "many branches for many items",
            &[Ends::TooMuch, Ends::Composed],
            checked(
                json!({ "properties": { "a": { "items": { "anyOf": branches } } } }),
                json!({ "a": vec![1; 60_000] }),
            ),
        ),
        (
            "patterns of the input itself",
            &[Ends::Composed],
            checked(
                json!({ "properties": { "a": { "items": { "format": "regex" } } } }),
                json!({ "a": vec!["(\\p{L}{90}){9}"; 5000] }),
            ),
        ),
        ("unevaluated properties", &[Ends::Mistake], checked(nested, json!({ "a": 1 }))),
        ("a script of brackets", &[Ends::Composed], script(format!("{}1", "(".repeat(200_000)))),
        ("a script of functions", &[Ends::Composed], script("(a=>".repeat(60_000))),
        (
            "a script of names",
            &[Ends::TooMuch, Ends::Composed],
            script(format!("let {};", (0..30_000).map(|n| format!("a{n}")).collect::<Vec<_>>().join(","))),
        ),
        (
            "a script of expressions",
            &[Ends::Mistake],
            script(format!("/{}/", "(a{9}".repeat(1000) + &")".repeat(1000))),
        ),
        (
            "a line of templates",
            &[Ends::Mistake],
            json!({ "spec": { "line": { "line": format!("/bin/true {}", "{{a}}".repeat(13_000)) } } }),
        ),
        (
            "a line of a long path",
            &[Ends::TooLong],
            json!({ "spec": { "line": { "line": format!("/bin/true {{{{ a{} + 1 }}}}", ".a".repeat(32_000)) } } }),
        ),
    ]
}

#[tokio::test]
async fn schemas_patterns_scripts_and_lines_are_bounded() {
    let mut server = TestServer::start().await;
    for (what, expected, input) in dear_inputs() {
        let before = server.processor_time();
        let (preview, took) = server.preview_of(input).await;
        let spent = server.processor_time().saturating_sub(before);
        println!("{what}: {took:?}, {spent:?} of processor time: {}", preview["userErrors"][0]["message"]);
        assert!(spent <= PROCESSOR_MAX, "{what}: {spent:?}");
        assert!(expected.contains(&ends(&preview)), "{what}: {preview}");
        server.health().await;
    }
    assert!(server.is_running());
}
