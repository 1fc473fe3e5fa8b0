//! Removes secrets from files.
//!
//! Text files of a job are redacted when they are kept. All others are kept as they are, because
//! their formats would break, and clients are told that they may hold secrets.

use super::{
    encodings::SPELLING_BYTES_MAX,
    readings::{Found, Place},
    redactor::{Redactor, masked_bytes, up_to},
};

/// Bytes that are gathered before they are searched.
const BLOCK_BYTES: usize = 64 * 1024;

/// Whether files of this media type are text, so that they are redacted.
pub fn is_text_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    let is_text =
        ["json", "xml", "yaml", "x-yaml", "ndjson", "x-ndjson", "jsonl", "javascript", "toml", "sql"];
    kind == "text"
        || is_text.contains(&subtype)
        || [".json", "+json", "+xml", "+yaml"].iter().any(|end| subtype.ends_with(end))
        || subtype == "x-www-form-urlencoded"
}

/// Whether the beginning of a file is text: UTF-8 without NUL.
pub fn begins_as_text(beginning: &[u8]) -> bool {
    let is_utf8 = str::from_utf8(beginning).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && !beginning.contains(&0)
}

/// Whether all of a file is text, read piece by piece: UTF-8 without NUL. In another encoding, no
/// secret is found in it.
#[derive(Debug, Default)]
pub struct TextCheck {
    /// The beginning of a character at the end of the last piece.
    rest: Vec<u8>,
    is_other: bool,
}

impl TextCheck {
    /// Takes the next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.is_other {
            return;
        }
        // What is missing of a character is in the first bytes.
        let (mut first, mut rest) = (std::mem::take(&mut self.rest), bytes);
        while !first.is_empty()
            && str::from_utf8(&first).is_err_and(|error| error.error_len().is_none())
            && let Some((next, after)) = rest.split_first()
        {
            first.push(*next);
            rest = after;
        }
        for part in [first.as_slice(), rest] {
            match str::from_utf8(part) {
                Ok(_) => {}
                Err(error) if error.error_len().is_none() => self.rest = part[error.valid_up_to()..].to_vec(),
                Err(_) => self.is_other = true,
            }
        }
        self.is_other |= bytes.contains(&0);
    }

    /// Whether the file is text, at its end.
    pub const fn is_text(&self) -> bool {
        !self.is_other && self.rest.is_empty()
    }
}

/// Redacts a file piece by piece. What is no secret stays byte for byte.
#[derive(Debug)]
pub struct RedactingBytes {
    redactor: Redactor,
    held: Vec<u8>,
    /// What has begun before `held`. `None` if no secret crosses its beginning.
    begun: Option<Place>,
}

impl RedactingBytes {
    /// The beginning of a file.
    pub const fn new(redactor: Redactor) -> Self {
        Self { redactor, held: Vec::new(), begun: None }
    }

    /// Takes the next bytes of the file. Returns those that are settled.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(search) = self.redactor.search() else { return bytes.to_vec() };
        self.held.extend_from_slice(bytes);
        if self.held.len() < BLOCK_BYTES {
            return Vec::new();
        }
        // What begins before the cut mostly ends before the end of what is held.
        let mut cut = self.held.len() - SPELLING_BYTES_MAX;
        let mut place = self.begun.take().unwrap_or_else(|| search.start());
        let mut found = Found::default();
        search.read(&self.held, &mut place, cut, &mut found);
        let at_cut = place.clone();
        search.read(&self.held, &mut place, self.held.len(), &mut found);
        // What is escaped at greater length than is held.
        search.find_cut(&place, &mut found);
        let unsettled = search.settled(&place, &found);
        found.merge();
        match found.earlier_cut(0, cut, unsettled) {
            Some(start) => cut = start,
            // Also a value that is longer than a block goes on.
            None => self.begun = Some(at_cut.moved_back(cut)),
        }
        let redacted = masked_bytes(&self.held[..cut], &up_to(found.ranges, cut));
        self.held.drain(..cut);
        redacted
    }

    /// Returns the rest, at the end of the file.
    pub fn finish(self) -> Vec<u8> {
        let Some(search) = self.redactor.search() else { return self.held };
        let mut place = self.begun.unwrap_or_else(|| search.start());
        let mut found = Found::default();
        search.read(&self.held, &mut place, self.held.len(), &mut found);
        search.find_cut(&place, &mut found);
        masked_bytes(&self.held, &found.into_ranges())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn redacted(secret: &str, file: &[u8], chunk: usize) -> Vec<u8> {
        let secret = SecretString::from(secret);
        let mut bytes = RedactingBytes::new(Redactor::new([&secret]));
        let mut all: Vec<u8> = file.chunks(chunk).flat_map(|chunk| bytes.feed(chunk)).collect();
        all.extend(bytes.finish());
        all
    }

    #[test]
    fn a_file_of_any_size_loses_its_secrets_and_nothing_else() {
        for before in [0, 10, BLOCK_BYTES - 5, 3 * BLOCK_BYTES - 20] {
            let fill = vec![0xFE; before];
            let file = [fill.as_slice(), b"hunter\\u0032\\u0032!\r\n hunter22", b"\xff"].concat();
            let expected = [fill.as_slice(), b"***!\r\n ***\xff"].concat();
            for chunk in [1000, 70_000] {
                assert_eq!(redacted("hunter22", &file, chunk), expected, "{before} {chunk}");
            }
        }
        let secret: String = (0..250_u32).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let written: String =
            secret.chars().flat_map(|c| [c.to_string(), "\x1b[38;2;255;255;255m".into()]).collect();
        let file = format!("{}{written}.{}", "-".repeat(BLOCK_BYTES - 4000), "-".repeat(BLOCK_BYTES));
        let left = String::from_utf8(redacted(&secret, file.as_bytes(), 1000)).unwrap();
        assert_eq!(left.replace('-', ""), "***\x1b[38;2;255;255;255m.");
        let long: String = (0..7000).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let file = format!("<{}>", [long.as_str(); 40].join("\n"));
        let left = String::from_utf8(redacted(&long, file.as_bytes(), 5000)).unwrap();
        assert_eq!(left.replace(['*', '\n'], ""), "<>");
    }

    #[test]
    fn a_file_is_text_if_all_of_it_is() {
        let utf_16: Vec<u8> = "\u{feff}wJal".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (file, is_text) in [
            ("a €, 😀\n".as_bytes(), true),
            (b"", true),
            (&utf_16, false),
            (b"a\0b", false),
            (b"a\xe9", false),
            (b"a\xe9 x", false),
            (b"a\xf0\x9f\x98", false),
            (b"\xf0\x9f\x98\x80\x80", false),
        ] {
            for size in 1..10 {
                let mut check = TextCheck::default();
                file.chunks(size).for_each(|piece| check.feed(piece));
                assert_eq!(check.is_text(), is_text, "{file:?} by {size}");
            }
        }
    }

    #[test]
    fn text_is_known_by_its_type_or_its_beginning() {
        for kind in
            ["text/csv; charset=utf-8", "application/json", "application/har+json", "image/svg+xml", "TEXT/x"]
        {
            assert!(is_text_type(kind), "{kind}");
        }
        for kind in ["application/zip", "image/png", "video/webm", "application/octet-stream", "", "json"] {
            assert!(!is_text_type(kind), "{kind}");
        }
        assert!(
            begins_as_text("é, and a cut é".as_bytes()) && begins_as_text(b"a\xc3") && begins_as_text(b"")
        );
        assert!(!begins_as_text(b"PK\x03\x04\0") && !begins_as_text(b"a\xffb"));
    }
}
