//! Hears hints on Redis pub/sub and passes each to the part of the worker that acts on it.
//!
//! Not a [`Duty`](super::repeat::Duty), because it waits for messages and not for time.

use std::sync::Arc;

use callboard::{clock, ids::WorkerId, transport::Hint};
use futures::StreamExt as _;
use tokio::sync::{Notify, mpsc, watch};

use super::repeat::RETRY_AFTER;
use crate::shared::Shared;

/// Each ends the pause of one duty.
#[derive(Debug, Clone, Default)]
pub(super) struct Bells {
    pub(super) backlog: Arc<Notify>,
    pub(super) dependents: Arc<Notify>,
    pub(super) parked: Arc<Notify>,
}

/// Listens for ever. After a reconnect every bell rings, because hints may have been lost.
pub(super) async fn listen(
    shared: Arc<Shared>,
    identity: watch::Receiver<WorkerId>,
    bells: Bells,
    renew_now: mpsc::Sender<()>,
) {
    loop {
        match shared.redis.hints().await {
            Ok(mut hints) => {
                while let Some(hint) = hints.next().await {
                    pass_on(hint, &shared, &identity, &bells, &renew_now);
                }
            }
            Err(error) => tracing::debug!(%error, "could not subscribe to hints, retrying"),
        }
        tokio::time::sleep(clock::jittered(RETRY_AFTER)).await;
    }
}

fn pass_on(
    hint: Hint,
    shared: &Shared,
    identity: &watch::Receiver<WorkerId>,
    bells: &Bells,
    renew_now: &mpsc::Sender<()>,
) {
    // When the channel is full, a renewal is about to happen anyway.
    let renew = || {
        renew_now.try_send(()).ok();
    };
    match hint {
        Hint::Cancel(jobs) if shared.running.holds_any(&jobs) => renew(),
        Hint::Drain(worker) if worker == *identity.borrow() => renew(),
        Hint::Backlog => bells.backlog.notify_one(),
        Hint::Dependents => bells.dependents.notify_one(),
        Hint::Parked => bells.parked.notify_one(),
        Hint::HoldBack(service) => shared.paused_services.apply(service),
        Hint::Reconnected => {
            for bell in [&bells.backlog, &bells.dependents, &bells.parked] {
                bell.notify_one();
            }
        }
        Hint::Cancel(_)
        | Hint::Drain(_)
        | Hint::Changed(_)
        | Hint::ManyChanged
        | Hint::Logged(_)
        | Hint::AccessEnded => {}
    }
}
