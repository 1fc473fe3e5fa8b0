//! Authenticates credentials, and caches each result for less than a second.
//!
//! Every transport calls it before an operation, and watches what lasts longer
//! ([`CredentialWatch`]). So a key that is revoked, and a session that is signed out, ends within a
//! second everywhere, also without Redis, whose hint only makes it faster.

use std::{fmt, sync::Arc, time::Duration};

use callboard::clock;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Access, Authenticate, Caller, Client, Presented, Proof,
    credential_watch::{CredentialWatch, CredentialWatches},
    look_up::{Found, LookUp},
    messages::{OTHER_PAGE, expired, over, refused, unchecked, unreadable},
    remembered::{LookUps, Remembered},
    sign_ins::SignIns,
};
use crate::{audit::AuditLog, error::ApiError};

/// How long a result is cached, and how often what is watched is looked up again. With the time of
/// a look-up it is less than the second that a revoked key may still work.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_millis(700);
/// How long the last result counts for requests while Postgres does not reply. Nobody can revoke a
/// key meanwhile. What is open already may go on for longer (`OPEN_UNCONFIRMED_FOR`).
const REQUESTS_UNCONFIRMED_FOR: Duration = Duration::from_secs(10);

/// Authenticates with a cache. There is one per process.
pub struct Authenticator {
    keys: Arc<dyn Authenticate>,
    /// Those who ask for the same at the same time share a look-up.
    look_ups: Mutex<LookUps>,
    sign_ins: SignIns,
    watches: Arc<CredentialWatches>,
    remembered_for: Duration,
    unconfirmed_for: Duration,
}

impl Authenticator {
    /// Creates an authenticator for this source of keys.
    pub fn new(keys: impl Authenticate) -> Self {
        Self {
            keys: Arc::new(keys),
            look_ups: Mutex::new(LookUps::new()),
            sign_ins: SignIns::new(),
            watches: Arc::default(),
            remembered_for: REMEMBERED_FOR,
            unconfirmed_for: REQUESTS_UNCONFIRMED_FOR,
        }
    }

    /// Records sign-ins and those that are refused.
    #[must_use]
    pub fn with_audit(self, audit: AuditLog) -> Self {
        Self { sign_ins: self.sign_ins.with_audit(audit), ..self }
    }

    /// Sets how often an address may fail to sign in at once, and after which time once more.
    #[must_use]
    pub fn with_failures(self, max: u32, regained_every: Duration) -> Self {
        Self { sign_ins: self.sign_ins.with_failures(max, regained_every), ..self }
    }

    /// Authenticates credentials. A wrong key is an error even where none is required, because the
    /// client meant to sign in. A session that has ended is none, because a browser sends its
    /// cookie for ever.
    pub async fn admit(&self, presented: &Presented, client: &Client) -> Result<Access, ApiError> {
        match presented {
            Presented::Nothing => Ok(Access::Anonymous),
            // The browser has added the cookie, and its person may have nothing to do with it.
            Presented::CrossSite => {
                let why = client.cookie_refusal.clone().unwrap_or_else(|| OTHER_PAGE.into());
                let noted = refused(OTHER_PAGE);
                let _noted = self.sign_ins.failed(client, "cross_site", None, noted);
                Ok(Access::CookieIgnored(why))
            }
            Presented::Unreadable => {
                self.sign_ins.may_try(client)?;
                self.sign_ins.charge(client);
                Err(self.sign_ins.failed(client, "unreadable", None, unreadable()))
            }
            Presented::Key(hash) => self.admit_key(Proof::Key(*hash), hash.is_made, client).await,
            Presented::Sessions(cookies) => self.admit_session(cookies).await,
        }
    }

    /// Whether these credentials, or one of these cookies, have been accepted before. A stranger
    /// has shown the others, as far as is known.
    pub fn has_accepted(&self, presented: &Presented) -> bool {
        let look_ups = self.look_ups.lock();
        match presented {
            Presented::Key(key) => look_ups.has_accepted(&Proof::Key(*key)),
            Presented::Sessions(cookies) => {
                cookies.iter().any(|cookie| look_ups.has_accepted(&Proof::Session(*cookie)))
            }
            Presented::Nothing | Presented::CrossSite | Presented::Unreadable => false,
        }
    }

    /// Notes that a key or a session was accepted or refused.
    pub(super) fn note(&self, proof: Proof, is_accepted: bool) {
        let mut look_ups = self.look_ups.lock();
        if is_accepted { look_ups.accept(proof) } else { look_ups.refuse(&proof) }
    }

