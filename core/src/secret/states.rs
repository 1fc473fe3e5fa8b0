//! Tables by the states of an automaton.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use aho_corasick::automaton::StateID;

/// What is known of states.
pub(super) type States<T> = HashMap<StateID, T, BuildHasherDefault<StateHasher>>;

/// Spreads the numbers of states. They are ours, so nobody can choose ones that collide.
#[derive(Debug, Default)]
pub(super) struct StateHasher(u64);

impl Hasher for StateHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}
