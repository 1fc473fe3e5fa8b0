//! Relay pagination: the arguments, opaque cursors, `PageInfo` and connection types of every list.
//!
//! [`Page::parse`] checks the arguments, the store reads one row more than [`Page::limit`],
//! [`Page::cut`] finds out whether there are more rows, and [`connection!`](crate::connection)
//! defines the types. A list is counted only when [`asks_for_total`] returns true.

use async_graphql::{Context, SimpleObject};

use crate::{
    cursor::Cursor,
    error::{ApiError, Code},
};

/// Page size when neither `first` nor `last` is given.
pub const PAGE_DEFAULT: u16 = 25;
/// Maximum page size, unless the list has its own.
pub const PAGE_MAX: u16 = 100;
/// Longest accepted cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 1024;

/// The checked page arguments of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<C> {
    /// Maximum number of items.
    pub limit: u16,
    /// Whether the page takes the last items (`last`) instead of the first.
    pub is_from_end: bool,
    /// Returns only items after this position.
    pub after: Option<C>,
    /// Returns only items before this position.
    pub before: Option<C>,
}

/// Whether a list continues beyond a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Whether there are items before the first one.
    pub has_previous: bool,
    /// Whether there are items after the last one.
    pub has_next: bool,
}

impl<C: Cursor> Page<C> {
    /// Checks the arguments of a list with at most `max` items per page. Fails with BAD_REQUEST or
    /// BAD_CURSOR.
    pub fn parse(
        (first, after): (Option<i32>, Option<String>),
        (last, before): (Option<i32>, Option<String>),
        max: u16,
    ) -> Result<Self, ApiError> {
        if first.is_some() && last.is_some() {
            return Err(ApiError::new(Code::BadRequest, "Give `first` or `last`, not both."));
        }
        let size = |name: &str, value: i32| {
            u16::try_from(value).ok().filter(|size| *size <= max).ok_or_else(|| {
                ApiError::new(Code::BadRequest, format!("`{name}` must be 0 to {max}, not {value}."))
            })
        };
        let limit = match (first, last) {
            (Some(first), _) => size("first", first)?,
            (None, Some(last)) => size("last", last)?,
            (None, None) => PAGE_DEFAULT.min(max),
        };
        Ok(Self {
            limit,
            is_from_end: last.is_some(),
            after: after.map(|text| place("after", &text)).transpose()?,
            before: before.map(|text| place("before", &text)).transpose()?,
        })
    }

    /// Number of rows to read: one more than the page holds, to find out whether the list
    /// continues.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Removes the extra row. `rows` are in reading order, which is backwards when
    /// [`is_from_end`](Self::is_from_end). The result is in list order.
    pub fn cut<T>(&self, mut rows: Vec<T>) -> (Vec<T>, Bounds) {
        let goes_on = rows.len() > usize::from(self.limit);
        rows.truncate(usize::from(self.limit));
        let bounds = if self.is_from_end {
            rows.reverse();
            Bounds { has_previous: goes_on || self.after.is_some(), has_next: self.before.is_some() }
        } else {
            Bounds { has_previous: self.after.is_some(), has_next: goes_on || self.before.is_some() }
        };
        (rows, bounds)
    }
}

fn place<C: Cursor>(name: &str, text: &str) -> Result<C, ApiError> {
    let known = if text.len() > CURSOR_BYTES_MAX { None } else { C::decode(text) };
    known.ok_or_else(|| ApiError::new(Code::BadCursor, format!("`{name}` is not a cursor of this list.")))
}

/// Whether the caller selected `totalCount` below the field that is being resolved.
pub fn asks_for_total(ctx: &Context<'_>) -> bool {
    ctx.look_ahead().field("totalCount").exists()
}

/// Position of a page in its list.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct PageInfo {
    /// Whether there are items after this page.
    pub has_next_page: bool,
    /// Whether there are items before this page.
    pub has_previous_page: bool,
    /// Cursor of the first item. Null when the page is empty.
    pub start_cursor: Option<String>,
    /// Cursor of the last item. Null when the page is empty. Pass it as `after` to get the next
    /// page.
    pub end_cursor: Option<String>,
}

impl PageInfo {
    /// Creates the info of a page from the cursors of its first and last item.
    pub fn new(bounds: Bounds, start: Option<&String>, end: Option<&String>) -> Self {
        Self {
            has_next_page: bounds.has_next,
            has_previous_page: bounds.has_previous,
            start_cursor: start.cloned(),
            end_cursor: end.cloned(),
        }
    }
}