    async fn admit_key(&self, proof: Proof, is_made: bool, client: &Client) -> Result<Access, ApiError> {
        // Nobody guesses a key that Callboard made, so only others are slowed. Failures at its
        // address do not slow a key that has been accepted.
        if !is_made && !self.look_ups.lock().has_accepted(&proof) {
            self.sign_ins.may_try(client)?;
        }
        let (why, name) = match self.look_up(proof).await? {
            Found::Valid(caller) if !is_over(&caller) => {
                self.note(proof, true);
                self.sign_ins.succeeded(proof, &caller, client);
                return Ok(Access::SignedIn(caller, proof));
            }
            Found::Valid(caller) => (expired(proof), Some(caller.name.clone())),
            Found::Refused(why, name) => (why, name),
        };
        self.note(proof, false);
        if !is_made {
            self.sign_ins.charge(client);
        }
        Err(self.sign_ins.failed(client, "refused", name, why))
    }

    /// Finds a key or a session, in the cache or the source. While Postgres does not reply, the
    /// last result counts for a while.
    pub(super) async fn look_up(&self, proof: Proof) -> Result<Found, ApiError> {
        let (look_up, before) = {
            let mut look_ups = self.look_ups.lock();
            let remembered = look_ups.of(&proof);
            if let Some(found) = remembered.get(&proof).and_then(|known| known.fresh(self.remembered_for)) {
                return Ok(found);
            }
            let last = remembered.get(&proof).map(|known| (known.at, known.look_up.clone(), known.last()));
            match last {
                Some((at, look_up, before)) if at.elapsed() < self.remembered_for => (look_up, before),
                last => {
                    let before = last.and_then(|(.., before)| before);
                    let look_up = LookUp::start(Arc::clone(&self.keys), proof);
                    let new =
                        Remembered { at: Instant::now(), look_up: look_up.clone(), before: before.clone() };
                    remembered.put(proof, new);
                    (look_up, before)
                }
            }
        };
        let before = before.filter(|(at, _)| at.elapsed() < self.unconfirmed_for).map(|(_, found)| found);
        match before {
            None => look_up.wait().await,
            Some(before) => match tokio::time::timeout(REMEMBERED_FOR, look_up.wait()).await {
                Ok(Ok(found)) => Ok(found),
                Ok(Err(_)) | Err(_) => Ok(before),
            },
        }
    }

    /// Looks up everything anew, because a key was revoked or a session has ended.
    pub fn forget(&self) {
        self.look_ups.lock().forget();
        self.watches.look();
    }

    /// Says why what was watched has ended, as the next request would be told: with
    /// UNAUTHENTICATED, or with UNAVAILABLE if that could not be looked up. That does not count as
    /// a sign-in.
    pub async fn why_ended(&self, proof: Proof) -> ApiError {
        match tokio::time::timeout(REMEMBERED_FOR, self.look_up(proof)).await {
            Ok(Ok(Found::Refused(why, _))) => why,
            Ok(Ok(Found::Valid(caller))) if is_over(&caller) => expired(proof),
            // The result is older than the end.
            Ok(Ok(Found::Valid(_))) => over(),
            Ok(Err(_)) | Err(_) => unchecked(),
        }
    }

    /// Watches what lasts longer than its check: a socket or a stream. `None` if it has no
    /// credentials that could end.
    pub fn watch(self: &Arc<Self>, access: &Access) -> Option<CredentialWatch> {
        let Access::SignedIn(caller, proof) = access else { return None };
        Some(self.watches.watch(*proof, caller.expires_at, &self.keys))
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}

pub(super) fn is_over(caller: &Caller) -> bool {
    caller.expires_at.is_some_and(|end| end <= clock::now())
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use callboard::{api_key::TextKind, store::StoreError};
    use futures::{FutureExt as _, future::BoxFuture};
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::{
        auth::{Credential, FAILURES_MAX, FixedKey, KeyHash, Role, Transport, Verdict},
        error::Code,
    };

    const CLIENT: Client =
        Client { address: None, transport: Transport::Http, is_https: false, cookie_refusal: None };

    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    /// Knows a key, but only the first time that it is asked.
    struct Failing(AtomicUsize);

    impl Authenticate for Failing {
        fn authenticate(&self, _: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
            let is_first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
            let gone = || StoreError::Unavailable(std::io::Error::other("gone").into());
            std::future::ready(if is_first { Ok(Verdict::Valid(caller(None))) } else { Err(gone()) }).boxed()
        }

        fn valid(&self, _: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
            std::future::ready(Ok(HashSet::new())).boxed()
        }
    }

    #[tokio::test]
    async fn an_outage_of_postgres_does_not_sign_anybody_out_at_once() {
        let mut authenticator = Authenticator::new(Failing(AtomicUsize::default()));
        authenticator.remembered_for = Duration::ZERO;
        for _ in 0..9 {
            authenticator.admit(&key("cb_ci"), &CLIENT).await.unwrap();
        }
        authenticator.unconfirmed_for = Duration::ZERO;
        let error = authenticator.admit(&key("cb_ci"), &CLIENT).await.unwrap_err();
        assert_eq!(error.code, Code::Unavailable);
    }

    fn caller(expires_at: Option<clock::Time>) -> Caller {
        Caller { name: "ci".into(), role: Role::Viewer, credential: Credential::ConfiguredKey, expires_at }
    }

    fn key(text: &str) -> Presented {
        Presented::Key(KeyHash::of(text))
    }

    impl Authenticate for Counting {
        fn authenticate(&self, proof: Proof) -> BoxFuture<'_, Result<Verdict, StoreError>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            let verdict = match proof {
                Proof::Key(hash) if hash == KeyHash::of("cb_ci") => Verdict::Valid(caller(None)),
                Proof::Key(hash) if hash == KeyHash::of("cb_gone") => Verdict::Revoked("gone".into()),
                Proof::Key(_) | Proof::Session(_) => Verdict::Unknown,
            };
            async move {
                tokio::task::yield_now().await;
                Ok(verdict)
            }
            .boxed()
        }

