//! Splits what a program writes into lines without secrets.
//!
//! Each pipe of an attempt has its own [`RedactingLines`]. A secret that is split across reads is
//! held back until it can be recognised. A line is returned when it is complete, or with the next
//! one, if it ends with a few characters of a secret. Text without a line end is returned on
//! request.

use std::ops::Range;

use super::{
    boundaries::{char_boundary, find_line_end, unfinished_character, without_returns},
    encodings::SPELLING_BYTES_MAX,
    redactor::Redactor,
    waiting::{Before, CONTINUATION, Returned},
};

/// Longest line, in bytes. A longer one is cut into several, and a secret across a cut is masked on
/// both sides.
pub const LOG_LINE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the program's that one line holds. The rest is for [`CONTINUATION`].
const PIECE_BYTES_MAX: usize = LOG_LINE_BYTES_MAX - CONTINUATION.len();

/// Bytes that must be known after a cut before it is made, so that secrets across it are found.
const LOOKAHEAD_BYTES: usize = SPELLING_BYTES_MAX;

/// Most lines that wait for the next one. One that is wrapped after four characters needs two.
const WAITING_LINES_MAX: usize = 16;

/// Splits a stream into lines and redacts each. Holds at most three times [`LOG_LINE_BYTES_MAX`]
/// plus the longest spelling of a secret.
///
/// A carriage return begins the line again, as on a terminal, so of a progress bar only the last
/// state is returned.
#[derive(Debug)]
pub struct RedactingLines {
    redactor: Redactor,
    /// Bytes without a line end yet.
    held: Vec<u8>,
    before: Before,
    /// What was returned of the line at the start of `held`.
    returned: Returned,
}

