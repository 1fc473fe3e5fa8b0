//! Programs, by hand and as jobs: the same output, exit, files and input. What differs stands in a
//! table with its reason, which docs/programs.md has too.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
};

use callboard_test_support::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::system::{PATIENCE, System};

/// One program with its arguments and input.
struct Case {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    stdin: &'static str,
}

const fn case(
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    stdin: &'static str,
) -> Case {
    Case { name, program, arguments, stdin }
}

/// A script of bash.
const fn bash(name: &'static str, script: &'static [&'static str], stdin: &'static str) -> Case {
    case(name, "/bin/bash", script, stdin)
}

const CASES: [Case; 24] = [
    case("true", "/bin/true", &[], ""),
    case("false", "/bin/false", &[], ""),
    case("echo", "/bin/echo", &["two  blanks", "", "$HOME *", "ünïcödé 報 😀"], ""),
    case("printf without a line end", "/usr/bin/printf", &["no line end"], ""),
    case("cat", "/bin/cat", &[], "one\ntwo\n\nfour without an end"),
    case("cat of a missing file", "/bin/cat", &["/no/such/file"], ""),
    case("wc", "/usr/bin/wc", &["-c", "-l"], "a\nb\nc\n"),
    case("sort", "/usr/bin/sort", &["-n", "-r"], "2\n10\n1\n"),
    case("tr", "/usr/bin/tr", &["a-z", "A-Z"], "shout\n"),
    case("sed", "/bin/sed", &["s/\\(a*\\)b/[\\1]/"], "aab\nb\n"),
    case("awk", "/usr/bin/awk", &["{ s += $1 } END { print s }"], "1\n2\n3\n"),
    case("seq", "/usr/bin/seq", &["1", "500"], ""),
    case("expr", "/usr/bin/expr", &["6", "*", "7"], ""),
    case("pwd", "/bin/pwd", &[], ""),
    case("base64", "/usr/bin/base64", &["-w", "0"], "bytes"),
    case("sha256sum", "/usr/bin/sha256sum", &[], "bytes"),
    case("tee to the standard streams by name", "/usr/bin/tee", &["/dev/stderr"], "both\n"),
    case("env", "/usr/bin/env", &["-u", "CALLBOARD_GRACE_MS", "sh", "-c", "echo $LANG:$GIVEN:$PATH"], ""),
    bash("exit code and both streams", &["-c", "echo out; echo err >&2; exit 42"], ""),
    bash("a signal", &["-c", "kill -USR1 $$"], ""),
    bash(
        "files",
        &[
            "-c",
            "echo 1 > $CALLBOARD_ARTIFACTS/a.txt; mkdir d; echo 2 > d/x; cp d/x $CALLBOARD_ARTIFACTS/報.csv; ls d",
        ],
        "",
    ),
    bash("a filter of its own output", &["-c", "exec > >(sed 's/^/> /'); echo a; echo b; printf c"], ""),
    bash("a progress bar and long lines", &["-c", "printf '1%%\\r2%%\\r3%%\\n'; printf '%040000d\\n' 7"], ""),
    bash("bytes that are no text", &["-c", "printf 'a\\xffb\\0c\\n'"], ""),
];

/// What differs, by case, with the reason.
const DIFFERENCES: [(&str, &str, &str); 3] = [
    (
        "a progress bar and long lines",
        "stdout",
        "The log is lines: of a line with carriage returns it keeps the last state, as a terminal shows it, and it \
         splits lines longer than 16 KiB, with … before what continues a line.",
    ),
    ("bytes that are no text", "stdout", "The log is text: bytes that are not UTF-8 and NUL become U+FFFD."),
    ("pwd", "stdout", "Every attempt has a directory of its own, which is removed after it."),
];

/// What a run has done.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    stdout: Vec<String>,
    stderr: Vec<String>,
    code: Option<i64>,
    signal: Option<String>,
    files: BTreeMap<String, u64>,
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// Runs a case with the standard library alone.
fn by_hand(case: &Case, home: &Path) -> Seen {
    let place = home.join("by-hand");
    let artifacts = place.join("artifacts");
    fs::create_dir_all(&artifacts).unwrap();
    let mut command = Command::new(case.program);
    command.args(case.arguments).env_clear().current_dir(&place);
    command.envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("GIVEN", "given")]);
    command.env("HOME", &place).env("TMPDIR", &place).env("CALLBOARD_ARTIFACTS", &artifacts);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(case.stdin.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let names = [(10, "SIGUSR1")];
    let signal = output.status.signal().map(|signal| {
        names.iter().find(|(number, _)| *number == signal).map_or("unknown", |(_, name)| *name).to_owned()
    });
    let files = fs::read_dir(&artifacts).unwrap().flatten();
    let files =
        files.map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().len())).collect();
    fs::remove_dir_all(&place).unwrap();
    Seen {
        stdout: lines(&output.stdout),
        stderr: lines(&output.stderr),
        code: output.status.code().map(i64::from),
        signal,
        files,
    }
}

