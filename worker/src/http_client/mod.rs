//! The child behind HTTP commands: sends one request, through the job's proxy, and reports events.
//!
//! Runs as `callboard-worker http` under a shim, so that timeouts, cancels and fencing work as for
//! every program. Reads one JSON line on standard input (written by `callboard::command::http`),
//! and exits when the input ends, because then the worker is gone. Writes the runner's protocol,
//! version 1. Never follows a redirect to a refused target, and never lets a secret follow one to
//! another origin.

mod body;
mod cookies;
mod guard;
mod limits;
mod masks;
mod problem;
mod redirect;
mod request;
mod response;

use std::{
    cell::RefCell,
    io::{BufRead as _, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};

use problem::Problem;
use request::{RequestSpec, Stage};

/// As of a process that SIGTERM has ended.
const TERMINATED: u8 = 143;

/// Runs the child.
pub(crate) fn main() -> ExitCode {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let spec = match read.map_err(|error| error.to_string()).and_then(|_| parse(&line)) {
        Ok(spec) => spec,
        Err(why) => return fail(&Problem::bad_input(why)),
    };
    std::thread::spawn(end_with_worker);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Problem::bad_input(error.to_string())),
    };
    emit(json!({ "type": "hello", "runner": "http", "version": env!("CARGO_PKG_VERSION") }));
    let stage = RefCell::new(Stage::default());
    let performed = runtime.block_on(async {
        tokio::select! {
            performed = request::perform(spec, &stage) => performed,
            () = asked_to_end() => Err(stage.borrow().ended()),
        }
    });
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    match performed {
        Ok(response) => {
            emit(json!({ "type": "result", "value": response }));
            ExitCode::SUCCESS
        }
        Err(problem) => fail(&problem),
    }
}

/// Returns at SIGTERM, so that an attempt that reached its timeout can say how far the call was.
async fn asked_to_end() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signals) => drop(signals.recv().await),
        // Then the signal ends the process, which says nothing.
        Err(_) => std::future::pending().await,
    }
}

fn parse(line: &str) -> Result<RequestSpec, String> {
    let spec: RequestSpec = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if spec.v == 1 { Ok(spec) } else { Err(format!("version {} of the protocol is not supported", spec.v)) }
}

/// Exits when the worker is gone. Until then standard input stays open.
fn end_with_worker() {
    let mut rest = Vec::new();
    drop(std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut rest));
    std::process::exit(TERMINATED.into());
}

/// Writes an event, which is an object.
fn emit(mut event: Value) {
    if let Value::Object(fields) = &mut event {
        fields.insert("v".into(), 1.into());
    }
    masks::without_hidden(&mut event);
    // The worker may be gone.
    drop(writeln!(std::io::stdout().lock(), "{event}"));
}

fn fail(problem: &Problem) -> ExitCode {
    emit(json!({
        "type": "failure",
        "code": problem.code,
        "message": problem.message,
        "retryable": problem.is_retryable,
        "retryAfterMs": problem.retry_after.map(|wait| wait.as_millis() as u64),
    }));
    if problem.code == "TERMINATED" { ExitCode::from(TERMINATED) } else { ExitCode::FAILURE }
}
