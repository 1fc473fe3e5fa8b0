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
mod problem;
mod redirect;
mod request;
mod response;

use std::{
    io::{BufRead as _, Write as _},
    process::ExitCode,
};

use serde_json::{Value, json};

use problem::Problem;
use request::RequestSpec;

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
    match runtime.block_on(request::perform(spec)) {
        Ok(response) => {
            emit(json!({ "type": "result", "value": response }));
            ExitCode::SUCCESS
        }
        Err(problem) => fail(&problem),
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
    std::process::exit(143);
}

/// Writes an event, which is an object.
fn emit(mut event: Value) {
    if let Value::Object(fields) = &mut event {
        fields.insert("v".into(), 1.into());
    }
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
    ExitCode::FAILURE
}
