//! Finds the spellings of secrets in a text, whatever characters of them are escaped.
//!
//! One automaton reads the text once. Where an escape may begin, it goes on both with the bytes as
//! they are and with what the escape stands for. Such a reading ends as soon as it is no beginning
//! of a spelling, which is mostly at once. So every mixture of escapes is found, and none has to be
//! listed. Pure.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
    dfa::DFA,
    nfa::contiguous::NFA,
};

use super::escapes::{self, ESCAPE_BYTES_MAX};

/// Up to this many bytes of spellings are searched for with a table of all transitions, which is
/// fast and takes about 300 times as much memory.
const TABLE_BYTES_MAX: usize = 64 * 1024;

/// From this length on, in bytes, the beginning of a spelling is masked where a text was cut. A
/// shorter one may be a word that ends many lines.
const BEGINNING_BYTES_MIN: usize = 8;

/// What stands where a text was cut.
const CUTS: [&[u8]; 2] = [b"...", "…".as_bytes()];

/// Searches for a set of spellings.
#[derive(Debug)]
pub(super) struct Search {
    machine: Machine,
    spellings: Vec<Vec<u8>>,
    /// The spelling, and how much of it, that has been read in a state.
    beginnings: HashMap<StateID, (usize, usize)>,
    /// What may begin at a byte, besides what stands there.
    beginning_at: [Special; 256],
}

/// What may begin at a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    Nothing,
    Escape,
    /// The mark of a cut.
    Cut,
}

#[derive(Debug)]
enum Machine {
    Table(DFA),
    Compact(NFA),
}

/// A place in a text, and what may have begun before it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    at: usize,
    /// The state of the text as it is.
    raw: StateID,
    /// Other readings, with where they go on. None of them is in the start state.
    others: Vec<(usize, StateID)>,
}

/// What was found in a text.
#[derive(Debug, Default)]
pub(super) struct Found {
    ranges: Vec<Range<usize>>,
    /// Where an escape begins that the end of the text cuts, or the secret around it.
    open: Option<usize>,
}

impl Search {
    /// # Panics
    /// For some hundred million bytes of spellings.
    pub(super) fn new(spellings: BTreeSet<Vec<u8>>) -> Self {
        let spellings: Vec<Vec<u8>> = spellings.into_iter().collect();
        let bytes: usize = spellings.iter().map(Vec::len).sum();
        #[expect(clippy::expect_used, reason = "fails only for 2^31 states")]
        let machine = if bytes <= TABLE_BYTES_MAX {
            Machine::Table(DFA::new(&spellings).expect("few and short"))
        } else {
            Machine::Compact(NFA::new(&spellings).expect("few and short"))
        };
        let has = |byte: u8| spellings.iter().any(|spelling| spelling.contains(&byte));
        let special = |byte: u8| match byte {
            _ if CUTS.iter().any(|cut| cut[0] == byte) => Special::Cut,
            // They stand for themselves or a blank.
            b'\'' | b'"' if !has(byte) => Special::Nothing,
            b'+' if !has(b' ') => Special::Nothing,
            _ if escapes::begins(byte) => Special::Escape,
            _ => Special::Nothing,
        };
        let beginning_at = std::array::from_fn(|byte| special(byte as u8));
        let mut search = Self { machine, spellings, beginnings: HashMap::new(), beginning_at };
        search.beginnings = match &search.machine {
            Machine::Table(machine) => beginnings(machine, &search.spellings),
            Machine::Compact(machine) => beginnings(machine, &search.spellings),
        };
        search
    }

    /// The place at the beginning of a text.
    pub(super) fn start(&self) -> Place {
        let raw = match &self.machine {
            Machine::Table(machine) => start(machine),
            Machine::Compact(machine) => start(machine),
        };
        Place { at: 0, raw, others: Vec::new() }
    }

    /// Reads `text` from `place` up to `end`. Escapes may go on behind it.
    pub(super) fn read(&self, text: &[u8], place: &mut Place, end: usize, found: &mut Found) {
        match &self.machine {
            Machine::Table(machine) => self.read_with(machine, text, place, end, found),
            Machine::Compact(machine) => self.read_with(machine, text, place, end, found),
        }
    }

    /// Finds every secret in a whole text.
    pub(super) fn find(&self, text: &[u8]) -> (Place, Found) {
        let (mut place, mut found) = (self.start(), Found::default());
        self.read(text, &mut place, text.len(), &mut found);
        (place, found)
    }

