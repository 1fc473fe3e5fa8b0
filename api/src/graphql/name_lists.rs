//! Lists ordered by name, and lookup of one object by id or name, for the catalogue's queries.

use async_graphql::ID;
use callboard::{
    name::normal_form,
    store::catalogue::name_pages::{NameCursor, NamePage, NamePageRequest, PageEnd},
};
use uuid::Uuid;

use super::page::{Bounds, PAGE_MAX, Page};
use crate::{
    cursor::Cursor,
    error::{ApiError, Code},
};

impl Cursor for NameCursor {
    fn encode(&self) -> String {
        Self::encode(self)
    }

    fn decode(text: &str) -> Option<Self> {
        Self::decode(text)
    }
}

/// Converts a list's arguments into the store's page request.
pub fn request(
    from_start: (Option<i32>, Option<String>),
    from_end: (Option<i32>, Option<String>),
    search: Option<String>,
) -> Result<NamePageRequest, ApiError> {
    let page = Page::parse(from_start, from_end, PAGE_MAX)?;
    let search = search.map(|text| normal_form(text.trim()));
    let from = if page.is_from_end { PageEnd::End } else { PageEnd::Start };
    Ok(NamePageRequest { search, after: page.after, before: page.before, limit: page.limit, from })
}

/// Converts a page of the store into the parts of a connection. `place` returns a row's name and
/// id.
pub fn parts<Row, Node: From<Row>>(
    page: NamePage<Row>,
    place: impl Fn(&Row) -> (&str, Uuid),
) -> (Vec<(String, Node)>, Bounds, Option<i64>) {
    let bounds = Bounds { has_previous: page.has_previous, has_next: page.has_next };
    let with_cursor = |row: Row| {
        let (name, id) = place(&row);
        (NameCursor { name: name.to_owned(), id }.encode(), Node::from(row))
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
