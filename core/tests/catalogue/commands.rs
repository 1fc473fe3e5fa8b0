//! `command_create` and `command_update`: commands and their versions.

use callboard::{
    catalogue::{CommandChanges, CommandCreate, CommandUpdate},
    command::{CommandSpec, HttpSpec, LineSpec, ProgramSpec, SpecInput},
    command_kind::Kind,
    duration::IsoDuration,
    ids::{CommandId, ProfileId, ProxyId, ServiceId},
    patch::{BackoffPatch, Patch, PolicyPatch},
    policy::Policy,
    refusal::RefusalCode::{Invalid, NotFound, StaleVersion, Taken},
    store::catalogue::{
        command_versions::{self, CommandVersion},
        commands::{self, Command},
    },
};
use serde_json::json;

use crate::database::{TestCatalogue, a_command, a_script, catalogue, expected, refusals};

fn update(id: CommandId, changes: CommandChanges) -> CommandUpdate {
    CommandUpdate { id, version: None, changes }
}

fn attempts(count: i32) -> PolicyPatch {
    PolicyPatch { max_attempts: Patch::Set(count), ..PolicyPatch::default() }
}

fn program(program: &str) -> SpecInput {
    SpecInput::Spec(CommandSpec::Program(
        serde_json::from_value::<ProgramSpec>(json!({ "program": program })).unwrap(),
    ))
}

fn line(line: &str) -> SpecInput {
    SpecInput::Line(LineSpec { line: line.into(), script: None })
}