    /// The place at the beginning of the line after one that ends at `place`. What has begun may go
    /// on there.
    pub(super) fn next_line(&self, place: &Place) -> Place {
        let start = self.start().raw;
        let raw = match &self.machine {
            Machine::Table(machine) => machine.next_state(Anchored::No, place.raw, b'\n'),
            Machine::Compact(machine) => machine.next_state(Anchored::No, place.raw, b'\n'),
        };
        let others = place.states().filter(|state| *state != start).map(|state| (0, state));
        Place { at: 0, raw, others: others.collect() }
    }

    /// Adds the beginnings of secrets with which a text that was cut ends.
    pub(super) fn find_cut(&self, text: &[u8], place: &Place, found: &mut Found) {
        for state in place.states() {
            self.note_beginning(text, place.at, state, found);
        }
    }

    /// Length of the beginning of a text, read up to `place`, that no text behind it makes a part
    /// of a secret.
    pub(super) fn settled(&self, text: &[u8], place: &Place, found: &Found) -> usize {
        let begun = place.states().filter_map(|state| self.beginning(text, place.at, state));
        begun.chain(found.open).min().unwrap_or(place.at)
    }

    fn read_with<A: Automaton>(
        &self,
        machine: &A,
        text: &[u8],
        place: &mut Place,
        end: usize,
        found: &mut Found,
    ) {
        let mut raw = place.raw;
        let mut has_others = !place.others.is_empty();
        for at in place.at..end {
            let byte = text[at];
            let special = self.beginning_at[usize::from(byte)];
            if special != Special::Nothing || has_others {
                (place.at, place.raw) = (at, raw);
                if has_others {
                    self.move_on(machine, text, place, found);
                }
                match special {
                    Special::Escape => self.read_escape(machine, text, place, found),
                    Special::Cut if CUTS.iter().any(|cut| text[at..].starts_with(cut)) => {
                        self.find_cut(text, place, found);
                    }
                    Special::Nothing | Special::Cut => {}
                }
                place.others.retain(|(goes_on, _)| *goes_on > at);
                has_others = !place.others.is_empty();
            }
            raw = machine.next_state(Anchored::No, raw, byte);
            if machine.is_special(raw) && machine.is_match(raw) {
                self.note(machine, text, at + 1, raw, found);
            }
        }
        (place.at, place.raw) = (end.max(place.at), raw);
    }

    /// Moves the other readings at `place` one byte on.
    fn move_on<A: Automaton>(&self, machine: &A, text: &[u8], place: &mut Place, found: &mut Found) {
        let (at, raw) = (place.at, place.raw);
        place.others.retain(|(goes_on, state)| *goes_on != at || *state != raw);
        for index in 0..place.others.len() {
            let (goes_on, state) = place.others[index];
            if goes_on == at {
                let next = machine.next_state(Anchored::No, state, text[at]);
                self.go_on(machine, text, (at + 1, next), place, found);
            }
        }
    }

    /// Begins the readings of an escape at `place`.
    fn read_escape<A: Automaton>(&self, machine: &A, text: &[u8], place: &mut Place, found: &mut Found) {
        let (at, start) = (place.at, start(machine));
        let is_open = escapes::read(&text[at..], |bytes, length| {
            let step = |state, byte: &u8| machine.next_state(Anchored::No, state, *byte);
            let next = bytes.iter().fold(place.raw, step);
            if next != start {
                self.go_on(machine, text, (at + length, next), place, found);
            }
            for index in 0..place.others.len() {
                let (goes_on, state) = place.others[index];
                if goes_on == at {
                    let next = bytes.iter().fold(state, step);
                    self.go_on(machine, text, (at + length, next), place, found);
                }
            }
        });
        if is_open {
            let begun = place.states().filter_map(|state| self.beginning(text, at, state));
            found.open = begun.chain(found.open).chain([at]).min();
        }
    }

    fn go_on<A: Automaton>(
        &self,
        machine: &A,
        text: &[u8],
        (at, state): (usize, StateID),
        place: &mut Place,
        found: &mut Found,
    ) {
        if machine.is_match(state) {
            self.note(machine, text, at, state, found);
        }
        if state != start(machine) && !place.others.contains(&(at, state)) {
            place.others.push((at, state));
        }
    }

    /// Notes the longest spelling that ends at `end`. Others that end there are inside of it.
    fn note<A: Automaton>(&self, machine: &A, text: &[u8], end: usize, state: StateID, found: &mut Found) {
        let matched = (0..machine.match_len(state)).map(|index| machine.match_pattern(state, index));
        let Some(longest) = matched.max_by_key(|id| machine.pattern_len(*id)) else { return };
        let start = self.start_of(text, end, &self.spellings[longest]);
        found.ranges.push(start..end);
    }

