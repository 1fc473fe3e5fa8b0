//! The bounded cache of a process: the entries that were used last.

use std::num::NonZeroUsize;

/// A map that forgets the entry that has not been used for longest when it is full.
pub type Cache<K, V> = lru::LruCache<K, V>;

/// A cache of at most `max` entries, at least one.
pub fn bounded<K: std::hash::Hash + Eq, V>(max: usize) -> Cache<K, V> {
    Cache::new(NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN))
}
