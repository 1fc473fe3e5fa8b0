//! Lists ordered by name, and lookup of one object by id or name, for the catalogue's queries.

use async_graphql::ID;
use callboard::{
    name::{normal_form, search_form},
    store::catalogue::name_pages::{NameCursor, NamePage, NamePageRequest, PageEnd},
};
use uuid::Uuid;

use super::page::{Bounds, PAGE_MAX, Page};
use crate::{
    cursor::{Cursor as _, Keyset},
    error::{ApiError, Code},
};

/// A position as a cursor: the kind of the objects, which is the prefix of their ids, and the name
/// and id of one.
type Written = Keyset<(String, String, Uuid)>;

/// Converts a list's arguments into the store's page request. `kind` is the prefix of the ids of
/// the listed objects.
pub fn request(
    kind: &str,
    from_start: (Option<i32>, Option<String>),
    from_end: (Option<i32>, Option<String>),
    search: Option<String>,
) -> Result<NamePageRequest, ApiError> {
    let page: Page<Written> = Page::parse(from_start, from_end, PAGE_MAX)?;
    let place = |argument: &str, place: Option<Written>| match place {
        Some(Keyset((of, ..))) if of != kind => {
            let message = format!("`{argument}` is a cursor of another list.");
            Err(ApiError::new(Code::BadCursor, message))
        }
        place => Ok(place.map(|Keyset((_, name, id))| NameCursor { name, id })),
    };
    let search = search.and_then(|text| search_form(&text));
    let from = if page.is_from_end { PageEnd::End } else { PageEnd::Start };
    let (after, before) = (place("after", page.after)?, place("before", page.before)?);
    Ok(NamePageRequest { search, after, before, limit: page.limit, from })
}

/// Converts a page of the store into the parts of a connection. `place` returns a row's name and
/// id.
pub fn parts<Row, Node: From<Row>>(
    kind: &str,
    page: NamePage<Row>,
    place: impl Fn(&Row) -> (&str, Uuid),
) -> (Vec<(String, Node)>, Bounds, Option<i64>) {
    let bounds = Bounds { has_previous: page.has_previous, has_next: page.has_next };
    let with_cursor = |row: Row| {
        let (name, id) = place(&row);
        (Keyset((kind.to_owned(), name.to_owned(), id)).encode(), Node::from(row))
    };
    (page.items.into_iter().map(with_cursor).collect(), bounds, Some(page.total))
}

/// How one object was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By its id.
    Id(ID),
    /// By its name.
    Name(String),
}

impl Wanted {
    /// Reads the arguments `id` and `name`, of which exactly one must be given.
    pub fn of(id: Option<ID>, name: Option<String>) -> Result<Self, ApiError> {
        match (id, name) {
            (Some(id), None) => Ok(Self::Id(id)),
            (None, Some(name)) => Ok(Self::Name(normal_form(&name))),
            (None, None) | (Some(_), Some(_)) => {
                Err(ApiError::new(Code::BadRequest, "Give exactly one of `id` and `name`."))
            }
        }
    }
}
