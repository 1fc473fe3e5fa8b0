//! The automaton that knows all spellings.

use std::collections::BTreeSet;

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
    dfa::DFA,
    nfa::contiguous::NFA,
};

/// Up to this many bytes of spellings are searched for with a table of all transitions, which is
/// fast and takes about 300 times as much memory.
const TABLE_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(super) enum Machine {
    Table(DFA),
    Compact(NFA),
}

impl Machine {
    /// Matches the spellings, with their indexes, and the first `beginning_bytes` of the longer
    /// ones, because a cut of the text matters from there on.
    ///
    /// # Panics
    /// For some hundred million bytes of spellings.
    pub(super) fn new(spellings: &[Vec<u8>], beginning_bytes: usize) -> Self {
        let longer = spellings.iter().filter(|spelling| spelling.len() > beginning_bytes);
        let beginnings: BTreeSet<&[u8]> = longer.map(|spelling| &spelling[..beginning_bytes]).collect();
        let patterns = spellings.iter().map(Vec::as_slice).chain(beginnings);
        let bytes: usize = spellings.iter().map(Vec::len).sum();
        #[expect(clippy::expect_used, reason = "fails only for 2^31 states")]
        if bytes <= TABLE_BYTES_MAX {
            Self::Table(DFA::new(patterns).expect("few and short"))
        } else {
            Self::Compact(NFA::new(patterns).expect("few and short"))
        }
    }

    /// The state in which nothing has been read.
    pub(super) fn start(&self) -> StateID {
        match self {
            Self::Table(machine) => start(machine),
            Self::Compact(machine) => start(machine),
        }
    }
}

/// The state in which nothing has been read.
#[expect(clippy::expect_used, reason = "both machines search everywhere")]
pub(super) fn start<A: Automaton>(machine: &A) -> StateID {
    machine.start_state(Anchored::No).expect("unanchored")
}

/// Reads the bytes of `text` before the first one that may begin an escape, or that leads to a
/// match. Returns how many there are. Most of a text is read here.
#[inline]
pub(super) fn read_plain<A: Automaton>(
    machine: &A,
    text: &[u8],
    state: &mut StateID,
    is_escape: &[bool; 256],
) -> usize {
    let mut read = *state;
    for (length, byte) in text.iter().enumerate() {
        if is_escape[usize::from(*byte)] {
            *state = read;
            return length;
        }
        let next = machine.next_state(Anchored::No, read, *byte);
        if machine.is_special(next) {
            *state = read;
            return length;
        }
        read = next;
    }
    *state = read;
    text.len()
}
