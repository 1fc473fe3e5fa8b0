//! Lines of a stream that wait for the next one, because they end with a few characters of a
//! secret, and what may go on behind the line break.

use std::ops::Range;

use super::{
    readings::{Found, Place},
    redactor::masked,
    search::Search,
};

/// What a line begins with that continues the line before it in the same stream.
pub const CONTINUATION: &str = "…";

/// What was returned of a line that has no end yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    Nothing,
    /// Its beginning, so that what follows is a continuation.
    Beginning,
    /// A state that a carriage return has ended.
    State,
}

/// What stands before the bytes that have no line end yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    /// The lines that wait, with a line break behind each. Or a line break, if what begins before
    /// it may go on behind it.
    pub(super) text: Vec<u8>,
    /// Where the lines are in it, and what was returned of each.
    pub(super) lines: Vec<(Range<usize>, Returned)>,
    /// Where the search is: at the last line break. `None` if nothing has begun.
    pub(super) place: Option<Place>,
    /// What it has found.
    pub(super) found: Found,
}

impl Before {
    /// Adds to the text, and returns where.
    pub(super) fn add(&mut self, bytes: &[u8]) -> usize {
        self.text.extend_from_slice(bytes);
        self.text.len() - bytes.len()
    }

    /// Searches the text up to `end`.
    pub(super) fn search(&mut self, search: &Search, end: usize) -> Place {
        let mut place = self.place.take().unwrap_or_else(|| search.start());
        self.found.open = None;
        search.read(&self.text, &mut place, end, &mut self.found);
        place
    }

    /// Takes the first lines without their secrets.
    pub(super) fn take_lines(&mut self, count: usize) -> Vec<String> {
        self.found.merge();
        let Self { text, lines, found, .. } = self;
        let lines = lines.drain(..count).map(|(line, returned)| {
            let ranges = found.ranges.iter().filter(|range| range.start < line.end && range.end > line.start);
            let inside = |at: usize| at.clamp(line.start, line.end) - line.start;
            let ranges: Vec<_> = ranges.map(|range| inside(range.start)..inside(range.end)).collect();
            let shown = masked(&text[line], &ranges);
            if returned == Returned::Beginning { format!("{CONTINUATION}{shown}") } else { shown }
        });
        lines.collect()
    }

    /// Ends the line at the end of the text, where the search is. Keeps the lines that wait.
    pub(super) fn go_on(&mut self, place: Place) {
        let taken = self.lines.first().map_or(self.text.len(), |(line, _)| line.start);
        self.text.drain(..taken);
        self.text.push(b'\n');
        for (line, _) in &mut self.lines {
            *line = line.start - taken..line.end - taken;
        }
        self.found.ranges.retain_mut(|range| {
            *range = range.start.saturating_sub(taken)..range.end.saturating_sub(taken);
            range.start < range.end
        });
        self.place = Some(place.moved_back(taken));
    }

    /// Begins anew, because nothing has begun that may go on.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.found.ranges.clear();
        self.place = None;
    }

    /// Drops the lines, because they were returned.
    pub(super) fn forget_lines(&mut self) {
        self.lines.clear();
        self.found = Found::default();
        if let Some(place) = self.place.take() {
            self.text.drain(..place.at);
            let at = place.at;
            self.place = Some(place.moved_back(at));
        }
    }
}
