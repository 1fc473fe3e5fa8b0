//! How fast secrets are removed from the output of programs, beside `sed`, which only removes them
//! as they are.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use callboard::secret::{RedactingLines, Redactor};
use secrecy::SecretString;

use crate::measurement::Measurement;

/// Length of a secret, in characters.
const SECRET_CHARS: u64 = 40;
/// One line in so many has a secret.
const SECRET_EVERY: usize = 1000;

/// Measures `megabytes` of log with this many secrets. Rates are megabytes per second.
pub(crate) fn redact(megabytes: usize, count: u64) -> anyhow::Result<Vec<Measurement>> {
    let secrets: Vec<String> = (0..count).map(secret).collect();
    let masked: Vec<SecretString> = secrets.iter().map(|secret| secret.as_str().into()).collect();
    let since = Instant::now();
    let redactor = Redactor::new(&masked);
    let mut all = vec![Measurement::times("redact_build", vec![since.elapsed()])];
    for (name, line) in [("plain", PLAIN), ("json", JSON), ("url", URL)] {
        let log = log(line, megabytes * 1_000_000, &secrets);
        let (found, took) = streamed(&redactor, log.as_bytes());
        anyhow::ensure!(found == log.lines().count() / SECRET_EVERY, "{found} secrets were found");
        all.push(rate(&format!("redact_{name}"), log.len(), took));
        all.push(rate(&format!("sed_{name}"), log.len(), sed(&secrets, log.as_bytes())?));
    }
    Ok(all)
}

const PLAIN: &str =
    "2026-11-30T06:14:40.123Z INFO worker-7 took job 4711 of queue default after 12.5 ms, next in 3 s";
const JSON: &str = r#"{"time":"2026-11-30T06:14:40.123Z","level":"info","msg":"took \"job\" 4711","path":"C:\\tmp\\a","n":12.5}"#;
const URL: &str = "GET /search?q=h%C3%A4user+in+z%C3%BCrich&from=2026-11-30T06%3A14%3A40&page=3&sort=price%2Casc HTTP/1.1 200";

/// A log of such lines.
fn log(line: &str, bytes: usize, secrets: &[String]) -> String {
    let mut log = String::with_capacity(bytes + 200);
    let mut number = 0;
    while log.len() < bytes {
        number += 1;
        let with = if number % SECRET_EVERY == 0 { secrets[number % secrets.len()].as_str() } else { "" };
        // Writing to a string cannot fail.
        let _infallible = writeln!(log, "{line} {with} {number}");
    }
    log
}

/// Reads the log as the worker reads a pipe. Returns how many secrets were found.
fn streamed(redactor: &Redactor, log: &[u8]) -> (usize, Duration) {
    let since = Instant::now();
    let mut lines = RedactingLines::new(redactor.clone());
    let mut found = 0;
    for chunk in log.chunks(64 * 1024) {
        found += lines.feed(chunk).iter().filter(|line| line.as_bytes().contains(&b'*')).count();
    }
    found += lines.finish().len();
    (found, since.elapsed())
}

/// The same by one expression of `sed` for each secret.
fn sed(secrets: &[String], log: &[u8]) -> anyhow::Result<Duration> {
    let mut command = Command::new("sed");
    for secret in secrets {
        command.args(["-e", &format!("s/{secret}/***/g")]);
    }
    let since = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    child.stdin.take().context("no pipe")?.write_all(log)?;
    anyhow::ensure!(child.wait()?.success(), "sed failed");
    Ok(since.elapsed())
}

/// A value of letters and digits, which `sed` takes as it is.
fn secret(number: u64) -> String {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(letters[(state % letters.len() as u64) as usize])
    };
    (0..SECRET_CHARS).map(|_| next()).collect()
}

fn rate(name: &str, bytes: usize, took: Duration) -> Measurement {
    let mut measured = Measurement::rate(name, bytes, took);
    measured.rate = measured.rate.map(|rate| rate / 1e6);
    measured
}
