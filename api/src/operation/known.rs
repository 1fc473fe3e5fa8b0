//! A cache of parsed documents, because clients repeat the same few texts and parsing dominates
//! small operations.
//!
//! It only contains documents that passed every check of the text. Whether a caller may run them is
//! decided elsewhere.

use async_graphql::parser::types::ExecutableDocument;
use callboard::cache::{self, Cache};
use parking_lot::Mutex;

/// Maximum number of cached documents.
const KEPT_MAX: usize = 128;
/// Longest cached text, in bytes. A parsed document is about a hundred times larger.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// The cache. There is one per process.
#[derive(Debug)]
pub(super) struct KnownDocuments(Mutex<Cache<Box<str>, ExecutableDocument>>);

impl Default for KnownDocuments {
    fn default() -> Self {
        Self(Mutex::new(cache::bounded(KEPT_MAX)))
    }
}

impl KnownDocuments {
    /// Returns the parsed document of exactly this text.
    pub(super) fn find(&self, text: &str) -> Option<ExecutableDocument> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        self.0.lock().get(text).cloned()
    }

    /// Caches a document that has passed the checks.
    pub(super) fn keep(&self, text: &str, document: &ExecutableDocument) {
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        self.0.lock().put(text.into(), document.clone());
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn a_kept_text_is_known_and_their_number_is_bounded() {
        let known = KnownDocuments::default();
        let document = parse_query("{ viewer { name } }").unwrap();
        assert!(known.find("{ viewer { name } }").is_none());
        for number in 0..KEPT_MAX * 3 {
            known.keep(&format!("{{ viewer {{ name }} }} # {number}"), &document);
        }
        known.keep("{ viewer { name } }", &document);
        assert!(known.find("{ viewer { name } }").is_some());
        assert!(known.0.lock().len() <= KEPT_MAX);
        let long = format!("{{ viewer {{ name }} }} # {}", "x".repeat(TEXT_BYTES_MAX));
        known.keep(&long, &document);
        assert!(known.find(&long).is_none());
    }
}