/// A job's log, exit and artifacts.
async fn details(system: &System, job: &str) -> Value {
    let query = "query($id: ID!) { job(id: $id) { state result failure { code message }
        log(first: 1000) { nodes { stream text } } artifacts { name sizeBytes contentType }
        attempts(first: 10) { nodes { exitCode signal outcome } } } }";
    system.data(query, json!({ "id": job })).await["job"].take()
}

fn stream(job: &Value, stream: &str) -> Vec<String> {
    let lines = job["log"]["nodes"].as_array().unwrap().iter();
    let lines = lines.filter(|line| line["stream"] == stream);
    lines.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

async fn until_ended(system: &System, job: &str) -> Value {
    eventually(PATIENCE, || async {
        let found = details(system, job).await;
        let has_ended = ["SUCCEEDED", "FAILED", "CANCELLED"].iter().any(|state| found["state"] == *state);
        has_ended.then_some(found)
    })
    .await
}

fn seen_of(job: &Value) -> Seen {
    let attempt = &job["attempts"]["nodes"][0];
    let files = job["artifacts"].as_array().unwrap().iter();
    let size = |file: &Value| file["sizeBytes"].to_string().trim_matches('"').parse().unwrap();
    Seen {
        stdout: stream(job, "STDOUT"),
        stderr: stream(job, "STDERR"),
        code: attempt["exitCode"].as_i64(),
        signal: attempt["signal"].as_str().map(str::to_owned),
        files: files.map(|file| (file["name"].as_str().unwrap().to_owned(), size(file))).collect(),
    }
}

/// Enqueues a program with one attempt.
async fn enqueue(system: &System, name: &str, program: &str, arguments: &[&str], stdin: &str) -> String {
    let spec = json!({ "program": { "program": program, "arguments": arguments,
        "environment": { "GIVEN": "given" }, "stdin": stdin } });
    let policy = json!({ "maxAttempts": 1, "grace": "PT10S" });
    let command = system
        .make("commandCreate", "command", json!({ "name": name, "spec": spec, "policy": policy }))
        .await;
    system.enqueue(json!({ "commandId": command })).await
}

async fn enqueue_bash(system: &System, name: &str, script: &str) -> String {
    enqueue(system, name, "/bin/bash", &["-c", script], "").await
}

#[tokio::test]
async fn programs_do_the_same_by_hand_and_as_jobs() {
    let system = System::start(1).await;
    let mut jobs = Vec::new();
    for case in &CASES {
        jobs.push(enqueue(&system, case.name, case.program, case.arguments, case.stdin).await);
    }
    let mut found = Vec::new();
    for (case, job) in CASES.iter().zip(jobs) {
        let (by_hand, job) = (by_hand(case, system.home()), until_ended(&system, &job).await);
        let as_job = seen_of(&job);
        let succeeded = job["state"] == "SUCCEEDED";
        assert_eq!(succeeded, by_hand.code == Some(0), "{}: {job:#}", case.name);
        let parts = [
            ("stdout", by_hand.stdout == as_job.stdout),
            ("stderr", by_hand.stderr == as_job.stderr),
            ("exit", (by_hand.code, &by_hand.signal) == (as_job.code, &as_job.signal)),
            ("files", by_hand.files == as_job.files),
        ];
        for (part, _) in parts.into_iter().filter(|(_, is_same)| !is_same) {
            let is_known = DIFFERENCES.iter().any(|(name, known, _)| (*name, *known) == (case.name, part));
            assert!(is_known, "{}: {part} differs\nby hand {by_hand:#?}\nas a job {as_job:#?}", case.name);
            found.push((case.name, part));
        }
    }
    for (name, part, reason) in DIFFERENCES {
        assert!(found.contains(&(name, part)), "{name}: {part} does not differ any more: {reason}");
    }
}

#[tokio::test]
async fn the_result_is_the_json_at_the_end_of_the_output() {
    let system = System::start(1).await;
    let secret = "123456789";
    let service = json!({ "name": "api", "token": secret });
    let service = system.make("serviceCreate", "service", service).await;
    for (script, result, note) in [
        (
            "echo log; printf '{\"a\":\"'; head -c 17000 /dev/zero | tr '\\0' x; echo '\"}'".to_owned(),
            json!({ "a": "x".repeat(17_000) }),
            "",
        ),
        (r#"printf '{\n  "a": [\n    1\n  ]\n}\n'"#.to_owned(), json!({ "a": [1] }), ""),
        (r#"echo '{"a":"\ud83d"}'"#.to_owned(), json!({ "a": "\u{fffd}" }), ""),
        (r#"echo '{"a":"x\u0000y"}'"#.to_owned(), json!({ "a": "x\u{fffd}y" }), ""),
        (r#"echo "{\"d\": $SERVICE_TOKEN, \"e\": 1}""#.to_owned(), json!({ "d": "***", "e": 1 }), ""),
        (
            r#"echo '{"a": 98765432109876543210987}'"#.to_owned(),
            json!({ "a": 98_765_432_109_876_543_210_987_f64 }),
            "98765432109876543210987, which a JSON reader rounds",
        ),
        (r#"echo '{"a": NaN}'"#.to_owned(), Value::Null, "what looks like JSON, but is not (expected value"),
        (
            "printf '[\"'; head -c 1048577 /dev/zero | tr '\\0' x; echo '\"]'".to_owned(),
            Value::Null,
            "is longer than 1048576 bytes",
        ),
        ("echo '[INFO] done'".to_owned(), Value::Null, ""),
    ] {
        let arguments = ["-c", script.as_str()];
        let name: String = script.chars().take(60).collect();
        let spec = json!({ "program": { "program": "/bin/bash", "arguments": arguments } });
        let input = json!({ "name": name, "spec": spec, "serviceIds": [service] });
        let command = system.make("commandCreate", "command", input).await;
        let job = system.enqueue(json!({ "commandId": command })).await;
        let job = until_ended(&system, &job).await;
        assert_eq!((&job["state"], &job["result"]), (&json!("SUCCEEDED"), &result), "{name}");
        let log = stream(&job, "SYSTEM").join("\n");
        assert!(log.contains(note), "{name}: {log}");
        assert_eq!(note.is_empty(), !log.contains("result"), "{name}: {log}");
    }
}

#[tokio::test]
async fn files_in_the_artifacts_directory_become_artifacts_whatever_the_outcome() {
    let system = System::start(1).await;
    let script = "cd $CALLBOARD_ARTIFACTS; echo x > .hidden; mkdir d; ln -s /etc/passwd link; echo 1 > 'हिन्दी.csv'; \
        for n in $(seq 1 3); do echo $n > $n.txt; done; echo broken >&2; exit 3";
    let job = enqueue_bash(&system, "fails", script).await;
    let job = until_ended(&system, &job).await;
    assert_eq!(job["state"], "FAILED");
    let message = "The program exited with code 3. Its last line on standard error: broken";
    assert_eq!(job["failure"], json!({ "code": "EXIT_CODE", "message": message }));
    let names: Vec<&str> =
        job["artifacts"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["1.txt", "2.txt", "3.txt", "हिन्दी.csv"], "{job:#}");
    let log = stream(&job, "SYSTEM").join("\n");
    for name in ["d", "link"] {
        assert!(log.contains(&format!("The file \"{name}\" was not kept")), "{log}");
    }

    let many = "cd $CALLBOARD_ARTIFACTS; touch $(seq -f %04g 1 203)";
    let job = enqueue_bash(&system, "many", many).await;
    let job = until_ended(&system, &job).await;
    assert_eq!(job["artifacts"].as_array().unwrap().len(), 200);
    assert!(stream(&job, "SYSTEM").join("\n").contains("3 more files were not kept"), "{job:#}");
}

#[tokio::test]
async fn text_without_a_line_end_is_shown_while_the_program_runs() {
    let system = System::start(1).await;
    let script = "printf 'Password: '; printf '1%%\\r2%%\\r' >&2; sleep 300";
    let job = enqueue_bash(&system, "waits", script).await;
    eventually(PATIENCE, || async {
        let job = details(&system, &job).await;
        stream(&job, "STDOUT") == ["Password: "] && stream(&job, "STDERR") == ["2%"]
    })
    .await;
    let cancel = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
    system.data(cancel, json!({ "id": job })).await;
    until_ended(&system, &job).await;
}

#[tokio::test]
async fn clean_up_runs_when_a_job_is_cancelled() {
    let system = System::start(1).await;
    let script = "trap 'echo cleanup' TERM; echo ready; sleep 300";
    let job = enqueue_bash(&system, "traps", script).await;
    eventually(PATIENCE, || async { stream(&details(&system, &job).await, "STDOUT") == ["ready"] }).await;
    let cancel = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
    system.data(cancel, json!({ "id": job })).await;
    let job = until_ended(&system, &job).await;
    assert_eq!(job["state"], "CANCELLED");
    assert_eq!(stream(&job, "STDOUT"), ["ready", "cleanup"]);
}

#[tokio::test]
async fn a_drained_attempt_that_exits_with_0_after_sigterm_is_told_as_released() {
    let mut system = System::start(1).await;
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let job = enqueue_bash(&system, "drained", script).await;
    eventually(PATIENCE, || async { stream(&details(&system, &job).await, "STDOUT") == ["ready"] }).await;
    system.workers[0].signal(Signal::TERM);
    eventually(PATIENCE, || async {
        let workers = system.data("{ workers { status } }", json!({})).await;
        workers["workers"][0]["status"] == "DRAINING"
    })
    .await;
    system.workers[0].signal(Signal::TERM);
    assert!(system.workers[0].ended(PATIENCE).await.success());
    let job = details(&system, &job).await;
    assert_eq!(job["attempts"]["nodes"][0]["outcome"], "RELEASED");
    assert_eq!(stream(&job, "STDOUT"), ["ready", "bye"]);
    let log = stream(&job, "SYSTEM").join("\n");
    assert!(log.contains("The attempt ended: released") && !log.contains("succeeded"), "{log}");
}

#[tokio::test]
async fn a_log_that_is_too_long_keeps_its_first_and_its_last_part() {
    let system = System::start(1).await;
    let script = "echo first; head -c 70000000 /dev/zero | tr '\\0' x | fold -w 15000; echo; echo the error >&2; exit 1";
    let job = enqueue_bash(&system, "long", script).await;
    let query = "query($id: ID!, $first: Int, $last: Int) { job(id: $id) { state
        log(first: $first, last: $last) { nodes { stream text } } } }";
    let job = eventually(PATIENCE * 2, || async {
        let job = system.data(query, json!({ "id": job, "last": 100 })).await["job"].take();
        (job["state"] == "FAILED").then_some(job)
    })
    .await;
    assert_eq!(stream(&job, "STDERR"), ["the error"]);
    assert!(
        stream(&job, "SYSTEM").join("\n").contains("were left out here."),
        "{:?}",
        stream(&job, "SYSTEM")
    );
}
