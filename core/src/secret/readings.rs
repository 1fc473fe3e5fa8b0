//! Where the search is in a text, how else it has read it, and what it has found.

use std::ops::Range;

use aho_corasick::automaton::StateID;

/// A place in a text, and what may have begun before it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) at: usize,
    /// The state of the text as it is.
    pub(super) raw: StateID,
    /// Other readings. None of them is in the start state.
    pub(super) others: Vec<Reading>,
    /// Whether the line has too many readings, and is masked up to its end.
    pub(super) is_masked: bool,
}

/// A reading of a text in which an escape stands for something else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Where it goes on.
    pub(super) at: usize,
    pub(super) state: StateID,
    /// Where its first escape begins.
    pub(super) escaped_at: usize,
    /// Bytes that it has read from there on, with what escapes stand for. What it has read before
    /// is the text as it is.
    pub(super) read: usize,
    /// Where the last byte that it has read ends. What follows up to `at` stands for nothing.
    pub(super) read_to: usize,
    /// The last of them that stand in the text as they are.
    pub(super) plain: usize,
}

/// What was found in a text.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) ranges: Vec<Range<usize>>,
    /// Where an escape begins that the end of the text cuts, or the secret around it.
    pub(super) open: Option<usize>,
    /// Steps of the search beside one for each byte: what its other readings cost.
    pub(super) steps: usize,
}

impl Reading {
    /// Where the last `length` bytes of what was read begin. If that is between two escapes, the
    /// beginning of the first one stands for it, because what is between was the beginning of a
    /// spelling all the time.
    pub(super) fn start_of(&self, length: usize) -> usize {
        if length <= self.plain {
            return self.at.saturating_sub(length);
        }
        self.escaped_at.saturating_sub(length.saturating_sub(self.read))
    }
}

impl Place {
    /// The same place in the text without its first `bytes`.
    pub(super) fn moved_back(mut self, bytes: usize) -> Self {
        self.at -= bytes;
        for other in &mut self.others {
            other.at -= bytes;
            other.escaped_at = other.escaped_at.saturating_sub(bytes);
            other.read_to = other.read_to.saturating_sub(bytes);
        }
        self
    }
}

impl Found {
    /// Where secrets are, in order. Ranges that overlap or touch are one.
    pub(super) fn into_ranges(mut self) -> Vec<Range<usize>> {
        self.merge();
        self.ranges
    }

    /// Where a text is cut earlier than at `cut` and behind `from`, so that the cut divides no
    /// secret: before one that crosses it, or before `unsettled`, where one begins that may still
    /// go on. The ranges are merged.
    pub(super) fn earlier_cut(&self, from: usize, cut: usize, unsettled: usize) -> Option<usize> {
        let across = self.ranges.iter().find(|range| range.contains(&cut)).map(|range| range.start);
        let start = across.map_or(unsettled, |start| start.min(unsettled));
        (from < start && start < cut).then_some(start)
    }

    /// Puts the ranges in order and makes one of those that overlap or touch.
    pub(super) fn merge(&mut self) {
        self.ranges.sort_unstable_by_key(|range| range.start);
        self.ranges.dedup_by(|range, last| {
            let is_part = range.start <= last.end;
            if is_part {
                last.end = last.end.max(range.end);
            }
            is_part
        });
    }
}
