//! Ends a query or a mutation whose caller's key or session has ended meanwhile.
//!
//! A key is checked before an operation runs, and an operation may run for half a minute. So one
//! that takes a while is watched as sockets and streams are, whatever its transport.

use std::{sync::Arc, time::Duration};

use super::document::Kind;
use crate::{
    auth::{Access, Authenticator, OwnEnd, Proof},
    error::ApiError,
};

/// Operations that are done sooner are not watched, because each new watch is a look-up. With the
/// age of the check before the operation it is less than the second in which a key ends.
const WATCHED_AFTER: Duration = Duration::from_millis(100);
/// How long an operation goes on that ends its caller's key or session by itself, so that it can
/// say so.
const OWN_END_MAX: Duration = Duration::from_millis(500);

/// The credential with which an operation runs.
#[derive(Debug)]
pub(super) struct RunningCredential {
    access: Access,
    own_end: Arc<OwnEnd>,
}

impl RunningCredential {
    pub(super) const fn new(access: Access, own_end: Arc<OwnEnd>) -> Self {
        Self { access, own_end }
    }

    /// Waits until the key or the session has ended, for ever if there is none. Returns which it
    /// was.
    pub(super) async fn ended(&self, authenticator: &Arc<Authenticator>) -> Proof {
        tokio::time::sleep(WATCHED_AFTER).await;
        let Some(watch) = authenticator.watch(&self.access) else { return std::future::pending().await };
        watch.ended().cancelled().await;
        if self.own_end.is_noted() {
            tokio::time::sleep(OWN_END_MAX).await;
        }
        watch.proof()
    }
}

/// The error of an operation that was ended, for the reason that the next request would be told.
pub(super) fn cut_short(kind: Kind, mut why: ApiError) -> ApiError {
    if kind == Kind::Mutation {
        why.message.push_str(
            " The mutation was ended before it was done. What it had done by then stands, so check first \
             before you send it again.",
        );
    }
    why
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use callboard::store::StoreError;
    use futures::future::BoxFuture;
    use tokio::time::Instant;

    use super::*;
    use crate::auth::{Authenticate, Caller, KeyHash, Verdict};

    /// Knows no key, so that each has ended.
    struct Unknowing;

    impl Authenticate for Unknowing {
        fn authenticate(&self, _proof: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
            Box::pin(std::future::ready(Ok(Verdict::Unknown)))
        }

        fn valid(&self, _held: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
            Box::pin(std::future::ready(Ok(HashSet::new())))
        }
    }

    #[tokio::test]
    async fn an_operation_that_ends_its_own_key_has_time_to_say_so() {
        let authenticator = Arc::new(Authenticator::new(Unknowing));
        for is_own in [false, true] {
            let access = Access::SignedIn(Arc::new(Caller::configured()), Proof::Key(KeyHash::of("cb_one")));
            let own_end = Arc::<OwnEnd>::default();
            own_end.set(is_own);
            let began = Instant::now();
            RunningCredential::new(access, own_end).ended(&authenticator).await;
            assert_eq!(began.elapsed() >= OWN_END_MAX, is_own);
        }
    }

    #[tokio::test]
    async fn what_has_no_key_never_ends() {
        let credential = RunningCredential::new(Access::Anonymous, Arc::default());
        let authenticator = Arc::new(Authenticator::new(Unknowing));
        let ended = credential.ended(&authenticator);
        assert!(tokio::time::timeout(2 * WATCHED_AFTER, ended).await.is_err());
    }
}
