//! Finds the spellings of secrets in a text, whatever characters of them are escaped.
//!
//! One automaton reads the text once. Where an escape may begin, it goes on both with the bytes as
//! they are and with what the escape stands for. Such a reading ends as soon as it is no beginning
//! of a spelling, which is mostly at once. So every mixture of escapes is found, and none has to be
//! listed. Pure.

use std::{
    collections::BTreeSet,
    ops::{Range, RangeBounds},
};

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
};

use super::{
    cuts::{self, Follows},
    escapes::{self, ESCAPE_BYTES_MAX},
    machine::{Machine, read_plain, start},
    readings::{Found, Place, Reading},
    states::{States, states},
};

/// From this length on, in bytes, the beginning of a spelling is masked where a text was cut. A
/// shorter one may be a word that ends many lines.
const BEGINNING_BYTES_MIN: usize = 8;

/// From this length on, the beginning of a spelling at the end of a line waits for the next one.
const WAITING_BYTES_MIN: usize = 4;

/// From so many readings on, it is worth a look which of them find the same.
const ALIKE_MIN: usize = 8;

/// Most readings at a place, and most steps of a line, beside one for each byte. Secrets that
/// differ in what one escape may stand for have more, and then the rest of their line is masked.
const READINGS_MAX: usize = 64;
const LINE_STEPS_MIN: usize = 8192;
const STEPS_PER_BYTE_MAX: usize = 64;

/// Searches for a set of spellings.
#[derive(Debug)]
pub(super) struct Search {
    machine: Machine,
    spellings: Vec<Vec<u8>>,
    /// What has been read in a state: so many bytes of a spelling.
    texts: States<(usize, usize)>,
    /// How much of a spelling has been read in a state that is not the end of one.
    beginnings: States<usize>,
    /// Whether an escape may begin with a byte.
    is_escape: [bool; 256],
    /// Whether a spelling has a byte. One that none has leads to the start from everywhere.
    is_spelled: [bool; 256],
}

impl Search {
    /// # Panics
    /// For some hundred million bytes of spellings.
    pub(super) fn new(spellings: BTreeSet<Vec<u8>>) -> Self {
        let spellings: Vec<Vec<u8>> = spellings.into_iter().collect();
        let machine = Machine::new(&spellings, BEGINNING_BYTES_MIN);
        let mut is_spelled = [false; 256];
        spellings.iter().flatten().for_each(|byte| is_spelled[usize::from(*byte)] = true);
        let is_escape =
            |byte| if byte == b'+' { is_spelled[usize::from(b' ')] } else { escapes::begins(byte) };
        let is_escape = std::array::from_fn(|byte| is_escape(byte as u8));
        let (texts, beginnings) = match &machine {
            Machine::Table(machine) => states(machine, &spellings),
            Machine::Compact(machine) => states(machine, &spellings),
        };
        Self { machine, spellings, texts, beginnings, is_escape, is_spelled }
    }

