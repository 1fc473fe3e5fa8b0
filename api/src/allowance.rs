//! What one operation may take: the bytes of its answer, and statements at a time.
//!
//! The cost of a document counts fields, and a field may be one byte or a mebibyte. So the values
//! of an answer are weighed while they are made (`graphql::weigh`), and an operation whose answer
//! becomes too large ends. Answers that are not small have slots, a few for each key and in the
//! whole process, from when they have grown so large until they are sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use callboard::cache::{self, Cache};
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, SetOnce},
    time::timeout,
};

use crate::{
    error::{ApiError, Code},
    shares::Holder,
};

/// Most bytes of an answer's names and values, without those that escape others in JSON.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// An answer up to this many bytes is small, and does not wait for others. The messages of a log
/// that is followed are half of it.
pub const SMALL_ANSWER_BYTES: usize = 512 * 1024;
/// How many answers of a key, and of the process, may be larger than small at a time.
const LARGE_OF_KEY_MAX: usize = 2;
const LARGE_MAX: usize = 16;
/// How many more of a key may wait for that, with what they have loaded, and for how long.
const WAITING_OF_KEY_MAX: usize = 8;
const WAIT_MAX: Duration = Duration::from_secs(10);
/// `retryAfter` of an answer for which no slot became free, in seconds.
const RETRY_AFTER: u64 = 5;
/// How many statements of an operation, and of a key, may read at a time.
const STATEMENTS_MAX: usize = 2;
const STATEMENTS_OF_KEY_MAX: usize = 4;
/// Holders that are remembered. The least recently seen is evicted first.
const REMEMBERED_MAX: usize = 20_000;

/// The allowances of all operations of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Allowances(Arc<State>);

#[derive(Debug)]
struct State {
    large: Arc<Semaphore>,
    /// Of all who have not signed in, who have the slots of one key together.
    large_of_strangers: Arc<Semaphore>,
    wait_max: Duration,
    of_holders: Mutex<Cache<Holder, Arc<OfHolder>>>,
}

/// What the operations of one holder share.
#[derive(Debug)]
struct OfHolder {
    large: Arc<Semaphore>,
    waiting: Semaphore,
    statements: Arc<Semaphore>,
}

impl Default for OfHolder {
    fn default() -> Self {
        Self {
            large: Arc::new(Semaphore::new(LARGE_OF_KEY_MAX)),
            waiting: Semaphore::new(WAITING_OF_KEY_MAX),
            statements: Arc::new(Semaphore::new(STATEMENTS_OF_KEY_MAX)),
        }
    }
}

impl Default for Allowances {
    fn default() -> Self {
        Self::waiting(WAIT_MAX)
    }
}

impl Allowances {
    /// Allowances whose large answers wait so long for a slot.
    fn waiting(wait_max: Duration) -> Self {
        let state = State {
            large: Arc::new(Semaphore::new(LARGE_MAX)),
            large_of_strangers: Arc::new(Semaphore::new(LARGE_OF_KEY_MAX)),
            wait_max,
            of_holders: Mutex::new(cache::bounded(REMEMBERED_MAX)),
        };
        Self(Arc::new(state))
    }

    /// The allowance of an operation of this holder. `None` for one that a test runs without a
    /// connection, which shares with no other.
    pub fn of(&self, holder: Option<Holder>) -> Allowance {
        let new = || {
            let mut of_holder = OfHolder::default();
            if let Some(Holder::Address(_)) = holder {
                of_holder.large = Arc::clone(&self.0.large_of_strangers);
            }
            Arc::new(of_holder)
        };
        let of_holder = match holder {
            Some(holder) => Arc::clone(self.0.of_holders.lock().get_or_insert_mut(holder, new)),
            None => new(),
        };
        Allowance {
            bytes: AtomicUsize::new(0),
            waits: AtomicBool::new(true),
            fault: SetOnce::new(),
            slot: AsyncMutex::new(None),
            statements: Arc::new(Semaphore::new(STATEMENTS_MAX)),
            of_holder,
            of_process: self.clone(),
        }
    }
}

