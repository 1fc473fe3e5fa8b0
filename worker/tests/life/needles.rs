//! Finds what is left of secrets in a text: parts of them, in the spellings that tools write.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// Shortest part of a secret that counts, in characters.
const PART: usize = 8;

/// Looks for parts of secrets.
pub(crate) struct Needles {
    search: aho_corasick::AhoCorasick,
    texts: Vec<String>,
}

impl Needles {
    /// Looks for parts of `secrets`, and for those of the installation as a whole.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a str>, own: Vec<String>) -> Self {
        let mut texts = own;
        for line in secrets.flat_map(|secret| secret.split(['\n', '\r'])).filter(|line| !line.is_empty()) {
            for whole in [line.to_owned(), line.to_lowercase(), line.to_uppercase()] {
                texts.extend(parts(&whole, PART));
            }
            // Eight bytes of the secret.
            texts.extend(parts(&hexadecimal(line), 2 * PART));
            texts.extend(parts(&hexadecimal(line).to_uppercase(), 2 * PART));
            texts.extend(parts(&each(line, |byte| format!("%{byte:02x}")), 3 * PART));
            texts.extend(parts(&each(line, |byte| format!("%{byte:02X}")), 3 * PART));
            texts.extend(parts(&each(line, |byte| format!("\\u{byte:04x}")), 6 * PART));
            for before in 0..3 {
                let shifted = format!("{}{line}", "x".repeat(before));
                let text = STANDARD.encode(shifted);
                let inside = &text[(8 * before).div_ceil(6)..text.trim_end_matches('=').len() - 1];
                texts.extend(parts(inside, 12));
            }
        }
        texts.sort_unstable();
        texts.dedup();
        let search = aho_corasick::AhoCorasick::new(&texts).unwrap();
        Self { search, texts }
    }

    /// Each part that the text has, with what stands around it.
    pub(crate) fn find(&self, text: &str) -> Vec<String> {
        let mut hits: Vec<String> = Vec::new();
        let mut end = 0;
        for hit in self.search.find_iter(text) {
            if hit.start() > end + 60 || hits.is_empty() {
                let (from, to) = (
                    text.floor_char_boundary(hit.start().saturating_sub(60)),
                    text.ceil_char_boundary(hit.end() + 60),
                );
                hits.push(format!(
                    "{:?} in {:?}",
                    self.texts[hit.pattern().as_usize()],
                    &text[from..to.min(text.len())]
                ));
            }
            end = hit.end();
        }
        hits
    }
}

fn parts(text: &str, length: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= length {
        return vec![text.to_owned()];
    }
    chars.windows(length).map(|part| part.iter().collect()).collect()
}

fn each(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

fn hexadecimal(text: &str) -> String {
    each(text, |byte| format!("{byte:02x}"))
}

/// Some spellings of a text, for a server that repeats what it gets.
pub(crate) fn spellings(text: &str) -> Vec<String> {
    let json = serde_json::Value::from(text).to_string();
    let json = &json[1..json.len() - 1];
    vec![
        text.to_owned(),
        text.to_lowercase(),
        json.to_owned(),
        json.replace('/', "\\/"),
        each(text, |byte| format!("\\u{byte:04x}")),
        each(text, |byte| format!("%{byte:02x}")),
        each(text, |byte| format!("%25{byte:02X}")),
        each(text, |byte| format!("&#{byte};")),
        each(text, |byte| format!("&#x{byte:X};")),
        each(text, |byte| format!("\\x{byte:02x}")),
        STANDARD.encode(text),
        STANDARD.encode(format!("x{text}")),
        URL_SAFE_NO_PAD.encode(format!("xy{text}z")),
        hexadecimal(text),
        text.replace('/', "%2F"),
        text.replace('/', "%2f"),
    ]
}