impl RedactingLines {
    /// A splitter for one pipe.
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Vec::new(), before: Before::default(), returned: Returned::Nothing }
    }

    /// Takes the bytes of a read and returns the lines that are now complete. They have no line
    /// ends (`\n` or `\r\n`) and no secrets, and are valid UTF-8 without NUL: anything else becomes
    /// U+FFFD.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let searched = self.held.len();
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        let mut search_from = searched;
        loop {
            let end = find_line_end(&self.held, search_from);
            from = self.begin_again(from, end.unwrap_or(self.held.len()), &mut lines);
            let rest = end.unwrap_or(self.held.len()) - from;
            if rest > PIECE_BYTES_MAX && (end.is_some() || rest >= PIECE_BYTES_MAX + LOOKAHEAD_BYTES) {
                let seen = from..(from + rest.min(PIECE_BYTES_MAX + LOOKAHEAD_BYTES));
                from += self.cut(seen, &mut lines);
                search_from = end.unwrap_or(self.held.len());
            } else if let Some(end) = end {
                self.end_line(from..end, &mut lines);
                from = end + 1;
                search_from = from;
            } else {
                break;
            }
        }
        self.held.drain(..from);
        lines
    }

    /// Whether there is text without a line end, or a line that waits for the next one.
    pub const fn has_unfinished(&self) -> bool {
        !self.held.is_empty() || !self.before.lines.is_empty()
    }

    /// Bytes of these.
    pub const fn held_bytes(&self) -> usize {
        self.held.len() + self.before.text.len()
    }

    /// Returns the lines that wait, and the text that has no line end yet, without an end that may
    /// be the beginning of a secret. What follows becomes a line of its own, marked as a
    /// continuation.
    pub fn unfinished(&mut self) -> Vec<String> {
        let (end, mut seen) = (without_returns(&self.held).len(), self.before.clone());
        let from = seen.add(&self.held[..end]);
        let mut settled = end;
        if let Some(search) = self.redactor.search() {
            let place = seen.search(search, seen.text.len());
            settled = search.settled(&place, &seen.found);
            seen.found.merge();
            if let Some(inside) = seen.found.ranges.iter().find(|range| range.contains(&settled)) {
                settled = inside.start;
            }
            settled = settled.saturating_sub(from);
        }
        let cut = char_boundary(&self.held, settled.min(end - unfinished_character(&self.held[..end])));
        if cut == 0 {
            self.before.forget_lines();
            return seen.take_lines(seen.lines.len());
        }
        seen.lines.push((from..from + cut, self.returned));
        let is_state_over = cut == end && end < self.held.len();
        self.held.drain(..if is_state_over { self.held.len() } else { cut });
        self.before = Before::default();
        self.returned = if is_state_over { Returned::State } else { Returned::Beginning };
        seen.take_lines(seen.lines.len())
    }

    /// Returns the lines that wait for the next one.
    pub fn waiting(&mut self) -> Vec<String> {
        let lines = self.before.take_lines(self.before.lines.len());
        self.before.forget_lines();
        lines
    }

    /// Ends the stream and returns what is left.
    pub fn finish(mut self) -> Vec<String> {
        let mut lines = if self.held.is_empty() { Vec::new() } else { self.feed(b"\n") };
        lines.extend(self.waiting());
        lines
    }

    /// Skips the states of a line that a carriage return has overwritten. Returns where the last
    /// one begins.
    fn begin_again(&mut self, from: usize, end: usize, lines: &mut Vec<String>) -> usize {
        let shown = without_returns(&self.held[from..end]);
        let Some(at) = memchr::memrchr(b'\r', shown) else { return from };
        lines.extend(self.waiting());
        self.returned = Returned::Nothing;
        self.before = Before::default();
        from + at + 1
    }

    /// Adds the first part of a line that is too long, and returns its length. It ends before a
    /// secret that crosses the bound.
    fn cut(&mut self, seen: Range<usize>, lines: &mut Vec<String>) -> usize {
        let (bytes, before) = (&self.held[seen], &mut self.before);
        let mut cut = char_boundary(bytes, PIECE_BYTES_MAX);
        let from = before.add(bytes);
        let mut begun = None;
        if let Some(search) = self.redactor.search() {
            let at_cut = before.search(search, from + cut);
            before.place = Some(at_cut.clone());
            let at_end = before.search(search, before.text.len());
            // What is escaped at greater length than is looked ahead.
            search.find_cut(&at_end, &mut before.found);
            let unsettled = search.settled(&at_end, &before.found);
            before.found.merge();
            match before.found.earlier_cut(from, from + cut, unsettled) {
                Some(start) => cut = start - from,
                // Also a secret that is longer than a line goes on.
                None => begun = Some(at_cut.moved_back(from + cut)),
            }
        }
        before.lines.push((from..from + cut, self.returned));
        lines.extend(before.take_lines(before.lines.len()));
        *before = Before { place: begun, ..Before::default() };
        self.returned = Returned::Beginning;
        cut
    }

    /// Adds the line, or the rest of a line, unless all of it was returned already, and those that
    /// have waited for it. Also masks a secret that begins at its end and may go on in the next
    /// line.
    fn end_line(&mut self, range: Range<usize>, lines: &mut Vec<String>) {
        let (bytes, before) = (without_returns(&self.held[range]), &mut self.before);
        let from = before.add(bytes);
        if self.returned == Returned::Nothing || !bytes.is_empty() {
            before.lines.push((from..before.text.len(), self.returned));
        }
        self.returned = Returned::Nothing;
        let Some(search) = self.redactor.search() else {
            lines.extend(before.take_lines(before.lines.len()));
            before.text.clear();
            return;
        };
        let place = before.search(search, before.text.len());
        search.find_cut(&place, &mut before.found);
        let is_full = before.lines.len() >= WAITING_LINES_MAX || before.text.len() >= LOG_LINE_BYTES_MAX;
        let begun = search.waiting(&place).filter(|_| !is_full);
        let is_over = |(line, _): &&(Range<usize>, Returned)| begun.is_none_or(|begun| line.end <= begun);
        let ready = before.lines.iter().take_while(is_over).count();
        lines.extend(before.take_lines(ready));
        if search.is_start(&place) {
            before.clear();
        } else {
            before.go_on(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard_test_support::fuzz::fuzz;
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;

    fn lines_of(secrets: &[&str], chunks: &[&[u8]]) -> Vec<String> {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        let mut lines = RedactingLines::new(Redactor::new(&secrets));
        let mut out: Vec<String> = chunks.iter().flat_map(|chunk| lines.feed(chunk)).collect();
        out.extend(lines.finish());
        out
    }

    #[test]
    fn splits_at_line_ends_and_replaces_invalid_utf8() {
        let chunks: [&[u8]; 5] = [b"one\r\ntw", b"o\n\nthree ", b"\xff\x00\xc3", b"\xa4\n", b"end"];
        assert_eq!(lines_of(&[], &chunks), ["one", "two", "", "three \u{FFFD}\u{FFFD}ä", "end"]);
        assert_eq!(lines_of(&[], &[b""]), [""; 0]);
    }

    #[test]
    fn a_secret_split_across_reads_does_not_leak() {
        assert_eq!(
            lines_of(&["hunter22"], &[b"pass hun", b"ter", b"22 end\nhunter", b"22"]),
            ["pass *** end", "***"]
        );
    }

    #[test]
    fn a_secret_across_a_cut_is_masked_on_both_sides() {
        for shift in 0..12 {
            let text = format!("{}hunter22 end", "x".repeat(LOG_LINE_BYTES_MAX - 10 + shift));
            let lines = lines_of(&["hunter22"], &[text.as_bytes()]);
            assert_eq!(lines.len(), 2, "{shift}");
            let both = lines.concat().replace(['x', '…'], "");
            assert!(["*** end", "****** end"].contains(&both.as_str()), "{shift}: {both}");
        }
    }

    #[test]
    fn a_secret_whose_escapes_are_longer_than_the_lookahead_is_masked_at_a_cut() {
        let secret: String = (0..300_u32).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let colour = |c: char| format!("{c}\x1b[38;2;255;255;255m");
        let unit = |c: char| format!(r"\\\\U{:08x}", u32::from(c));
        for written in [secret.chars().map(colour).collect::<String>(), secret.chars().map(unit).collect()] {
            for before in [0, 1000, LOG_LINE_BYTES_MAX - 5000, LOG_LINE_BYTES_MAX - 3000] {
                let text = format!("{}{written} end", "X".repeat(before));
                let shown = lines_of(&[&secret], &[text.as_bytes()]).concat();
                let left = shown.replace(['X', '…', '*'], "").replace("\x1b[38;2;255;255;255m", "");
                assert_eq!(left, " end", "{before}");
            }
        }
    }

    #[test]
    fn a_secret_longer_than_a_line_is_masked_throughout() {
        let secret: String =
            (0..3 * LOG_LINE_BYTES_MAX as u32).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let text = format!("A{secret}Z");
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(1000).collect();
        assert_eq!(lines_of(&[&secret], &chunks).concat().replace(['*', '…'], ""), "AZ");
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory() {
        let mut lines = RedactingLines::new(Redactor::new([]));
        for _ in 0..100 {
            for line in lines.feed(&[b'x'; 5000]) {
                assert!((PIECE_BYTES_MAX..=LOG_LINE_BYTES_MAX).contains(&line.len()));
            }
            assert!(lines.held.len() < LOG_LINE_BYTES_MAX + LOOKAHEAD_BYTES);
        }
    }

    #[test]
    fn a_cut_does_not_split_a_character() {
        let text = format!("x{}", "€".repeat(LOG_LINE_BYTES_MAX));
        let lines = lines_of(&[], &[text.as_bytes()]);
        assert_eq!(lines.join("").replace(CONTINUATION, ""), text);
        assert!(lines.iter().all(|line| line.len() <= LOG_LINE_BYTES_MAX));
        assert!(lines[1..].iter().all(|line| line.starts_with(CONTINUATION)));
    }

    #[test]
    fn of_a_line_with_carriage_returns_the_last_state_remains() {
        for (text, expected) in [
            ("10%\r20%\r100%\n", &["100%"][..]),
            ("10%\r20%\r\n", &["20%"]),
            ("one\r\n\r\ntwo\r\r\n", &["one", "", "two"]),
            ("\rstart\n", &["start"]),
            ("10%\r20%", &["20%"]),
            ("\r\r\n", &[""]),
        ] {
            assert_eq!(lines_of(&[], &[text.as_bytes()]), expected, "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(lines_of(&[], &bytes), expected, "{text:?}, byte by byte");
        }
        let mut lines = RedactingLines::new(Redactor::new([]));
        for number in 0..100_000 {
            assert_eq!(lines.feed(format!("{number}\r").as_bytes()), [""; 0]);
            assert!(lines.held.len() < 20);
        }
    }

    #[test]
    fn text_without_a_line_end_can_be_asked_for_and_goes_on_marked() {
        let mut lines = RedactingLines::new(Redactor::new([]));
        assert_eq!(lines.unfinished(), [""; 0]);
        assert_eq!(lines.feed(b"Downloading "), [""; 0]);
        assert_eq!(lines.unfinished(), ["Downloading "]);
        assert_eq!((lines.has_unfinished(), lines.unfinished()), (false, vec![]));
        assert_eq!(lines.feed("done ✓".as_bytes()), [""; 0]);
        assert_eq!(lines.unfinished(), ["…done ✓"]);
        // Nothing is left of the line, so its end shows nothing.
        assert_eq!(lines.feed(b"\r\nnext\n"), ["next"]);
        // States of a progress bar are no continuations.
        lines.feed(b"1%\r2%\r");
        assert_eq!(lines.unfinished(), ["2%"]);
        lines.feed(b"3%");
        assert_eq!(lines.unfinished(), ["3%"]);
        assert_eq!(lines.feed(b"\r4%\r"), [""; 0]);
        assert_eq!(lines.unfinished(), ["4%"]);
        assert_eq!(lines.feed(b"\nend\n"), ["end"]);
        lines.feed(b"a\xE2\x9C");
        assert_eq!(lines.unfinished(), ["a"]);
        assert_eq!(lines.feed(b"\x93\n"), ["…✓"]);
    }

    #[test]
    fn what_may_begin_a_secret_is_held_back() {
        let secret = SecretString::from("hunter22");
        let mut lines = RedactingLines::new(Redactor::new([&secret]));
        lines.feed(b"pass hunter");
        assert_eq!(lines.unfinished(), ["pass "]);
        assert_eq!(lines.unfinished(), [""; 0]);
        assert_eq!(lines.feed(b"22 end\n"), ["…*** end"]);
        lines.feed(b"pass hunter22");
        assert_eq!(lines.unfinished(), ["pass ***"]);
        lines.feed(b"h");
        assert_eq!(lines.unfinished(), [""; 0]);
        assert_eq!(lines.finish(), ["…h"]);
    }

    #[test]
    fn fuzzed_chunks_keep_no_spelling_of_a_secret() {
        for (secret, around, size, long) in
            fuzz(("[ -)+-~äß€😀]{4,30}", "[a-z\n]{0,20}", 1usize..30, 0usize..3))
        {
            let spellings = crate::secret::spellings::spellings([&*secret]);
            let mut text = "-".repeat(long * (LOG_LINE_BYTES_MAX - 40)).into_bytes();
            for spelling in &spellings {
                text.extend_from_slice(around.as_bytes());
                text.extend_from_slice(spelling);
            }
            let chunks: Vec<&[u8]> = text.chunks(size * 97).collect();
            let shown = lines_of(&[&secret], &chunks).join("\n");
            for spelling in spellings {
                // Others are no text.
                let Ok(spelling) = String::from_utf8(spelling) else { continue };
                assert!(!shown.contains(&spelling), "{spelling} is left");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_leaks_when_unfinished_text_is_asked_for(
            secret in "[ab]{4,8}", text in "[ab\r\n]{0,60}", size in 1usize..8,
        ) {
            let value = SecretString::from(secret.as_str());
            let mut lines = RedactingLines::new(Redactor::new([&value]));
            let mut shown = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                shown.extend(lines.feed(chunk));
                shown.extend(lines.unfinished());
            }
            shown.extend(lines.finish());
            let whole = shown.join("\n").replace(&format!("\n{CONTINUATION}"), "");
            prop_assert!(!whole.contains(&secret), "{shown:?}");
        }

        #[test]
        fn chunking_changes_nothing_and_nothing_leaks(
            secret in "[a-z]{4,12}", texts in prop::collection::vec("[a-z\n]{0,30}", 0..20), size in 1usize..40,
        ) {
            let text = texts.join(&secret);
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let lines = lines_of(&[&secret], &chunks);
            let whole = lines_of(&[&secret], &[text.as_bytes()]);
            prop_assert_eq!(&lines, &whole);
            prop_assert!(lines.iter().all(|line| !line.contains(&secret)));
        }
    }
}
