//! What was not evaluated is no mistake of the caller.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use callboard::{
    catalogue::{Catalogue, CommandCreate},
    command::{CommandSpec, ProgramSpec, SpecInput},
    evaluator::Evaluator,
};
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::api::TestApi;

const LOOP: &str = "{% for a in [1] %}{{ a }}{% endfor %}";

/// A command that runs `/bin/true`.
pub(crate) fn command(name: &str, arguments: &[&str]) -> CommandCreate {
    let spec = ProgramSpec {
        program: "/bin/true".into(),
        arguments: arguments.iter().map(ToString::to_string).collect(),
        environment: BTreeMap::new(),
        stdin: None,
        tokens: Vec::new(),
    };
    CommandCreate::new(name, SpecInput::Spec(CommandSpec::Program(spec)))
}

/// A command whose template is not light.
pub(crate) fn heavy() -> CommandCreate {
    command("heavy", &[LOOP])
}

#[tokio::test]
async fn what_is_not_evaluated_is_unavailable_and_no_refusal() {
    let api = TestApi::with_evaluator(Evaluator::of_program("/bin/false".into())).await;
    let works = Catalogue { evaluator: Evaluator::unbounded(), ..api.catalogue.clone() };
    let command = works.command_create(heavy()).await.unwrap().id.to_string();
    let spec = json!({ "program": { "program": "/bin/true", "arguments": [LOOP] } });
    let job = json!({ "commandId": command });
    for (kind, name, input) in [
        ("query", "commandPreview", json!({ "spec": spec })),
        ("query", "commandPreview", job.clone()),
        ("mutation", "jobEnqueue", job.clone()),
        ("mutation", "jobsEnqueue", json!({ "jobs": [job, job] })),
        ("mutation", "commandCreate", json!({ "name": "new", "spec": spec })),
        ("mutation", "commandUpdate", json!({ "id": command, "spec": spec })),
        ("mutation", "scheduleCreate", json!({ "name": "s", "cron": "* * * * *", "job": job })),
    ] {
        let of = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query =
            format!("{kind}($input: {of}!) {{ {name}(input: $input) {{ userErrors {{ message }} }} }}");
        let (status, answer) = api.execute(Some("cb_admin"), &query, json!({ "input": input })).await;
        assert_eq!(status, StatusCode::OK, "{name}: {answer}");
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!((&extensions["code"], &extensions["retryAfter"]), (&json!("UNAVAILABLE"), &json!(1)));
        assert_eq!(answer["data"], Value::Null, "{name}: {answer}");
    }
    api.audit.flush().await;
    let mut connection = api.catalogue.store.connection().await.unwrap();
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM audit_events WHERE outcome = 'refused') AS refusals,
             (SELECT count(*) FROM jobs) + (SELECT count(*) FROM schedules) AS made",
    );
    let row = row.fetch_one(&mut *connection).await.unwrap();
    assert_eq!((row.get::<i64, _>("refusals"), row.get::<i64, _>("made")), (0, 0));
    // What is light needs no evaluator.
    let job = json!({ "commandId": light(&works).await });
    let enqueued = api.mutate_ok("jobEnqueue", "id", job).await;
    assert!(enqueued["id"].is_string());
}

/// A command whose template is light.
async fn light(catalogue: &Catalogue) -> String {
    let mut command = heavy();
    command.name = "light".into();
    if let SpecInput::Spec(CommandSpec::Program(spec)) = &mut command.spec {
        spec.arguments.clear();
    }
    catalogue.command_create(command).await.unwrap().id.to_string()
}
