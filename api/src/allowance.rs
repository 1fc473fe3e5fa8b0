//! What one operation may take: the bytes of its answer, and statements at a time.
//!
//! The cost of a document counts fields, and a field may be one byte or a mebibyte. So the values
//! of an answer are weighed while they are made (`graphql::weigh`), and an operation whose answer
//! becomes too large ends. Answers that are not small exist only a few at a time, for each key and
//! in the whole process, from the time they are made until they are sent.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use callboard::cache::{self, Cache};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{ApiError, Code},
    shares::Holder,
};

/// Most bytes of an answer's names and values, without those that escape others in JSON.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// An answer up to this many bytes is small, and waits for no other.
pub const SMALL_ANSWER_BYTES: usize = 256 * 1024;
/// How many answers of a key, and of the process, may be larger than small at a time.
const LARGE_OF_KEY_MAX: usize = 2;
const LARGE_MAX: usize = 8;
/// How many statements of an operation, and of a key, may read at a time.
const STATEMENTS_MAX: usize = 2;
const STATEMENTS_OF_KEY_MAX: usize = 4;
/// Holders that are remembered. The one that was seen last the longest ago is forgotten first.
const REMEMBERED_MAX: usize = 20_000;

/// The allowances of all operations of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Allowances(Arc<State>);

#[derive(Debug)]
struct State {
    large: Arc<Semaphore>,
    of_holders: Mutex<Cache<Holder, Arc<OfHolder>>>,
}

/// What the operations of one holder share.
#[derive(Debug)]
struct OfHolder {
    large: Arc<Semaphore>,
    statements: Arc<Semaphore>,
}

impl Default for OfHolder {
    fn default() -> Self {
        Self {
            large: Arc::new(Semaphore::new(LARGE_OF_KEY_MAX)),
            statements: Arc::new(Semaphore::new(STATEMENTS_OF_KEY_MAX)),
        }
    }
}

impl Default for Allowances {
    fn default() -> Self {
        let state = State {
            large: Arc::new(Semaphore::new(LARGE_MAX)),
            of_holders: Mutex::new(cache::bounded(REMEMBERED_MAX)),
        };
        Self(Arc::new(state))
    }
}

impl Allowances {
    /// The allowance of an operation of this holder. `None` for one that a test runs without a
    /// connection, which shares with nobody.
    pub fn of(&self, holder: Option<Holder>) -> Allowance {
        let of_holder = match holder {
            Some(holder) => Arc::clone(self.0.of_holders.lock().get_or_insert_mut(holder, Arc::default)),
            None => Arc::default(),
        };
        Allowance {
            bytes: AtomicUsize::new(0),
            is_over: CancellationToken::new(),
            large: AsyncMutex::new(None),
            statements: Arc::new(Semaphore::new(STATEMENTS_MAX)),
            of_holder,
            of_process: Arc::clone(&self.0.large),
        }
    }
}

/// The allowance of one operation.
#[derive(Debug)]
pub struct Allowance {
    bytes: AtomicUsize,
    is_over: CancellationToken,
    /// Its places among the large answers, once it is one.
    large: AsyncMutex<Option<[Permit; 2]>>,
    statements: Arc<Semaphore>,
    of_holder: Arc<OfHolder>,
    of_process: Arc<Semaphore>,
}

/// The turn of a statement, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_operation: Permit,
    _of_holder: Permit,
}

