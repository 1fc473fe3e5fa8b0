//! The bounded cache of a process: the entries that were used last.

use std::{
    hash::{Hash, RandomState},
    num::NonZeroUsize,
};

/// A map that forgets the entry that has not been used for longest when it is full. Its hashes are
/// random, because keys may come from clients.
pub type Cache<K, V> = lru::LruCache<K, V, RandomState>;

/// A cache of at most `max` entries, at least one.
pub fn bounded<K: Hash + Eq, V>(max: usize) -> Cache<K, V> {
    Cache::with_hasher(NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN), RandomState::new())
}