        fn valid(&self, _: Vec<Proof>) -> BoxFuture<'_, Result<HashSet<Proof>, StoreError>> {
            std::future::ready(Ok(HashSet::new())).boxed()
        }
    }

    #[tokio::test]
    async fn a_result_is_remembered_for_less_than_a_second_and_shared() {
        let counting = Counting::default();
        let mut authenticator = Authenticator::new(counting.clone());
        assert!(authenticator.remembered_for < Duration::from_secs(1));
        authenticator.remembered_for = Duration::from_mins(10);
        let admit = || async { authenticator.admit(&key("cb_ci"), &CLIENT).await.unwrap() };
        let (one, other) = tokio::join!(admit(), admit());
        assert_eq!(one.caller().unwrap().name, other.caller().unwrap().name);
        admit().await;
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
        authenticator.forget();
        admit().await;
        assert_eq!(counting.0.load(Ordering::SeqCst), 2);
        authenticator.remembered_for = Duration::ZERO;
        authenticator.admit(&key("cb_ci"), &CLIENT).await.unwrap();
        assert_eq!(counting.0.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_wrong_key_is_refused_and_no_key_is_anonymous() {
        let authenticator = Authenticator::new(Counting::default());
        assert_eq!(authenticator.admit(&Presented::Nothing, &CLIENT).await, Ok(Access::Anonymous));
        // A browser sends its cookie for ever, and for the pages of other sites.
        let unmade = KeyHash::of("cbs_ended");
        let made = TextKind::Session.draw();
        let ended = KeyHash::of_kind(TextKind::Session, made.expose_secret());
        for (cookie, part) in [
            (Presented::Sessions([unmade].into()), "session has ended"),
            (Presented::Sessions([ended, unmade].into()), "session has ended"),
            (Presented::CrossSite, "another address"),
        ] {
            let access = authenticator.admit(&cookie, &CLIENT).await.unwrap();
            assert_eq!(access.caller(), None);
            let error = access.unauthenticated();
            assert!(error.message.contains(part), "{error}");
        }
        for (wrong, part) in [
            (Presented::Unreadable, "not an API key"),
            (key("cb_other"), "unknown"),
            (key("cb_gone"), "`gone` was revoked"),
        ] {
            let error = authenticator.admit(&wrong, &CLIENT).await.unwrap_err();
            assert_eq!(error.code, Code::Unauthenticated);
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn an_expired_key_is_refused_even_if_it_is_remembered() {
        let end = clock::now() - chrono::Duration::seconds(1);
        let otherwise = Counting::default();
        let fixed = FixedKey { key: KeyHash::of("cb_old"), caller: caller(Some(end)), otherwise };
        let authenticator = Authenticator::new(fixed);
        let refused = authenticator.admit(&key("cb_old"), &CLIENT).await.unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated);
    }

    #[tokio::test]
    async fn whoever_fails_too_often_waits_and_accepted_keys_go_on() {
        let counting = Counting::default();
        let authenticator =
            Authenticator::new(counting.clone()).with_failures(FAILURES_MAX, Duration::from_mins(10));
        let admit = |text: String| {
            let authenticator = &authenticator;
            async move { authenticator.admit(&key(&text), &CLIENT).await.map_err(|error| error.code) }
        };
        admit("cb_ci".into()).await.unwrap();
        for number in 0..FAILURES_MAX {
            assert_eq!(admit(format!("cb_{number}")).await.unwrap_err(), Code::Unauthenticated);
        }
        let looked_up = counting.0.load(Ordering::SeqCst);
        for number in 0..100 {
            assert_eq!(admit(format!("cb_more{number}")).await.unwrap_err(), Code::RateLimited);
        }
        assert_eq!(counting.0.load(Ordering::SeqCst), looked_up, "nothing is looked up meanwhile");
        let error = authenticator.admit(&key("cb_x"), &CLIENT).await.unwrap_err();
        assert!(error.retry_after.is_some_and(|seconds| (1..=600).contains(&seconds)));
        authenticator.forget();
        admit("cb_ci".into()).await.unwrap();
        let made = TextKind::Key.draw();
        assert_eq!(admit(made.expose_secret().to_owned()).await.unwrap_err(), Code::Unauthenticated);
    }
}