    /// The place at the beginning of a text.
    pub(super) fn start(&self) -> Place {
        Place { at: 0, raw: self.machine.start(), others: Vec::new(), is_masked: false }
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

    /// Whether nothing has begun that may go on behind this place.
    pub(super) fn is_start(&self, place: &Place) -> bool {
        place.others.is_empty() && !place.is_masked && place.raw == self.machine.start()
    }

    /// Adds the beginnings of secrets with which a text that was cut ends.
    pub(super) fn find_cut(&self, place: &Place, found: &mut Found) {
        found.ranges.extend(self.begun(place, BEGINNING_BYTES_MIN..));
    }

    /// Where a beginning starts with which a line ends at `place`, if it is too short to be masked
    /// unless the next line goes on with it.
    pub(super) fn waiting(&self, place: &Place) -> Option<usize> {
        self.begun(place, WAITING_BYTES_MIN..BEGINNING_BYTES_MIN).map(|begun| begun.start).min()
    }

    /// Length of the beginning of a text, read up to `place`, that no text behind it makes a part
    /// of a secret.
    pub(super) fn settled(&self, place: &Place, found: &Found) -> usize {
        self.begun(place, ..).map(|begun| begun.start).chain(found.open).min().unwrap_or(place.at)
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
        let mut is_long = self.is_long(raw);
        let (mut line, mut steps) = (place.at, found.steps);
        let mut at = place.at;
        while at < end {
            if !has_others && !is_long && !place.is_masked {
                let plain = read_plain(machine, &text[at..end], &mut raw, &self.is_escape);
                at += plain;
                if at == end {
                    break;
                }
            }
            let byte = text[at];
            if place.is_masked {
                let rest = &text[at..end];
                let masked = rest.iter().position(|byte| is_line_end(*byte)).unwrap_or(rest.len());
                found.ranges.push(at..at + masked);
                at += masked;
                place.is_masked = at >= end;
                (raw, has_others, is_long) = (start(machine), false, false);
                (line, steps) = (at, found.steps);
                continue;
            }
            let is_escape =
                self.is_escape[usize::from(byte)] && escapes::may_begin(&text[at..], &self.is_spelled);
            if is_escape || has_others || is_long {
                (place.at, place.raw) = (at, raw);
                if has_others {
                    self.move_on(machine, text, place, found);
                }
                if is_escape {
                    self.read_escape(machine, text, place, found);
                }
                if (has_others || is_long) && cuts::may_begin(byte) {
                    self.read_cut(text, place, found);
                }
                place.others.retain(|other| other.at > at);
                if place.others.len() > ALIKE_MIN {
                    self.drop_parts(&mut place.others, found);
                }
                has_others = !place.others.is_empty();
                let steps_max = LINE_STEPS_MIN + STEPS_PER_BYTE_MAX * (at - line);
                if place.others.len() > READINGS_MAX || found.steps - steps > steps_max {
                    self.mask_line(place, found);
                    continue;
                }
            }
            raw = machine.next_state(Anchored::No, raw, byte);
            if machine.is_special(raw) && machine.is_match(raw) {
                is_long = true;
                let length = self.longest(machine, raw);
                if length > 0 {
                    self.note(text, (at + 1).saturating_sub(length), at + 1, found);
                }
            }
            is_long = is_long && self.is_long(raw);
            if is_line_end(byte) {
                (line, steps) = (at, found.steps);
            }
            at += 1;
        }
        (place.at, place.raw) = (end.max(place.at), raw);
    }

    /// Gives the readings at `place` up, and masks what they have read. The rest of the line is
    /// masked next.
    fn mask_line(&self, place: &mut Place, found: &mut Found) {
        for reading in place.others.drain(..) {
            let length = self.texts.get(&reading.state).map_or(0, |(_, length)| *length);
            found.ranges.push(reading.start_of(length)..reading.at);
        }
        place.is_masked = true;
    }

    /// Whether so much of a spelling has been read in a state that a cut matters.
    fn is_long(&self, state: StateID) -> bool {
        self.texts.get(&state).is_some_and(|(_, length)| *length >= BEGINNING_BYTES_MIN)
    }

    /// Masks the beginnings of secrets at `place` if the mark of a cut follows.
    fn read_cut(&self, text: &[u8], place: &Place, found: &mut Found) {
        let begun = self.begun(place, BEGINNING_BYTES_MIN..).map(|begun| begun.start).min();
        let Some(begun) = begun else { return };
        match cuts::follows(&text[place.at..]) {
            Follows::Cut => self.find_cut(place, found),
            Follows::End => found.open = found.open.map_or(Some(begun), |open| Some(open.min(begun))),
            Follows::Text => {}
        }
    }

    /// Drops the readings that are the end of another one at the same place, which finds the same.
    /// A secret that overlaps with itself would have one for each of its characters.
    fn drop_parts(&self, readings: &mut Vec<Reading>, found: &mut Found) {
        let text = |reading: &Reading| {
            let (spelling, length) = self.texts.get(&reading.state).copied()?;
            Some(&self.spellings[spelling][..length])
        };
        // The longest first, at each place.
        let length = |reading: &Reading| text(reading).map_or(0, <[u8]>::len);
        readings.sort_by_key(|reading| (reading.at, std::cmp::Reverse(length(reading))));
        let mut kept: Vec<Reading> = Vec::with_capacity(readings.len());
        for one in readings.drain(..) {
            let mut others = kept.iter().rev().take_while(|other| other.at == one.at);
            let is_part = others.any(|other| {
                found.steps += 1;
                matches!((text(&one), text(other)), (Some(one), Some(other)) if other.ends_with(one))
            });
            if !is_part {
                kept.push(one);
            }
        }
        *readings = kept;
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
                    Reading {
                        at: at + 1,
                        state,
                        read: other.read + 1,
                        read_to: at + 1,
                        plain: other.plain + 1,
                        ..other
                    },
                    true,
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
            if bytes.last().is_some_and(|byte| !self.is_spelled[usize::from(*byte)]) {
                return;
            }
            let step = |state, byte: &u8| machine.next_state(Anchored::No, state, *byte);
            let next = bytes.iter().fold(place.raw, step);
            // What stands for nothing is passed over.
            let read_to = |before: usize| if bytes.is_empty() { before } else { at + length };
            if next != start {
                let (read, read_to) = (bytes.len(), read_to(at));
                self.go_on(
                    machine,
                    text,
                    Reading { at: at + length, state: next, escaped_at: at, read, read_to, plain: 0 },
                    read > 0,
                    place,
                    found,
                );
            }
            for index in 0..place.others.len() {
                let other = place.others[index];
                if other.at == at {
                    let state = bytes.iter().fold(other.state, step);
                    let (read, read_to) = (other.read + bytes.len(), read_to(other.read_to));
                    self.go_on(
                        machine,
                        text,
                        Reading { at: at + length, state, read, read_to, plain: 0, ..other },
                        !bytes.is_empty(),
                        place,
                        found,
                    );
                }
            }
        });
        if is_open {
            let begun = self.begun(place, ..).map(|begun| begun.start);
            found.open = begun.chain(found.open).chain([at]).min();
        }
    }

    /// Adds a reading to those of `place`, unless it leads nowhere, and notes the spelling that it
    /// ends, if it has read anything and not only passed over what stands for nothing.
    fn go_on<A: Automaton>(
        &self,
        machine: &A,
        text: &[u8],
        reading: Reading,
        has_read: bool,
        place: &mut Place,
        found: &mut Found,
    ) {
        let Reading { at, state, .. } = reading;
        found.steps += 1;
        if has_read && machine.is_match(state) {
            let length = self.longest(machine, state);
            if length > 0 {
                self.note(text, reading.start_of(length), at, found);
            }
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

    /// The beginnings of spellings with which the text ends at `place`, if so many bytes of a
    /// spelling have been read.
    fn begun<'a>(
        &'a self,
        place: &'a Place,
        lengths: impl RangeBounds<usize> + 'a,
    ) -> impl Iterator<Item = Range<usize>> + 'a {
        let others = place.others.iter().filter(|other| other.at == place.at).map(Some);
        let length =
            move |state| self.beginnings.get(&state).copied().filter(|length| lengths.contains(length));
        std::iter::once(None).chain(others).filter_map(move |other| match other {
            None => Some(place.at.saturating_sub(length(place.raw)?)..place.at),
            Some(other) => Some(other.start_of(length(other.state)?)..other.read_to),
        })
    }

    /// Where the first character of the spelling at `start..end` begins, if it is the last part of
    /// an escape of itself, as in `\"`.
    fn start_of_escape(&self, text: &[u8], start: usize, end: usize) -> usize {
        // Not one that began in the line before.
        let is_escape =
            |at: usize| !matches!(text[at], b'\n' | b'\r') && self.is_escape[usize::from(text[at])];
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

    /// The length of the longest spelling that ends in this state, or 0. Others that end there are
    /// inside of it.
    fn longest<A: Automaton>(&self, machine: &A, state: StateID) -> usize {
        let matched = (0..machine.match_len(state)).map(|index| machine.match_pattern(state, index));
        let spellings = matched.filter_map(|id| self.spellings.get(id.as_usize()));
        spellings.map(Vec::len).max().unwrap_or(0)
    }
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}
