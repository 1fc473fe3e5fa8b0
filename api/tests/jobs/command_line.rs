//! `callboard-api keys`, with nothing but a database, and what the server refuses to start with.

use std::process::Output;

use callboard_test_support::Database;
use tokio::process::Command;

/// Runs the program with only these variables.
async fn run(words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard-api"));
    command.args(words).env_clear().envs(variables.iter().copied()).kill_on_drop(true);
    command.output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_with_nothing_but_the_database() {
    let database = Database::create().await;
    let keys = |words: &'static [&'static str]| {
        let url = database.url().to_owned();
        async move {
            let output = run(&[&["keys"], words].concat(), &[("DATABASE_URL", &url)]).await;
            (output.status.success(), text(&output.stdout), text(&output.stderr))
        }
    };
    let (is_fine, key, told) = keys(&["create", "--role", "admin", "first key"]).await;
    assert!(is_fine, "{told}");
    let key = key.strip_suffix('\n').unwrap();
    assert!(key.starts_with("cb_") && key.len() == 52, "{key}");
    assert!(told.contains("first key") && !told.contains(key), "{told}");
    let (is_fine, _, told) = keys(&["create", "--role", "admin", "first key"]).await;
    let taken = "the name `first key` is taken by a key that is not revoked. Revoke that key, or take";
    assert!(!is_fine && told.contains(taken), "{told}");
    let (is_fine, _, told) = keys(&["create", "--role", "admin", "First  KEY"]).await;
    let alike = "the name `First  KEY` is, but for case, blanks or the style of its characters, that of the key `first key`";
    assert!(!is_fine && told.contains(alike), "{told}");
    let expiry = ["create", "--role", "viewer", "old", "--expires-at", "2020-01-01T00:00:00Z"];
    let (is_fine, _, told) = keys(Box::leak(Box::new(expiry))).await;
    assert!(!is_fine && told.contains("--expires-at must be in the future"), "{told}");
    for (number, role) in ["viewer", "VIEWER", "Operator"].into_iter().enumerate() {
        let name = format!("key {number}").leak();
        let (is_fine, _, told) =
            keys(Box::leak(Box::new(["create", "--role", role, name, "--expires-at", "90d"]))).await;
        assert!(is_fine && told.contains("works until 20"), "{told}");
    }
    let (_, listed, _) = keys(&["list"]).await;
    assert!(listed.contains("  admin     valid ") && listed.contains("  first key\n"), "{listed}");
    assert!(!listed.contains(key), "{listed}");
    for _ in 0..2 {
        let (is_fine, _, told) = keys(&["revoke", "first key"]).await;
        assert!(is_fine && told.contains("is revoked"), "{told}");
    }
    let (_, listed, _) = keys(&["list"]).await;
    assert!(listed.contains("  admin     revoked "), "{listed}");
    for unknown in ["nobody's", "key_00000000000000000000000000"] {
        let (is_fine, _, told) = keys(Box::leak(Box::new(["revoke", unknown]))).await;
        assert!(!is_fine && told.contains("no API key has the") && told.contains("keys list"), "{told}");
        assert!(told.contains(unknown), "{told}");
    }
    let (is_fine, _, told) = keys(&["create", "x", "--role", "viewer", "--expires-at", "tomorrow"]).await;
    assert!(!is_fine && told.contains("RFC 3339 with an offset, such as"), "{told}");
    let (is_fine, _, told) = keys(&["create", "x"]).await;
    assert!(!is_fine && told.contains("--role <ROLE>") && !told.contains("--database-url"), "{told}");
    let (is_fine, status, _) = keys(&["master-status"]).await;
    assert!(is_fine && status.contains("No secret is stored"), "{status}");
    let (is_fine, _, told) = keys(&["rotate-master"]).await;
    assert!(!is_fine && told.contains("CALLBOARD_OTHER_MASTER_KEYS") && !told.contains("openssl"), "{told}");
}

#[tokio::test]
async fn the_help_of_keys_lists_what_they_use() {
    let database =
        ["--database-url", "--database-url-file", "--database-password", "--log", "--log-format", "--help"];
    let sealing = ["--environment", "--master-key", "--master-key-file", "--other-master-keys"];
    let rotate = [&sealing[..], &["--other-master-keys-file", "--start-timeout"]].concat();
    for (verb, about, own) in [
        ("create", "Create an API key", &["--role", "--expires-at"][..]),
        ("list", "List the API keys", &[]),
        ("revoke", "Revoke an API key", &[]),
        ("master-status", "Show how many stored secrets", &[]),
        ("rotate-master", "Seal every stored secret again", &rotate),
    ] {
        let output = run(&["keys", verb, "--help"], &[]).await;
        let help = text(&output.stdout);
        assert!(help.starts_with(about), "{help}");
        let flags = help.lines().filter_map(|line| {
            let line = line.trim_start();
            let from = line.starts_with('-').then(|| line.find("--"))??;
            line[from..].split([' ', ',']).next()
        });
        let (mut found, mut expected): (Vec<&str>, Vec<&str>) =
            (flags.collect(), database.iter().chain(own).copied().collect());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{verb}: {help}");
    }
}

#[tokio::test]
async fn the_server_does_not_start_with_a_key_that_could_be_guessed() {
    for (key, part) in
        [("hunter2", "at least 32"), ("with spaces, although it is long enough", "without spaces")]
    {
        let output = run(
            &["serve"],
            &[
                ("CALLBOARD_API_KEY", key),
                ("CALLBOARD_MASTER_KEY", "9f3b1c7ae05d42886b1fd3c94e7a0256d18cb4f06a935e2777c0be1d5a48f369"),
            ],
        )
        .await;
        let told = text(&output.stderr);
        assert!(!output.status.success() && told.contains(part), "{told}");
        assert!(!told.contains(key), "{told}");
    }
}
