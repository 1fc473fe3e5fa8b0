//! Finds the spellings of secrets in a text, whatever characters of them are escaped.
//!
//! One automaton reads the text once. Where an escape may begin, it goes on both with the bytes as
//! they are and with what the escape stands for. Such a reading ends as soon as it is no beginning
//! of a spelling, which is mostly at once. So every mixture of escapes is found, and none has to be
//! listed. Pure.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
    dfa::DFA,
    nfa::contiguous::NFA,
};

use super::{
    escapes::{self, ESCAPE_BYTES_MAX},
    readings::{Found, Place, Reading},
};

/// Up to this many bytes of spellings are searched for with a table of all transitions, which is
/// fast and takes about 300 times as much memory.
const TABLE_BYTES_MAX: usize = 64 * 1024;

/// From this length on, in bytes, the beginning of a spelling is masked where a text was cut. A
/// shorter one may be a word that ends many lines.
const BEGINNING_BYTES_MIN: usize = 8;

/// From so many readings on, it is worth a look which of them find the same.
const READINGS_MAX: usize = 8;

/// What stands where a text was cut.
const CUTS: [&[u8]; 2] = [b"...", "…".as_bytes()];

/// Searches for a set of spellings.
#[derive(Debug)]
pub(super) struct Search {
    machine: Machine,
    spellings: Vec<Vec<u8>>,
    /// What has been read in a state: so many bytes of a spelling.
    texts: HashMap<StateID, (usize, usize)>,
    /// How much of a spelling has been read in a state that is not the end of one.
    beginnings: HashMap<StateID, usize>,
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
        let (texts, beginnings) = match &machine {
            Machine::Table(machine) => states(machine, &spellings),
            Machine::Compact(machine) => states(machine, &spellings),
        };
        Self { machine, spellings, texts, beginnings, beginning_at }
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
        let begun = |state| Reading { at: 0, state, escaped_at: 0, read: 0, plain: 0 };
        let others = place.states().filter(|state| *state != start).map(begun);
        Place { at: 0, raw, others: others.collect() }
    }

    /// Adds the beginnings of secrets with which a text that was cut ends.
    pub(super) fn find_cut(&self, place: &Place, found: &mut Found) {
        let is_long =
            |state: StateID| self.beginnings.get(&state).is_some_and(|length| *length >= BEGINNING_BYTES_MIN);
        let begun = self.begun(place, is_long);
        found.ranges.extend(begun.map(|start| start..place.at));
    }

    /// Length of the beginning of a text, read up to `place`, that no text behind it makes a part
    /// of a secret.
    pub(super) fn settled(&self, place: &Place, found: &Found) -> usize {
        self.begun(place, |_| true).chain(found.open).min().unwrap_or(place.at)
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
                        self.find_cut(place, found);
                    }
                    Special::Nothing | Special::Cut => {}
                }
                place.others.retain(|other| other.at > at);
                if place.others.len() > READINGS_MAX {
                    self.drop_parts(&mut place.others);
                }
                has_others = !place.others.is_empty();
            }
            raw = machine.next_state(Anchored::No, raw, byte);
            if machine.is_special(raw) && machine.is_match(raw) {
                self.note(text, (at + 1).saturating_sub(longest(machine, raw)), at + 1, found);
            }
        }
        (place.at, place.raw) = (end.max(place.at), raw);
    }

    /// Drops the readings that are the end of another one at the same place, which finds the same.
    /// A secret that overlaps with itself would have one for each of its characters.
    fn drop_parts(&self, readings: &mut Vec<Reading>) {
        let text = |reading: &Reading| {
            let (spelling, length) = self.texts.get(&reading.state).copied()?;
            Some(&self.spellings[spelling][..length])
        };
        let is_part = |one: &Reading, other: &Reading| {
            let (Some(one_text), Some(text)) = (text(one), text(other)) else { return false };
            one.at == other.at && one.state != other.state && text.ends_with(one_text)
        };
        let mut index = 0;
        while let Some(one) = readings.get(index) {
            if readings.iter().any(|other| is_part(one, other)) {
                readings.swap_remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// Moves the other readings at `place` one byte on.
    fn move_on<A: Automaton>(&self, machine: &A, text: &[u8], place: &mut Place, found: &mut Found) {
        let (at, raw) = (place.at, place.raw);
        // One that has come to what the text is as it is. If that includes an escape, it is longer.
        let is_raw = |other: &Reading| {
            let length = || self.texts.get(&raw).map_or(0, |(_, length)| *length);
            (other.at, other.state) == (at, raw) && length() <= other.plain
        };
        place.others.retain(|other| !is_raw(other));
        for index in 0..place.others.len() {
            let other = place.others[index];
            if other.at == at {
                let state = machine.next_state(Anchored::No, other.state, text[at]);
                self.go_on(
                    machine,
                    text,
                    Reading { at: at + 1, state, read: other.read + 1, plain: other.plain + 1, ..other },
                    place,
                    found,
                );
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
                let read = bytes.len();
                self.go_on(
                    machine,
                    text,
                    Reading { at: at + length, state: next, escaped_at: at, read, plain: 0 },
                    place,
                    found,
                );
            }
            for index in 0..place.others.len() {
                let other = place.others[index];
                if other.at == at {
                    let state = bytes.iter().fold(other.state, step);
                    let read = other.read + bytes.len();
                    self.go_on(
                        machine,
                        text,
                        Reading { at: at + length, state, read, plain: 0, ..other },
                        place,
                        found,
                    );
                }
            }
        });
        if is_open {
            found.open = self.begun(place, |_| true).chain(found.open).chain([at]).min();
        }
    }

    /// Adds a reading to those of `place`, unless it leads nowhere, and notes the spelling that it
    /// ends.
    fn go_on<A: Automaton>(
        &self,
        machine: &A,
        text: &[u8],
        reading: Reading,
        place: &mut Place,
        found: &mut Found,
    ) {
        let Reading { at, state, .. } = reading;
        if machine.is_match(state) {
            self.note(text, reading.start_of(longest(machine, state)), at, found);
        }
        if state == start(machine) {
            return;
        }
        match place.others.iter_mut().find(|other| (other.at, other.state) == (at, state)) {
            // The longer of two ways to read the same is masked.
            Some(other) if reading.escaped_at < other.escaped_at => *other = reading,
            Some(_) => {}
            None => place.others.push(reading),
        }
    }

    /// Notes a spelling, and an escape whose last part is its first character.
    fn note(&self, text: &[u8], mut start: usize, end: usize, found: &mut Found) {
        // What touches the last one is masked with it.
        if found.ranges.last().is_none_or(|last| last.end < start) {
            start = self.start_of_escape(text, start, end);
        }
        found.ranges.push(start..end);
    }

    /// Where the beginnings of spellings begin with which the text ends at `place`, in states that
    /// `is_wanted`.
    fn begun(&self, place: &Place, is_wanted: impl Fn(StateID) -> bool) -> impl Iterator<Item = usize> {
        let length = |state: StateID| self.beginnings.get(&state).copied().filter(|_| is_wanted(state));
        let raw = length(place.raw).map(|length| place.at.saturating_sub(length));
        let others = place.others.iter().filter(|other| other.at == place.at);
        let others = others.filter_map(|other| Some(other.start_of(length(other.state)?)));
        raw.into_iter().chain(others).collect::<Vec<_>>().into_iter()
    }

    /// Where the first character of the spelling at `start..end` begins, if it is the last part of
    /// an escape of itself, as in `\"`.
    fn start_of_escape(&self, text: &[u8], start: usize, end: usize) -> usize {
        let is_escape = |at: usize| self.beginning_at[usize::from(text[at])] == Special::Escape;
        let mut first = start;
        for from in (start.saturating_sub(ESCAPE_BYTES_MAX)..start).filter(|from| is_escape(*from)) {
            escapes::read(&text[from..], |bytes, length| {
                let ends_here = from + length == start + bytes.len();
                if ends_here && !bytes.is_empty() && text[start..end].starts_with(bytes) {
                    first = first.min(from);
                }
            });
        }
        first
    }
}

/// The length of the longest spelling that ends in this state. Others that end there are inside of
/// it.
fn longest<A: Automaton>(machine: &A, state: StateID) -> usize {
    let matched = (0..machine.match_len(state)).map(|index| machine.match_pattern(state, index));
    matched.map(|id| machine.pattern_len(id)).max().unwrap_or(0)
}

#[expect(clippy::expect_used, reason = "both machines search everywhere")]
fn start<A: Automaton>(machine: &A) -> StateID {
    machine.start_state(Anchored::No).expect("unanchored")
}

/// What has been read in each state: so many bytes of a spelling. And how many, in those that are
/// not the end of one.
fn states<A: Automaton>(
    machine: &A,
    spellings: &[Vec<u8>],
) -> (HashMap<StateID, (usize, usize)>, HashMap<StateID, usize>) {
    let (mut texts, mut beginnings) = (HashMap::new(), HashMap::new());
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
