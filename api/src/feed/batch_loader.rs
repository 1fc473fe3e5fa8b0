//! The batch loader, which reads the keys of many callers in one statement.
//!
//! Keys are collected while another batch is being read. Nothing is cached, so a read after a
//! change sees the change.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    hash::Hash,
    sync::Arc,
};

use callboard::store::StoreError;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, Semaphore};

/// Maximum number of keys in one statement.
const KEYS_MAX: usize = 1000;
/// Maximum number of concurrent statements.
const AT_A_TIME: usize = 2;

/// The result of one batch.
type Found<K, V> = Result<HashMap<K, V>, Arc<StoreError>>;

/// The batch loader for one kind of row.
pub struct BatchLoader<K, V> {
    open: Mutex<Option<Arc<Batch<K, V>>>>,
    turns: Semaphore,
}

struct Batch<K, V> {
    keys: Mutex<Vec<K>>,
    found: OnceCell<Found<K, V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> BatchLoader<K, V> {
    /// Returns the value of a key, or `None` if it has none. `read` is called with the keys of all
    /// callers that ask at the same time.
    pub async fn load<F, Reading>(&self, key: K, read: F) -> Result<Option<V>, Arc<StoreError>>
    where
        F: FnOnce(Vec<K>) -> Reading,
        Reading: Future<Output = Result<HashMap<K, V>, StoreError>>,
    {
        let batch = self.join(key.clone());
        // Let the other fields of this operation join the batch first.
        tokio::task::yield_now().await;
        let found = batch.found.get_or_init(|| async {
            // The semaphore is never closed, so this always gets a permit.
            let _turn = self.turns.acquire().await;
            read(self.close(&batch)).await.map_err(Arc::new)
        });
        match found.await {
            Ok(found) => Ok(found.get(&key).cloned()),
            Err(error) => Err(Arc::clone(error)),
        }
    }

    fn join(&self, key: K) -> Arc<Batch<K, V>> {
        let mut open = self.open.lock();
        let batch = Arc::clone(open.get_or_insert_default());
        let mut keys = batch.keys.lock();
        keys.push(key);
        if keys.len() >= KEYS_MAX {
            *open = None;
        }
        drop(keys);
        batch
    }

    /// Closes the batch to new keys and returns its keys without duplicates.
    fn close(&self, batch: &Arc<Batch<K, V>>) -> Vec<K> {
        let mut open = self.open.lock();
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, batch)) {
            *open = None;
        }
        drop(open);
        let keys = batch.keys.lock();
        let mut seen = HashSet::with_capacity(keys.len());
        keys.iter().filter(|key| seen.insert((*key).clone())).cloned().collect()
    }
}

impl<K, V> Default for BatchLoader<K, V> {
    fn default() -> Self {
        Self { open: Mutex::new(None), turns: Semaphore::new(AT_A_TIME) }
    }
}

impl<K, V> Default for Batch<K, V> {
    fn default() -> Self {
        Self { keys: Mutex::default(), found: OnceCell::new() }
    }
}

impl<K, V> fmt::Debug for BatchLoader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchLoader")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    async fn double(reads: &AtomicUsize, keys: Vec<u32>) -> Result<HashMap<u32, u32>, StoreError> {
        reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(keys.into_iter().filter(|key| *key != 7).map(|key| (key, 2 * key)).collect())
    }

    #[tokio::test]
    async fn concurrent_loads_are_read_together() {
        let (batch_loader, reads) = (BatchLoader::<u32, u32>::default(), AtomicUsize::new(0));
        let found =
            join_all((0..100).map(|key| batch_loader.load(key % 50, |keys| double(&reads, keys)))).await;
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        assert_eq!(found[0].as_ref().unwrap(), &Some(0));
        assert_eq!(found[99].as_ref().unwrap(), &Some(98));
        assert_eq!(found[7].as_ref().unwrap(), &None);
        assert_eq!(batch_loader.load(3, |keys| double(&reads, keys)).await.unwrap(), Some(6));
        assert_eq!(reads.load(Ordering::SeqCst), 2, "nothing is kept");
    }

    #[tokio::test]
    async fn a_dropped_caller_does_not_cancel_the_others() {
        let (batch_loader, reads) = (BatchLoader::<u32, u32>::default(), AtomicUsize::new(0));
        let mut first = Box::pin(batch_loader.load(1, |_| async {
            std::future::pending::<()>().await;
            unreachable!("never read")
        }));
        let second = batch_loader.load(2, |keys| double(&reads, keys));
        let mut second = Box::pin(second);
        for _ in 0..3 {
            assert!(futures::poll!(&mut first).is_pending());
            assert!(futures::poll!(&mut second).is_pending());
            tokio::task::yield_now().await;
        }
        drop(first);
        assert_eq!(second.await.unwrap(), Some(4));
    }

    #[tokio::test]
    async fn more_keys_than_one_statement_takes_are_read_by_several() {
        let (batch_loader, reads) = (BatchLoader::<u32, u32>::default(), AtomicUsize::new(0));
        let most = KEYS_MAX as u32;
        let found =
            join_all((0..=2 * most).map(|key| batch_loader.load(key, |keys| double(&reads, keys)))).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!(reads.load(Ordering::SeqCst), 3);
    }
}