/// The allowance of one operation.
#[derive(Debug)]
pub struct Allowance {
    bytes: AtomicUsize,
    /// Whether a large answer waits for a slot.
    waits: AtomicBool,
    /// Why the operation has to end, if it has to.
    fault: SetOnce<ApiError>,
    slot: AsyncMutex<Option<LargeAnswerSlot>>,
    statements: Arc<Semaphore>,
    of_holder: Arc<OfHolder>,
    of_process: Allowances,
}

/// The slot of a large answer, until it is dropped.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
pub struct LargeAnswerSlot {
    _of_holder: Permit,
    _of_process: Permit,
}

/// The permit for a statement that reads, until it is dropped.
#[derive(Debug)]
pub struct StatementPermit {
    _of_operation: Permit,
    _of_holder: Permit,
}

/// `None` only of a semaphore that was closed, and none of this file ever is.
type Permit = Option<OwnedSemaphorePermit>;

impl Allowance {
    /// Lets the answer skip the wait, because what a mutation has done must be told.
    pub fn never_wait(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }

    /// Counts bytes of the answer. A large answer first waits for its slot.
    ///
    /// Returns an error with `TOO_COMPLEX` if the answer would be larger than [`ANSWER_BYTES_MAX`],
    /// and with `UNAVAILABLE` if there was no slot for it.
    pub async fn charge(&self, bytes: usize) -> Result<(), ApiError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let total = before.saturating_add(bytes);
        if total > ANSWER_BYTES_MAX {
            return Err(self.end(too_large()));
        }
        if total <= SMALL_ANSWER_BYTES || !self.waits.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut slot = self.slot.lock().await;
        if let Some(fault) = self.fault.get() {
            return Err(fault.clone());
        }
        if slot.is_none() {
            *slot = Some(self.wait_for_slot().await.ok_or_else(|| self.end(no_slot()))?);
        }
        Ok(())
    }

    async fn wait_for_slot(&self) -> Option<LargeAnswerSlot> {
        let _waiting = self.of_holder.waiting.try_acquire().ok()?;
        let slot = async {
            let of_holder = permit(&self.of_holder.large).await;
            LargeAnswerSlot { _of_holder: of_holder, _of_process: permit(&self.of_process.0.large).await }
        };
        timeout(self.of_process.0.wait_max, slot).await.ok()
    }

    fn end(&self, fault: ApiError) -> ApiError {
        // The first fault stands.
        let _is_set = self.fault.set(fault.clone());
        self.fault().unwrap_or(fault)
    }

    /// Why the operation has to end, if it has to.
    pub fn fault(&self) -> Option<ApiError> {
        self.fault.get().cloned()
    }

    /// Waits until the operation has to end.
    pub async fn over(&self) {
        self.fault.wait().await;
    }

    /// Takes what the answer has: its slot, and whether it is large. The next message of a
    /// subscription starts anew.
    pub fn take(&self) -> (Option<LargeAnswerSlot>, bool) {
        let is_large = self.bytes.swap(0, Ordering::Relaxed) > SMALL_ANSWER_BYTES;
        // Nothing is charged any more, so the lock is free.
        (self.slot.try_lock().ok().and_then(|mut slot| slot.take()), is_large)
    }

    /// Waits until the operation may run a statement that reads.
    pub async fn statement(&self) -> StatementPermit {
        let of_operation = permit(&self.statements).await;
        StatementPermit { _of_operation: of_operation, _of_holder: permit(&self.of_holder.statements).await }
    }
}