impl Allowance {
    /// Counts bytes of the answer. A large answer first waits for its places.
    ///
    /// Returns an error if the answer would be larger than [`ANSWER_BYTES_MAX`].
    pub async fn charge(&self, bytes: usize) -> Result<(), ApiError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let total = before.saturating_add(bytes);
        if total > ANSWER_BYTES_MAX {
            self.is_over.cancel();
            return Err(too_large());
        }
        if total > SMALL_ANSWER_BYTES {
            let mut large = self.large.lock().await;
            if large.is_none() {
                *large = Some([permit(&self.of_holder.large).await, permit(&self.of_process).await]);
            }
        }
        Ok(())
    }

    /// The error, if the answer has become too large.
    pub fn is_over(&self) -> Option<ApiError> {
        self.is_over.is_cancelled().then(too_large)
    }

    /// Waits until the answer has become too large.
    pub async fn over(&self) {
        self.is_over.cancelled().await;
    }

    /// How many bytes have been counted.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Starts anew, for the next message of a subscription. The one before has been sent.
    pub fn restart(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        if let Ok(mut large) = self.large.try_lock() {
            *large = None;
        }
    }

    /// Waits until the operation may run a statement that reads.
    pub async fn turn(&self) -> Turn {
        let of_operation = permit(&self.statements).await;
        Turn { _of_operation: of_operation, _of_holder: permit(&self.of_holder.statements).await }
    }
}

/// `None` only of a semaphore that was closed, and none of this file ever is.
type Permit = Option<OwnedSemaphorePermit>;

async fn permit(semaphore: &Arc<Semaphore>) -> Permit {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

fn too_large() -> ApiError {
    let message = format!(
        "The answer would be larger than {} MiB. Ask for smaller pages (`first`), leave out the fields with large \
         values, or use several operations.",
        ANSWER_BYTES_MAX / (1024 * 1024)
    );
    ApiError::new(Code::TooComplex, message)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::FutureExt as _;

    use super::*;

    impl Allowances {
        fn of_address(&self, last: u8) -> Allowance {
            self.of(Some(Holder::at(Ipv4Addr::new(192, 0, 2, last).into())))
        }
    }

    #[tokio::test]
    async fn an_answer_may_have_so_many_bytes_and_no_more() {
        let allowance = Allowances::default().of_address(1);
        allowance.charge(ANSWER_BYTES_MAX).await.unwrap();
        assert!(allowance.over().now_or_never().is_none());
        let error = allowance.charge(1).await.unwrap_err();
        assert_eq!(error.code, Code::TooComplex);
        assert!(allowance.over().now_or_never().is_some());
    }

    #[tokio::test]
    async fn large_answers_wait_for_each_other_and_small_ones_for_nobody() {
        let allowances = Allowances::default();
        let large = SMALL_ANSWER_BYTES + 1;
        let mut held = Vec::new();
        for key in 1..=(LARGE_MAX / LARGE_OF_KEY_MAX) as u8 {
            for _ in 0..LARGE_OF_KEY_MAX {
                let allowance = allowances.of_address(key);
                allowance.charge(large).await.unwrap();
                held.push(allowance);
            }
            let third = allowances.of_address(key);
            assert!(third.charge(SMALL_ANSWER_BYTES).now_or_never().is_some());
            assert!(third.charge(1).now_or_never().is_none(), "the key has its large answers");
        }
        let other = allowances.of_address(200);
        assert!(other.charge(large).now_or_never().is_none(), "the process has its large answers");
        drop(held.pop());
        other.charge(large).await.unwrap();
        // A stream gives its place back with its next message.
        assert!(allowances.of_address(201).charge(large).now_or_never().is_none());
        other.restart();
        allowances.of_address(201).charge(large).await.unwrap();
    }

    #[tokio::test]
    async fn statements_of_an_operation_and_of_a_key_have_turns() {
        let allowances = Allowances::default();
        let [first, second, third] = [1, 1, 1].map(|key| allowances.of_address(key));
        let mut held = Vec::new();
        for operation in [&first, &second] {
            for _ in 0..STATEMENTS_MAX {
                held.push(operation.turn().await);
            }
            assert!(operation.turn().now_or_never().is_none(), "the operation has its statements");
        }
        assert!(third.turn().now_or_never().is_none(), "the key has its statements");
        allowances.of_address(2).turn().await;
        drop(held.pop());
        third.turn().await;
    }
}