async fn newest(catalogue: &TestCatalogue, command: &Command) -> CommandVersion {
    command_versions::load(&mut *catalogue.begin().await, &[command.version_id]).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_created_command_reads_back_with_its_first_version() {
    let catalogue = catalogue().await;
    let (profile, proxy) = (catalogue.profile("p").await, catalogue.proxy("x").await);
    let services = vec![catalogue.service("b").await, catalogue.service("a").await];
    let schema = json!({ "type": "object", "properties": { "url": { "type": "string" } } });
    let made = catalogue
        .command_create(CommandCreate {
            description: Some("Looks".into()),
            spec: program("/usr/bin/env"),
            input_schema: Some(schema.clone()),
            profile_id: Some(profile),
            proxy_id: Some(proxy),
            service_ids: services.clone(),
            queue: Some("slow".into()),
            policy: attempts(7),
            ..a_command("look")
        })
        .await
        .unwrap();
    assert_eq!(
        (made.name.as_str(), made.description.as_deref(), made.queue.as_str()),
        ("look", Some("Looks"), "slow")
    );
    assert_eq!((made.profile_id, made.proxy_id, &made.service_ids), (Some(profile), Some(proxy), &services));
    assert_eq!(made.version, 1);
    let version = newest(&catalogue, &made).await;
    assert_eq!((version.number, version.name.as_str(), version.command_id), (1, "look", made.id));
    assert_eq!((version.spec.kind(), version.input_schema), (Kind::Program, schema));
    assert_eq!(version.policy, Policy { max_attempts: 7, ..Policy::default() });
    let mut reader = catalogue.begin().await;
    assert_eq!(commands::load(&mut reader, &[made.id]).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(commands::load_by_name(&mut reader, &["look".into()]).await.unwrap(), [made]);

    let bare = catalogue.command("bare").await;
    assert_eq!((bare.queue.as_str(), bare.profile_id, bare.service_ids.len()), ("default", None, 0));
    assert_eq!(newest(&catalogue, &bare).await.input_schema, json!({}));
    assert_eq!(
        catalogue.value::<String>("SELECT kind FROM command_versions ORDER BY created_at DESC LIMIT 1").await,
        "playwright"
    );
}

#[tokio::test]
async fn a_misused_secret_is_refused_when_a_command_or_its_schema_is_saved() {
    let catalogue = catalogue().await;
    let compares = |expression: &str| {
        let spec = HttpSpec::builder("https://x.test")
            .header("X-A", format!("{{% if {expression} == '1' %}}a{{% endif %}}"))
            .build()
            .unwrap();
        SpecInput::Spec(CommandSpec::Http(spec))
    };
    let secret = json!({ "properties": { "pin": { "type": "string", "writeOnly": true } } });
    let at_header = expected(&[(Invalid, "spec/http/headers/X-A")]);
    for (name, spec, input_schema) in [
        ("profile", compares("profile.secrets.pw"), None),
        ("input", compares("input.pin"), Some(secret.clone())),
    ] {
        let result = catalogue.command_create(CommandCreate { spec, input_schema, ..a_command(name) }).await;
        assert_eq!(refusals(result), at_header, "{name}");
    }
    for words in ["{{ 'a' if input.pin == '1' }}", "--pin={{ input.pin }}", "{{ input.pin }}"] {
        let as_line = CommandCreate {
            spec: line(&format!("/usr/bin/env {words}")),
            input_schema: Some(secret.clone()),
            ..a_command("line")
        };
        let result = catalogue.command_create(as_line).await;
        assert_eq!(refusals(result), expected(&[(Invalid, "spec/line/line")]), "{words}");
    }

    let made = catalogue
        .command_create(CommandCreate { spec: compares("input.pin"), ..a_command("open") })
        .await
        .unwrap();
    let becomes_secret = CommandChanges { input_schema: Patch::Set(secret), ..CommandChanges::default() };
    assert_eq!(refusals(catalogue.command_update(update(made.id, becomes_secret)).await), at_header);
    let renamed = CommandChanges { name: Patch::Set("other".into()), ..CommandChanges::default() };
    catalogue.command_update(update(made.id, renamed)).await.unwrap();
}

#[tokio::test]
async fn all_refusals_are_returned_at_once() {
    let catalogue = catalogue().await;
    catalogue.command("a").await;
    let service = catalogue.service("s").await;
    let unknown: (ProfileId, ProxyId, ServiceId) =
        (catalogue.ids.make(), catalogue.ids.make(), catalogue.ids.make());
    let backoff = BackoffPatch { jitter: Patch::Set(2.0), ..BackoffPatch::default() };
    let result = catalogue
        .command_create(CommandCreate {
            description: Some("\0".into()),
            spec: program("/sbin/shutdown"),
            input_schema: Some(json!("no schema")),
            profile_id: Some(unknown.0),
            proxy_id: Some(unknown.1),
            service_ids: vec![service, service, unknown.2],
            queue: Some("Not a queue".into()),
            policy: PolicyPatch { backoff: Patch::Set(backoff), ..attempts(0) },
            ..a_command("a")
        })
        .await;
    let all = [
        (Invalid, "spec/program/program"),
        (Invalid, "inputSchema"),
        (Invalid, "policy/maxAttempts"),
        (Invalid, "policy/backoff/jitter"),
        (Invalid, "description"),
        (Taken, "name"),
        (Invalid, "queue"),
        (NotFound, "profileId"),
        (NotFound, "proxyId"),
        (Invalid, "serviceIds/1"),
        (NotFound, "serviceIds/2"),
    ];
    assert_eq!(refusals(result), expected(&all));
    assert_eq!(catalogue.value::<i64>("SELECT count(*) FROM command_versions").await, 1);
    let nul = CommandCreate { spec: program("/usr/bin/\0true"), ..a_command("b") };
    assert!(refusals(catalogue.command_create(nul).await)[0].1.starts_with("spec"));
}

#[tokio::test]
async fn a_line_is_stored_as_a_spec() {
    let catalogue = catalogue().await;
    let made = catalogue
        .command_create(CommandCreate { spec: line("/usr/bin/env -u A"), ..a_command("l") })
        .await
        .unwrap();
    let CommandSpec::Program(spec) = newest(&catalogue, &made).await.spec else { panic!("another kind") };
    assert_eq!((spec.program.as_str(), spec.arguments.join(" ").as_str()), ("/usr/bin/env", "-u A"));
    let unfinished =
        CommandCreate { spec: line("/usr/bin/env 'a"), queue: Some("?".into()), ..a_command("m") };
    assert_eq!(
        refusals(catalogue.command_create(unfinished).await),
        expected(&[(Invalid, "spec/line/line"), (Invalid, "queue")])
    );
}

#[tokio::test]
async fn changes_of_what_a_command_runs_make_a_version_and_others_do_not() {
    let catalogue = catalogue().await;
    let made =
        catalogue.command_create(CommandCreate { policy: attempts(5), ..a_command("a") }).await.unwrap();
    let first = newest(&catalogue, &made).await;
    let change = |changes| catalogue.command_update(update(made.id, changes));
    let none = CommandChanges::default;

    let profile = catalogue.profile("p").await;
    let rest = CommandChanges {
        description: Patch::Set("d".into()),
        profile_id: Patch::Set(profile),
        queue: Patch::Set("slow".into()),
        ..none()
    };
    let updated = change(rest).await.unwrap();
    assert_eq!((updated.version, updated.version_id), (2, made.version_id), "it runs the same");
    assert!(updated.updated_at > made.updated_at);
    assert_eq!(change(none()).await.unwrap(), updated, "nothing changed");

    let timeout = PolicyPatch { timeout: Patch::Set(IsoDuration::from_secs(9)), ..PolicyPatch::default() };
    let changes = [
        CommandChanges { name: Patch::Set("b".into()), ..none() },
        CommandChanges { spec: Patch::Set(a_script("// other")), ..none() },
        CommandChanges { input_schema: Patch::Set(json!({ "type": "object" })), ..none() },
        CommandChanges { policy: Patch::Set(timeout), ..none() },
    ];
    let mut seen = vec![made.version_id];
    for (index, changes) in changes.into_iter().enumerate() {
        let updated = change(changes.clone()).await.unwrap();
        let number = i32::try_from(index).unwrap() + 2;
        assert_eq!((updated.version, newest(&catalogue, &updated).await.number), (number + 1, number));
        assert!(!seen.contains(&updated.version_id));
        seen.push(updated.version_id);
        assert_eq!(change(changes).await.unwrap(), updated, "repeating a change changes nothing");
    }
    let last = newest(&catalogue, &change(none()).await.unwrap()).await;
    let policy = Policy { max_attempts: 5, timeout: IsoDuration::from_secs(9), ..Policy::default() };
    assert_eq!(
        (last.name.as_str(), &last.policy),
        ("b", &policy),
        "a patch is merged into the stored policy"
    );
    assert_eq!(newest(&catalogue, &made).await, first, "a version never changes");
    let all = command_versions::load(&mut *catalogue.begin().await, &seen).await.unwrap();
    assert_eq!(all.len(), 5);
}

#[tokio::test]
async fn an_update_clears_to_defaults_and_refuses_required_fields() {
    let catalogue = catalogue().await;
    let (profile, proxy, service) =
        (catalogue.profile("p").await, catalogue.proxy("x").await, catalogue.service("s").await);
    let create = CommandCreate {
        description: Some("d".into()),
        input_schema: Some(json!({ "type": "object" })),
        profile_id: Some(profile),
        proxy_id: Some(proxy),
        service_ids: vec![service],
        queue: Some("slow".into()),
        policy: attempts(5),
        ..a_command("a")
    };
    let made = catalogue.command_create(create).await.unwrap();
    let cleared = CommandChanges {
        description: Patch::Clear,
        input_schema: Patch::Clear,
        profile_id: Patch::Clear,
        proxy_id: Patch::Clear,
        service_ids: Patch::Clear,
        queue: Patch::Clear,
        policy: Patch::Clear,
        ..CommandChanges::default()
    };
    let updated = catalogue.command_update(update(made.id, cleared)).await.unwrap();
    assert_eq!((updated.description.as_deref(), updated.profile_id, updated.proxy_id), (None, None, None));
    assert_eq!((updated.service_ids.len(), updated.queue.as_str()), (0, "default"));
    let version = newest(&catalogue, &updated).await;
    assert_eq!((version.input_schema, version.policy), (json!({}), Policy::default()));
    assert_eq!(commands::load(&mut *catalogue.begin().await, &[made.id]).await.unwrap(), [updated]);

    catalogue.command("taken").await;
    let wrong = CommandUpdate {
        version: Some(1),
        ..update(
            made.id,
            CommandChanges {
                name: Patch::Set("taken".into()),
                spec: Patch::Clear,
                ..CommandChanges::default()
            },
        )
    };
    assert_eq!(
        refusals(catalogue.command_update(wrong).await),
        expected(&[(StaleVersion, "version"), (Invalid, "spec"), (Taken, "name")])
    );
    let unknown = update(catalogue.ids.make(), CommandChanges::default());
    assert_eq!(refusals(catalogue.command_update(unknown).await), expected(&[(NotFound, "id")]));
}

#[tokio::test]
async fn an_unchanged_spec_is_not_checked_against_a_narrower_allow_list() {
    let mut catalogue = catalogue().await;
    let made = catalogue
        .command_create(CommandCreate { spec: program("/usr/bin/env"), ..a_command("a") })
        .await
        .unwrap();
    catalogue.catalogue.allow_list = callboard::command::AllowList::default();
    let described = CommandChanges { description: Patch::Set("d".into()), ..CommandChanges::default() };
    assert_eq!(catalogue.command_update(update(made.id, described)).await.unwrap().version, 2);
    let written = CommandChanges { spec: Patch::Set(program("/usr/bin/env")), ..CommandChanges::default() };
    assert_eq!(
        refusals(catalogue.command_update(update(made.id, written)).await),
        expected(&[(Invalid, "spec/program/program")])
    );
}
