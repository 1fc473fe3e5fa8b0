//! Splits what a program writes into lines without secrets.
//!
//! Each pipe of an attempt has its own [`RedactingLines`]. A secret that is split across reads is
//! held back until it can be recognised, and only complete lines are returned.

use std::ops::Range;

use super::{
    encodings::SPELLING_BYTES_MAX,
    redactor::{Redactor, masked},
};

/// Longest line, in bytes as the program wrote it. A longer one is cut into several, and a secret
/// across a cut is masked on both sides.
pub const LOG_LINE_BYTES_MAX: usize = 16 * 1024;

/// Bytes that must be known after a cut before it is made, so that every secret across it is found.
const LOOKAHEAD_BYTES: usize = SPELLING_BYTES_MAX;

/// Splits a stream into lines and redacts each. Holds at most [`LOG_LINE_BYTES_MAX`] plus the
/// longest spelling of a secret.
#[derive(Debug)]
pub struct RedactingLines {
    redactor: Redactor,
    /// Bytes without a line end yet.
    held: Vec<u8>,
    /// Number of bytes at the start of `held` that belong to a secret that the last cut split.
    is_secret_up_to: usize,
}

impl RedactingLines {
    /// A splitter for one pipe.
    pub const fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Vec::new(), is_secret_up_to: 0 }
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
            let rest = end.unwrap_or(self.held.len()) - from;
            if rest > LOG_LINE_BYTES_MAX && (end.is_some() || rest >= LOG_LINE_BYTES_MAX + LOOKAHEAD_BYTES) {
                let seen = from..(from + rest.min(LOG_LINE_BYTES_MAX + LOOKAHEAD_BYTES));
                from += self.cut(seen, &mut lines);
                search_from = end.unwrap_or(self.held.len());
            } else if let Some(end) = end {
                lines.push(self.line(from..end));
                from = end + 1;
                search_from = from;
            } else {
                break;
            }
        }
        self.held.drain(..from);
        lines
    }

    /// Ends the stream and returns what is left without a line end, if anything.
    pub fn finish(mut self) -> Vec<String> {
        if self.held.is_empty() { Vec::new() } else { self.feed(b"\n") }
    }

    /// Adds the first part of a line that is too long, and returns its length.
    fn cut(&mut self, seen: Range<usize>, lines: &mut Vec<String>) -> usize {
        let bytes = &self.held[seen];
        let found = self.find(bytes);
        let cut = char_boundary(bytes, LOG_LINE_BYTES_MAX);
        let inside: Vec<Range<usize>> = found
            .iter()
            .filter(|range| range.start < cut)
            .map(|range| range.start..range.end.min(cut))
            .collect();
        lines.push(masked(&bytes[..cut], &inside));
        self.is_secret_up_to =
            found.iter().find(|range| range.contains(&cut)).map_or(0, |range| range.end - cut);
        cut
    }

    fn line(&mut self, range: Range<usize>) -> String {
        let bytes = &self.held[range];
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let found = self.find(bytes);
        self.is_secret_up_to = 0;
        masked(bytes, &found)
    }

    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = self.redactor.find(bytes);
        let known = self.is_secret_up_to.min(bytes.len());
        if known > 0 {
            let end = found.iter().filter(|range| range.start <= known).map(|range| range.end).max();
            found.retain(|range| range.start > known);
            found.insert(0, 0..end.unwrap_or(0).max(known));
        }
        found
    }
}

fn find_line_end(held: &[u8], from: usize) -> Option<usize> {
    held.get(from..)?.iter().position(|byte| *byte == b'\n').map(|at| from + at)
}

/// Returns the last boundary between UTF-8 characters at or before `at`, or `at` itself if the
/// bytes are not UTF-8.
fn char_boundary(bytes: &[u8], at: usize) -> usize {
    let is_boundary = |index: &usize| bytes.get(*index).is_none_or(|byte| byte & 0xC0 != 0x80);
    (at.saturating_sub(3)..=at).rev().find(is_boundary).unwrap_or(at)
}

#[cfg(test)]
mod tests {
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
            let both = lines.concat().replace('x', "");
            assert!(["*** end", "****** end"].contains(&both.as_str()), "{shift}: {both}");
        }
    }

    #[test]
    fn a_secret_longer_than_a_line_is_masked_throughout() {
        let secret: String =
            (0..3 * LOG_LINE_BYTES_MAX as u32).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let text = format!("A{secret}Z");
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(1000).collect();
        assert_eq!(lines_of(&[&secret], &chunks).concat().replace('*', ""), "AZ");
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory() {
        let mut lines = RedactingLines::new(Redactor::new([]));
        for _ in 0..100 {
            for line in lines.feed(&[b'x'; 5000]) {
                assert_eq!(line.len(), LOG_LINE_BYTES_MAX);
            }
            assert!(lines.held.len() < LOG_LINE_BYTES_MAX + LOOKAHEAD_BYTES);
        }
    }

    #[test]
    fn a_cut_does_not_split_a_character() {
        let text = format!("x{}", "€".repeat(LOG_LINE_BYTES_MAX));
        let lines = lines_of(&[], &[text.as_bytes()]);
        assert_eq!(lines.concat(), text);
        assert!(lines.iter().all(|line| line.len() <= LOG_LINE_BYTES_MAX));
    }

    proptest! {
        #[test]
        fn no_spelling_leaks_in_any_chunking(
            secret in "[ -)+-~äß€😀]{4,30}",
            around in "[a-z\n]{0,20}",
            size in 1usize..30,
            long in 0usize..3,
        ) {
            let mut spellings = std::collections::BTreeSet::new();
            crate::secret::encodings::add_spellings(&secret, true, &mut spellings);
            let fill = "-".repeat(long * (LOG_LINE_BYTES_MAX - 40));
            let mut text = fill.into_bytes();
            for spelling in &spellings {
                text.extend_from_slice(around.as_bytes());
                text.extend_from_slice(spelling);
            }
            let chunks: Vec<&[u8]> = text.chunks(size * 97).collect();
            let shown = lines_of(&[&secret], &chunks).join("\n");
            for spelling in spellings {
                let spelling = String::from_utf8(spelling).unwrap();
                prop_assert!(!shown.contains(&spelling), "{spelling} is left");
            }
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
