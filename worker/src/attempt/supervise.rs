//! Watches the process of an attempt until its end: the timeout and stops from outside.
//!
//! What the child announces is stored elsewhere (`announcements`), so that slow storage never
//! delays a stop.

use std::{pin::pin, time::Instant};

use super::{
    Attempt,
    log_pump::Log,
    outcome::{Stop, StoppedBy},
};
use crate::{
    process::{Exit, ProcessHandle},
    running_attempts::StopReason,
};

/// Returns when the last process is gone, with what stopped it.
pub(super) async fn supervise(
    attempt: Attempt<'_>,
    log: &Log,
    handle: &mut ProcessHandle,
) -> (Exit, Option<Stop>) {
    let policy = attempt.work.policy();
    let mut timeout = pin!(tokio::time::sleep(policy.timeout.0));
    let mut outside = pin!(attempt.guard.stopped());
    let mut stop: Option<Stop> = None;
    loop {
        tokio::select! {
            exit = handle.wait() => return (exit, stop),
            () = &mut timeout, if stop.is_none() => {
                stop = Some(Stop { by: StoppedBy::Timeout, at: Instant::now() });
                handle.terminate(policy.grace.0);
                // May wait while Postgres is away. The shim has its order and ends the process
                // without the worker.
                log.system(format!("The attempt has reached its timeout of {}.", policy.timeout)).await;
            }
            reason = &mut outside, if !stop.is_some_and(|stop| matches!(stop.by, StoppedBy::Outside(_))) => {
                let at = stop.map_or_else(Instant::now, |stop| stop.at);
                stop = Some(Stop { by: StoppedBy::Outside(reason), at });
                match reason {
                    // Another attempt may be about to start: no grace.
                    StopReason::Lost => handle.kill(),
                    StopReason::Cancelled | StopReason::Drained => handle.terminate(policy.grace.0),
                }
            }
        }
    }
}
