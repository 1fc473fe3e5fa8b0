//! The loop that all duties share.

use std::{future, sync::Arc, time::Duration};

use callboard::clock;
use tokio::sync::Notify;

/// Pause after a failure, where a duty has no reason for another.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Something that a worker does again and again.
pub(super) trait Duty: Send {
    type Error;

    /// Does it once. Returns when to do it again.
    fn run(&mut self) -> impl Future<Output = Result<Next, Self::Error>> + Send;

    /// Logs a failure. Returns when to try again.
    fn failed(&mut self, error: Self::Error) -> Next;
}

/// When a duty runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// At once, because there is more to do.
    AtOnce,
    /// After about this long, with jitter, so that workers do not run in step.
    About(Duration),
    /// After exactly this long, because something falls due then.
    In(Duration),
}

/// Repeats a duty for ever. The bell, if there is one, ends a pause.
pub(super) async fn repeat(mut duty: impl Duty, bell: Option<Arc<Notify>>) {
    loop {
        let next = match duty.run().await {
            Ok(next) => next,
            Err(error) => duty.failed(error),
        };
        let pause = match next {
            Next::AtOnce => continue,
            Next::About(period) => clock::jittered(period),
            Next::In(pause) => pause,
        };
        let rung = async {
            match &bell {
                Some(bell) => bell.notified().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = rung => {}
        }
    }
}
