//! Tables by the states of an automaton.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
};

use super::machine::start;

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

/// What has been read in each state: so many bytes of a spelling. And how many, in those that are
/// not the end of one.
pub(super) fn states<A: Automaton>(
    machine: &A,
    spellings: &[Vec<u8>],
) -> (States<(usize, usize)>, States<usize>) {
    let (mut texts, mut beginnings) = (States::default(), States::default());
    for (index, spelling) in spellings.iter().enumerate() {
        let mut state = start(machine);
        for (length, byte) in (1..).zip(spelling) {
            state = machine.next_state(Anchored::No, state, *byte);
            texts.entry(state).or_insert((index, length));
            if length < spelling.len() {
                beginnings.entry(state).or_insert(length);
            }
        }
    }
    (texts, beginnings)
}
