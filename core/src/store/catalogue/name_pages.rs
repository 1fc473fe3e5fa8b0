//! Keyset pages of the lists of the catalogue, which are in order of name and then id.
//!
//! A cursor holds the name and the id of a row, so that it stays valid after the row is deleted.

use uuid::Uuid;

/// Most rows of one page.
pub const PAGE_ROWS_MAX: u16 = 100;

/// A place in a list: the first or last row of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCursor {
    /// The name of the row when it was read.
    pub name: String,
    /// The id of the row.
    pub id: Uuid,
}

/// The end of the range between the cursors from which a page is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEnd {
    /// The first rows.
    Start,
    /// The last rows, in the same order.
    End,
}

/// A request for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePageRequest {
    /// Only names that contain this, ignoring case.
    pub search: Option<String>,
    /// Only rows after this place.
    pub after: Option<NameCursor>,
    /// Only rows before this place.
    pub before: Option<NameCursor>,
    /// Most rows, at most [`PAGE_ROWS_MAX`].
    pub limit: u16,
    /// Whether to return the first or the last rows.
    pub from: PageEnd,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct NamePage<T> {
    /// The rows, always in order of name.
    pub items: Vec<T>,
    /// Whether there are rows before the first.
    pub has_previous: bool,
    /// Whether there are rows after the last.
    pub has_next: bool,
    /// The exact number of rows that match the search, on all pages.
    pub total: i64,
}

/// The number of rows of a list, and of those beyond the cursor of the page.
pub(super) struct Counts {
    pub(super) total: i64,
    pub(super) beyond: i64,
}

/// A request as arguments of the statements.
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

    /// `None` if no row can match: no name contains NUL, and Postgres rejects text with NUL.
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
    /// The cursor beyond which rows are counted. The count on the other side follows from the
    /// total.
    pub(super) const fn taken_from(&self) -> (Option<&str>, Option<Uuid>) {
        if self.is_from_end { (self.before_name, self.before_id) } else { (self.after_name, self.after_id) }
    }
}

impl<T> NamePage<T> {
    /// The page without rows.
    pub(super) const fn empty() -> Self {
        Self { items: Vec::new(), has_previous: false, has_next: false, total: 0 }
    }

    /// Makes a page from its rows and the counts, which were read after them.
    pub(super) fn of(items: Vec<T>, counts: &Counts, is_from_end: bool) -> Self {
        let other_side = counts.total - counts.beyond - items.len() as i64;
        let (before, after) =
            if is_from_end { (other_side, counts.beyond) } else { (counts.beyond, other_side) };
        Self { items, has_previous: before > 0, has_next: after > 0, total: counts.total }
    }
}
