//! A look-up of a key or a session, which all who ask for the same at the same time share.
//!
//! It runs in a task of its own, and for at most [`LOOK_UP_MAX`]. So it ends, and gives its
//! connection back, also when all who have waited for it are gone.

use std::{io, sync::Arc, time::Duration};

use callboard::store::StoreError;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

use super::{
    Authenticate, Caller, Proof, Verdict,
    messages::{expired, revoked, unknown},
};
use crate::error::{ApiError, Code};

/// Time limit of a look-up. The limits of Postgres and of the pool end neither a statement whose
/// reply is lost nor a connection that is silent.
const LOOK_UP_MAX: Duration = Duration::from_secs(5);

/// The result of a look-up.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Valid(Arc<Caller>),
    /// Says why, and which key it is if it is a known one.
    Refused(ApiError, Option<String>),
}

/// A look-up that has been started. Cheap to clone.
pub(super) struct LookUp(Shared<BoxFuture<'static, Result<Found, ApiError>>>);

impl LookUp {
    /// Starts a look-up.
    pub(super) fn start(keys: Arc<dyn Authenticate>, proof: Proof) -> Self {
        let task = tokio::spawn(async move { find(&*keys, proof).await });
        // It only fails if the look-up has panicked, or the process ends.
        let found = task.map(|ended| ended.unwrap_or_else(|_ended| Err(unavailable())));
        Self(found.boxed().shared())
    }

    /// The result, if it is there.
    pub(super) fn result(&self) -> Option<Result<Found, ApiError>> {
        self.0.clone().now_or_never()
    }

    /// Waits for the result.
    pub(super) async fn wait(self) -> Result<Found, ApiError> {
        self.0.await
    }
}

impl Clone for LookUp {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Ends a look-up after [`LOOK_UP_MAX`].
pub(super) async fn in_time<T>(
    look_up: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let in_time = tokio::time::timeout(LOOK_UP_MAX, look_up).await;
    in_time.unwrap_or_else(|_elapsed| {
        let late = format!("no reply within {} s", LOOK_UP_MAX.as_secs());
        Err(StoreError::Unavailable(io::Error::new(io::ErrorKind::TimedOut, late).into()))
    })
}

async fn find(keys: &dyn Authenticate, proof: Proof) -> Result<Found, ApiError> {
    let verdict = in_time(keys.authenticate(proof)).await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a key could not be looked up");
        unavailable()
    })?;
    Ok(match verdict {
        Verdict::Valid(caller) => Found::Valid(Arc::new(caller)),
        Verdict::Unknown => Found::Refused(unknown(proof), None),
        Verdict::Revoked(name) => Found::Refused(revoked(proof, &name), Some(name)),
        Verdict::Expired(name) => Found::Refused(expired(proof), Some(name)),
    })
}

fn unavailable() -> ApiError {
    ApiError::new(Code::Unavailable, "API keys cannot be checked right now. Try again.")
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Instant};

    use tokio::sync::Notify;

    use super::*;
    use crate::auth::KeyHash;

    /// Replies when it is told to, if ever.
    #[derive(Default)]
    struct Source {
        asked: Notify,
        reply: Notify,
        replied: Notify,
    }

    impl Authenticate for Arc<Source> {
        fn authenticate(&self, _: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
            async {
                self.asked.notify_one();
                self.reply.notified().await;
                self.replied.notify_one();
                Ok(Verdict::Unknown)
            }
            .boxed()
        }

        fn valid(&self, _: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
            std::future::ready(Ok(HashSet::new())).boxed()
        }
    }

    fn proof() -> Proof {
        Proof::Key(KeyHash::of("cb_some"))
    }

    #[tokio::test]
    async fn a_look_up_ends_although_nobody_waits_for_it_any_more() {
        let source = Arc::<Source>::default();
        let kept = LookUp::start(Arc::new(Arc::clone(&source)), proof());
        tokio::select! {
            _found = kept.clone().wait() => panic!("it waits for the reply"),
            () = source.asked.notified() => {}
        }
        source.reply.notify_one();
        let ended = tokio::time::timeout(Duration::from_secs(5), source.replied.notified()).await;
        ended.expect("it was given up, and keeps its connection");
        // Who comes later has the result at once.
        assert!(matches!(kept.wait().await, Ok(Found::Refused(_, None))));
    }

    #[tokio::test]
    async fn a_look_up_without_a_reply_ends_in_time() {
        let began = Instant::now();
        let look_up = LookUp::start(Arc::new(Arc::<Source>::default()), proof());
        let waited = tokio::time::timeout(LOOK_UP_MAX * 2, look_up.clone().wait()).await;
        assert_eq!(waited.expect("it has a limit").unwrap_err().code, Code::Unavailable);
        assert!(began.elapsed() >= LOOK_UP_MAX && look_up.result().is_some());
    }
}