/// Defines the types of a connection: `connection!(/// Doc. JobConnection, /// Doc. JobEdge,
/// Job);`. Extra fields of the connection follow a semicolon: `; /// Doc. count_at_least: i32`.
#[macro_export]
macro_rules! connection {
    (
        $(#[doc = $doc:literal])+ $connection:ident,
        $(#[doc = $edge_doc:literal])+ $edge:ident,
        $node:ty
        $(; $($(#[doc = $extra_doc:literal])+ $extra:ident: $extra_type:ty),+)?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $connection {
            edges: Vec<$edge>,
            bounds: $crate::graphql::page::Bounds,
            total: Option<i64>,
            $($($extra: $extra_type,)+)?
        }

        $(#[doc = $edge_doc])+
        #[derive(Debug)]
        pub struct $edge {
            cursor: String,
            node: $node,
        }

        impl $connection {
            /// Creates a page from items with their cursors. `total` is the whole list's count, if
            /// it was requested and is cheap enough.
            pub fn new(
                items: impl IntoIterator<Item = (String, $node)>,
                bounds: $crate::graphql::page::Bounds,
                total: Option<i64>,
                $($($extra: $extra_type,)+)?
            ) -> Self {
                let edges = items.into_iter().map(|(cursor, node)| $edge { cursor, node }).collect();
                Self { edges, bounds, total, $($($extra,)+)? }
            }
        }

        $(#[doc = $doc])+
        #[async_graphql::Object]
        impl $connection {
            /// The items of this page with their cursors, in list order.
            async fn edges(&self) -> &[$edge] {
                &self.edges
            }

            /// The items of this page without cursors, in list order.
            async fn nodes(&self) -> Vec<&$node> {
                self.edges.iter().map(|edge| &edge.node).collect()
            }

            /// Cursors of this page, and whether there are more pages.
            async fn page_info(&self) -> $crate::graphql::page::PageInfo {
                let (start, end) = (self.edges.first(), self.edges.last());
                $crate::graphql::page::PageInfo::new(
                    self.bounds,
                    start.map(|edge| &edge.cursor),
                    end.map(|edge| &edge.cursor),
                )
            }

            /// Exact number of items on all pages. Null where counting would be too expensive.
            async fn total_count(&self) -> Option<i32> {
                self.total.map(|total| i32::try_from(total).unwrap_or(i32::MAX))
            }

            $($(
                $(#[doc = $extra_doc])+
                async fn $extra(&self) -> &$extra_type {
                    &self.$extra
                }
            )+)?
        }

        $(#[doc = $edge_doc])+
        #[async_graphql::Object]
        impl $edge {
            /// Opaque cursor of this item. Stays valid after the item is deleted.
            async fn cursor(&self) -> &str {
                &self.cursor
            }

            /// The item.
            async fn node(&self) -> &$node {
                &self.node
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Keyset;

    type RowKeyset = Keyset<(i64, String)>;

    fn parse(
        first: Option<i32>,
        after: Option<&str>,
        last: Option<i32>,
        before: Option<&str>,
    ) -> Result<Page<RowKeyset>, Code> {
        Page::parse((first, after.map(Into::into)), (last, before.map(Into::into)), PAGE_MAX)
            .map_err(|error| error.code)
    }

    #[test]
    fn sizes_are_checked_and_have_a_default() {
        assert_eq!(parse(None, None, None, None).unwrap().limit, PAGE_DEFAULT);
        assert_eq!(parse(Some(0), None, None, None).unwrap().limit, 0);
        assert_eq!(parse(Some(100), None, None, None).unwrap().limit, 100);
        let from_end = parse(None, None, Some(3), None).unwrap();
        assert!(from_end.is_from_end && from_end.limit == 3 && from_end.rows() == 4);
        for (first, last) in [(Some(101), None), (Some(-1), None), (None, Some(i32::MAX)), (Some(1), Some(1))]
        {
            assert_eq!(parse(first, None, last, None).unwrap_err(), Code::BadRequest, "{first:?} {last:?}");
        }
    }

    #[test]
    fn cursors_read_back_and_foreign_ones_are_refused() {
        let place = Keyset((7, "ä/b".to_owned()));
        let text = place.encode();
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{text}");
        assert_eq!(parse(None, Some(&text), None, None).unwrap().after, Some(place));
        let other = Keyset("only a string".to_owned()).encode();
        let long = "A".repeat(CURSOR_BYTES_MAX + 1);
        for bad in ["", "garbage!", "AAAA", &text[1..], &other, &long] {
            assert_eq!(parse(None, Some(bad), None, None).unwrap_err(), Code::BadCursor, "{bad}");
            assert_eq!(parse(None, None, None, Some(bad)).unwrap_err(), Code::BadCursor, "{bad}");
        }
    }

    #[test]
    fn the_extra_row_decides_whether_the_list_continues() {
        let forward = parse(Some(2), None, None, None).unwrap();
        assert_eq!(forward.cut(vec![1, 2, 3]), (vec![1, 2], Bounds { has_previous: false, has_next: true }));
        assert_eq!(forward.cut(vec![1, 2]), (vec![1, 2], Bounds::default()));
        let backward = parse(None, None, Some(2), Some(&Keyset((9, String::new())).encode())).unwrap();
        assert_eq!(backward.cut(vec![8, 7, 6]), (vec![7, 8], Bounds { has_previous: true, has_next: true }));
        let cursor = Keyset((9, String::new())).encode();
        for (first, last) in [(Some(2), None), (None, Some(2))] {
            let between = parse(first, Some(&cursor), last, Some(&cursor)).unwrap();
            let bounds = between.cut(vec![1]).1;
            assert_eq!(
                bounds,
                Bounds { has_previous: true, has_next: true },
                "the list goes on at both cursors"
            );
        }
    }
}