async fn permit(semaphore: &Arc<Semaphore>) -> Permit {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

/// The error of an answer that would be larger than [`ANSWER_BYTES_MAX`].
pub fn too_large() -> ApiError {
    let message = format!(
        "The answer would be larger than {} MiB. Ask for smaller pages (`first`), leave out the fields with large \
         values, or use several operations.",
        ANSWER_BYTES_MAX / (1024 * 1024)
    );
    ApiError::new(Code::TooComplex, message)
}

fn no_slot() -> ApiError {
    let message = format!(
        "Other large answers of this key, or of many keys, are being sent. Try again in {RETRY_AFTER} s, or ask for \
         less at a time."
    );
    ApiError::new(Code::Unavailable, message).with_retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::FutureExt as _;
    use uuid::Uuid;

    use super::*;

    const LARGE: usize = SMALL_ANSWER_BYTES + 1;

    impl Allowances {
        fn of_key(&self, number: u128) -> Allowance {
            self.of(Some(Holder::Key(Some(Uuid::from_u128(number).into()))))
        }
    }

    #[tokio::test]
    async fn an_answer_may_have_so_many_bytes_and_no_more() {
        let allowance = Allowances::default().of_key(1);
        allowance.charge(ANSWER_BYTES_MAX).await.unwrap();
        assert!(allowance.over().now_or_never().is_none());
        let error = allowance.charge(1).await.unwrap_err();
        assert_eq!(error.code, Code::TooComplex);
        assert!(allowance.over().now_or_never().is_some() && allowance.fault() == Some(error));
    }

    #[tokio::test]
    async fn large_answers_wait_for_each_other_and_small_ones_for_nobody() {
        let allowances = Allowances::default();
        let mut held = Vec::new();
        for key in 1..=(LARGE_MAX / LARGE_OF_KEY_MAX) as u128 {
            for _ in 0..LARGE_OF_KEY_MAX {
                let allowance = allowances.of_key(key);
                allowance.charge(LARGE).await.unwrap();
                held.push(allowance.take());
            }
            let third = allowances.of_key(key);
            assert!(third.charge(SMALL_ANSWER_BYTES).now_or_never().is_some());
            assert!(third.charge(1).now_or_never().is_none(), "the key has its large answers");
            let mutation = allowances.of_key(key);
            mutation.never_wait();
            assert_eq!(mutation.charge(LARGE).now_or_never(), Some(Ok(())));
        }
        let other = allowances.of_key(200);
        assert!(other.charge(LARGE).now_or_never().is_none(), "the process has its large answers");
        drop(held.pop());
        other.charge(1).await.unwrap();
        assert!(matches!(other.take(), (Some(_), true)));
        assert!(matches!(other.take(), (None, false)), "the next message starts anew");
    }

    #[tokio::test]
    async fn a_wait_for_a_place_has_an_end() {
        let allowances = Allowances::waiting(Duration::from_millis(50));
        let mut held = Vec::new();
        for _ in 0..LARGE_OF_KEY_MAX {
            let allowance = allowances.of_key(1);
            allowance.charge(LARGE).await.unwrap();
            held.push(allowance.take());
        }
        let others: Vec<_> = (0..=WAITING_OF_KEY_MAX).map(|_| allowances.of_key(1)).collect();
        let mut waiting: Vec<_> = others.iter().map(|other| Box::pin(other.charge(LARGE))).collect();
        let last = waiting.pop().unwrap();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        assert_eq!(last.await.unwrap_err().code, Code::Unavailable, "too many wait");
        for wait in waiting {
            assert_eq!(wait.await.unwrap_err().retry_after, Some(RETRY_AFTER));
        }
        drop(held);
        allowances.of_key(1).charge(LARGE).await.unwrap();
    }

    #[tokio::test]
    async fn all_strangers_together_have_the_places_of_one_key() {
        let allowances = Allowances::default();
        let stranger = |last| allowances.of(Some(Holder::at(Ipv4Addr::new(192, 0, 2, last).into())));
        let mut held = Vec::new();
        for last in 0..LARGE_OF_KEY_MAX as u8 {
            let allowance = stranger(last);
            allowance.charge(LARGE).await.unwrap();
            held.push(allowance.take());
        }
        assert!(stranger(200).charge(LARGE).now_or_never().is_none());
        allowances.of_key(1).charge(LARGE).await.unwrap();
    }

    #[tokio::test]
    async fn statements_of_an_operation_and_of_a_key_have_turns() {
        let allowances = Allowances::default();
        let [first, second, third] = [1; 3].map(|key| allowances.of_key(key));
        let mut held = Vec::new();
        for operation in [&first, &second] {
            for _ in 0..STATEMENTS_MAX {
                held.push(operation.statement().await);
            }
            assert!(operation.statement().now_or_never().is_none(), "the operation has its statements");
        }
        assert!(third.statement().now_or_never().is_none(), "the key has its statements");
        allowances.of_key(2).statement().await;
        drop(held.pop());
        third.statement().await;
    }
}
