//! Keyset pages of lists that are in order of name, then id: every list of the catalogue.
//!
//! The API reads them through the page functions of `profiles`, `services`, `proxies` and `commands`. A
//! cursor holds the name and the id of a row, so that it stays valid when the row is gone. No SQL in here.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::name::NAME_CHARS_MAX;

/// Most rows of one page.
pub const PAGE_ROWS_MAX: u16 = 100;
/// Bytes of a cursor that hold the id; the name follows.
const ID_BYTES: usize = 16;

/// A place in a list: the row that a page began or ended with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCursor {
    /// The row's name when it was read.
    pub name: String,
    /// The row's id, whatever its kind.
    pub id: Uuid,
}

impl NameCursor {
    /// The cursor as an opaque text for clients.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.id.as_bytes(), self.name.as_bytes()].concat())
    }

    /// Reads what [`encode`](Self::encode) wrote; none for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, name) = bytes.split_at_checked(ID_BYTES)?;
        let name = std::str::from_utf8(name).ok()?;
        let is_fine = name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
        Some(Self { name: name.to_owned(), id: Uuid::from_slice(id).ok()? }).filter(|_| is_fine)
    }
}

/// Which end of what lies between the cursors a page is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEnd {
    /// The first rows.
    Start,
    /// The last rows, in the same order.
    End,
}

/// What the caller wants to see of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePageRequest {
    /// Only names that contain this, in whichever case.
    pub search: Option<String>,
    /// Only rows after this place.
    pub after: Option<NameCursor>,
    /// Only rows before this place.
    pub before: Option<NameCursor>,
    /// Most rows, up to [`PAGE_ROWS_MAX`].
    pub limit: u16,
    /// Whether these are the first or the last of them.
    pub from: PageEnd,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct NamePage<T> {
    /// The rows, in order of name whichever end they were taken from.
    pub items: Vec<T>,
    /// Whether there are rows before the first.
    pub has_previous: bool,
    /// Whether there are rows after the last.
    pub has_next: bool,
    /// Rows that match the search, exactly, on all pages together.
    pub total: i64,
}

/// How many rows a list has, and how many lie beyond the cursor that the page was taken from.
pub(super) struct Counts {
    pub(super) total: i64,
    pub(super) beyond: i64,
}

/// A request as the statements take it.
pub(super) struct Bounds<'a> {
    pub(super) search: Option<&'a str>,
    pub(super) after_name: Option<&'a str>,
    pub(super) after_id: Option<Uuid>,
    pub(super) before_name: Option<&'a str>,
    pub(super) before_id: Option<Uuid>,
    pub(super) limit: i64,
    pub(super) is_from_end: bool,
}

impl NamePageRequest {
    /// The first `limit` rows.
    pub const fn first(limit: u16) -> Self {
        Self { search: None, after: None, before: None, limit, from: PageEnd::Start }
    }

    /// None when nothing can match: Postgres takes no text with NUL, and no name has one.
    pub(super) fn bounds(&self) -> Option<Bounds<'_>> {
        let (after, before) = (self.after.as_ref(), self.before.as_ref());
        let names = [after, before].into_iter().flatten().map(|cursor| cursor.name.as_str());
        if self.search.as_deref().into_iter().chain(names).any(|text| text.contains('\0')) {
            return None;
        }
        Some(Bounds {
            search: self.search.as_deref().filter(|text| !text.is_empty()),
            after_name: after.map(|cursor| cursor.name.as_str()),
            after_id: after.map(|cursor| cursor.id),
            before_name: before.map(|cursor| cursor.name.as_str()),
            before_id: before.map(|cursor| cursor.id),
            limit: i64::from(self.limit.min(PAGE_ROWS_MAX)),
            is_from_end: match self.from {
                PageEnd::Start => false,
                PageEnd::End => true,
            },
        })
    }
}

impl Bounds<'_> {
    /// The cursor beyond which rows are counted: what lies on the other side follows from the total.
    pub(super) const fn taken_from(&self) -> (Option<&str>, Option<Uuid>) {
        if self.is_from_end { (self.before_name, self.before_id) } else { (self.after_name, self.after_id) }
    }
}

impl<T> NamePage<T> {
    /// The page that nothing matches.
    pub(super) const fn empty() -> Self {
        Self { items: Vec::new(), has_previous: false, has_next: false, total: 0 }
    }

    /// Puts a page together from its rows and the counts read after them.
    pub(super) fn of(items: Vec<T>, counts: &Counts, is_from_end: bool) -> Self {
        let other_side = counts.total - counts.beyond - items.len() as i64;
        let (before, after) =
            if is_from_end { (other_side, counts.beyond) } else { (counts.beyond, other_side) };
        Self { items, has_previous: before > 0, has_next: after > 0, total: counts.total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        for name in ["", "alice", "Ünïcode \u{1f600}", &"ß".repeat(NAME_CHARS_MAX)] {
            let cursor = NameCursor { name: name.to_owned(), id: Uuid::from_u128(7) };
            assert_eq!(NameCursor::decode(&cursor.encode()), Some(cursor));
        }
        let bad_name = |name: &str| NameCursor { name: name.to_owned(), id: Uuid::nil() }.encode();
        for bad in ["", "x", "!!!!", "AAAA", &bad_name("a\0"), &bad_name(&"a".repeat(NAME_CHARS_MAX + 1))] {
            assert_eq!(NameCursor::decode(bad), None, "{bad}");
        }
    }
}