    fn note_beginning(&self, text: &[u8], end: usize, state: StateID, found: &mut Found) {
        if self.beginnings.get(&state).is_some_and(|(_, length)| *length >= BEGINNING_BYTES_MIN)
            && let Some(start) = self.beginning(text, end, state)
        {
            found.ranges.push(start..end);
        }
    }

    /// Where the beginning of a spelling begins that ends at `end` in this state.
    fn beginning(&self, text: &[u8], end: usize, state: StateID) -> Option<usize> {
        let (spelling, length) = self.beginnings.get(&state)?;
        Some(self.start_of(text, end, &self.spellings[*spelling][..*length]))
    }

    /// Where `spelling` begins, which ends at `end`, with escapes or without. If a part of it was
    /// read before this text, that is 0.
    fn start_of(&self, text: &[u8], end: usize, spelling: &[u8]) -> usize {
        if text[..end].ends_with(spelling) {
            return self.start_of_escape(text, end - spelling.len(), spelling);
        }
        // For each length of what is left of the spelling, where it may end.
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); spelling.len() + 1];
        ends[spelling.len()].push(end);
        for left in (1..=spelling.len()).rev() {
            let mut index = 0;
            while let Some(&end) = ends[left].get(index) {
                index += 1;
                if text[..end].last() == Some(&spelling[left - 1]) {
                    add(&mut ends[left - 1], end - 1);
                }
                for from in end.saturating_sub(ESCAPE_BYTES_MAX)..end {
                    if self.beginning_at[usize::from(text[from])] != Special::Escape {
                        continue;
                    }
                    escapes::read(&text[from..], |bytes, length| {
                        if from + length == end && spelling[..left].ends_with(bytes) {
                            add(&mut ends[left - bytes.len()], from);
                        }
                    });
                }
            }
        }
        ends[0].iter().copied().min().unwrap_or(0)
    }

    /// Where the first character of `spelling` begins, which stands at `start` as it is, if it is
    /// the last part of an escape of itself, as in `\"`.
    fn start_of_escape(&self, text: &[u8], start: usize, spelling: &[u8]) -> usize {
        let mut first = start;
        for from in start.saturating_sub(ESCAPE_BYTES_MAX)..start {
            if self.beginning_at[usize::from(text[from])] == Special::Escape {
                escapes::read(&text[from..], |bytes, length| {
                    let ends_here = from + length == start + bytes.len();
                    if ends_here && !bytes.is_empty() && spelling.starts_with(bytes) {
                        first = first.min(from);
                    }
                });
            }
        }
        first
    }
}

impl Place {
    /// The place at the beginning of a line, where what has begun goes on behind the indentation,
    /// or behind a quote there.
    pub(super) fn indented(mut self, line: &[u8]) -> Self {
        let indentation = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let is_quoted = matches!(line.get(indentation), Some(b'\'' | b'"' | b'`'));
        for index in 0..self.others.len() {
            self.others[index].0 += indentation;
            let (at, state) = self.others[index];
            if is_quoted {
                self.others.push((at + 1, state));
            }
        }
        self
    }

    /// The same place in the text without its first `bytes`.
    pub(super) fn moved_back(mut self, bytes: usize) -> Self {
        self.at -= bytes;
        for (at, _) in &mut self.others {
            *at -= bytes;
        }
        self
    }

    /// The states in which the text may be here.
    fn states(&self) -> impl Iterator<Item = StateID> + '_ {
        let others = self.others.iter().filter(|(at, _)| *at == self.at).map(|(_, state)| *state);
        std::iter::once(self.raw).chain(others)
    }
}

impl Found {
    /// Where secrets are, in order. Ranges that overlap or touch are one.
    pub(super) fn into_ranges(mut self) -> Vec<Range<usize>> {
        self.ranges.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in self.ranges {
            match merged.last_mut().filter(|last| range.start <= last.end) {
                Some(last) => last.end = last.end.max(range.end),
                None => merged.push(range),
            }
        }
        merged
    }
}

fn add(places: &mut Vec<usize>, place: usize) {
    if !places.contains(&place) {
        places.push(place);
    }
}

#[expect(clippy::expect_used, reason = "both machines search everywhere")]
fn start<A: Automaton>(machine: &A) -> StateID {
    machine.start_state(Anchored::No).expect("unanchored")
}

/// The states in which the whole of what was read is the beginning of a spelling.
fn beginnings<A: Automaton>(machine: &A, spellings: &[Vec<u8>]) -> HashMap<StateID, (usize, usize)> {
    let mut all = HashMap::new();
    for (index, spelling) in spellings.iter().enumerate() {
        let mut state = start(machine);
        for (length, byte) in (1..spelling.len()).zip(spelling) {
            state = machine.next_state(Anchored::No, state, *byte);
            all.entry(state).or_insert((index, length));
        }
    }
    all
}
