//! What a column takes: [`Storable`] makes values fit for Postgres, and `query_rows!` sends a batch
//! of rows as one array per column.
//!
//! Every text that is written passes [`Storable`]. `query_rows!` does it by itself, so its columns
//! cannot escape. In statements with single values the caller writes `storable(..)`.

use std::borrow::Cow;

use uuid::Uuid;

use crate::{clock::Time, text};

/// A value of a column, as Postgres takes it.
pub(crate) trait Storable {
    /// What is sent.
    type Stored;

    /// The value without what Postgres refuses.
    fn stored(self) -> Self::Stored;
}

impl<'a> Storable for &'a str {
    type Stored = Cow<'a, str>;

    fn stored(self) -> Cow<'a, str> {
        text::storable(self)
    }
}

impl Storable for String {
    type Stored = Self;

    fn stored(self) -> Self {
        match text::storable(&self) {
            Cow::Owned(replaced) => replaced,
            Cow::Borrowed(_) => self,
        }
    }
}

impl<T: Storable> Storable for Option<T> {
    type Stored = Option<T::Stored>;

    fn stored(self) -> Self::Stored {
        self.map(Storable::stored)
    }
}

/// Types that hold no text.
macro_rules! stored_as_they_are {
    ($($type:ty),+ $(,)?) => { $(
        impl Storable for $type {
            type Stored = Self;

            fn stored(self) -> Self {
                self
            }
        }
    )+ };
}
stored_as_they_are!(bool, i16, i32, i64, f64, Uuid, Time, &[u8]);

/// A text for a column.
pub(crate) fn storable(text: &str) -> String {
    text::storable(text).into_owned()
}

/// An optional text for a column.
pub(crate) fn optional_storable(text: Option<&str>) -> Option<String> {
    text.map(storable)
}

/// Texts for a column that holds an array.
pub(crate) fn storables(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| storable(text)).collect()
}

/// A checked statement that reads its rows from `unnest($1::type[], ...) AS alias (name, ...)`.
///
/// Each column is one line with its name, its type and its value for one row. The macro makes the
/// list of types, the list of names and the order of the arrays from these lines. So two columns of
/// one type cannot be swapped by mistake.
///
/// `$1` is the array of the first column, and the statement may use it. `$2` and up are the
/// arguments after the statement. The arrays of the other columns follow, so a new column renumbers
/// nothing. `as` gives the Rust type of columns that sqlx cannot check: options and borrowed text.
///
/// ```text
/// query_rows!(
///     query for edge in edges,
///     "INSERT INTO job_dependencies (job_id, needs_id, outcome, at) SELECT edge.*, $2 FROM",
///     "edge" {
///         "job_id": "uuid[]" = edge.job.uuid();
///         "needs_id": "uuid[]" = edge.needed.uuid();
///         "outcome": "text[]" as Option<&str> = edge.outcome.map(Outcome::as_str);
///     },
///     "ON CONFLICT DO NOTHING",
///     now,
/// )
/// ```
macro_rules! query_rows {
    (
        $query:ident for $row:pat in $rows:expr,
        $before:literal, $alias:literal { $($columns:tt)+ }, $after:literal $(, $argument:expr)* $(,)?
    ) => {
        query_rows!(
            @ ["$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$9" "$10" "$11" "$12" "$13" "$14" "$15" "$16"
               "$17" "$18" "$19" "$20" "$21" "$22" "$23" "$24" "$25" "$26" "$27" "$28" "$29" "$30" "$31" "$32"]
            [$($argument),*] { $($columns)+ } []
            ($query [$row] [$rows] $before $alias $after [$($argument),*])
        )
    };
    (@ stored [] $value:expr) => {
        $crate::store::columns::Storable::stored($value)
    };
    (@ stored [$element:ty] $value:expr) => {
        <$element as $crate::store::columns::Storable>::stored($value)
    };
    // The arguments take their numbers after the first column.
    (
        @ [$number:literal $($numbers:literal)*] [$argument:expr $(, $arguments:expr)*] $columns:tt
        [$($done:tt)+] $statement:tt
    ) => {
        query_rows!(@ [$($numbers)*] [$($arguments),*] $columns [$($done)+] $statement)
    };
    // A column takes the next number. By hygiene, each expansion has a variable `array` of its own.
    (
        @ [$number:literal $($numbers:literal)*] $arguments:tt
        { $name:literal: $type:literal $(as $element:ty)? = $value:expr; $($columns:tt)* }
        [$($done:tt)*] $statement:tt
    ) => {
        query_rows!(
            @ [$($numbers)*] $arguments { $($columns)* }
            [$($done)* (array $number $name $type [$($element)?] [$value])] $statement
        )
    };
    (
        @ $numbers:tt [] {}
        [
            (
                $one:ident $one_number:literal $one_name:literal $one_type:literal
                [$($one_element:ty)?] [$one_value:expr]
            )
            $((
                $array:ident $number:literal $name:literal $type:literal
                [$($element:ty)?] [$value:expr]
            ))*
        ]
        (
            $query:ident [$row:pat] [$rows:expr] $before:literal $alias:literal $after:literal
            [$($argument:expr),*]
        )
    ) => {{
        let rows = IntoIterator::into_iter($rows);
        let (room, _) = rows.size_hint();
        let mut $one = Vec$(::<<$one_element as $crate::store::columns::Storable>::Stored>)?::with_capacity(room);
        $(let mut $array = Vec$(::<<$element as $crate::store::columns::Storable>::Stored>)?::with_capacity(room);)*
        for $row in rows {
            $one.push(query_rows!(@ stored [$($one_element)?] $one_value));
            $($array.push(query_rows!(@ stored [$($element)?] $value));)*
        }
        sqlx::$query!(
            $before
                + " unnest(" + $one_number + "::" + $one_type $(+ ", " + $number + "::" + $type)*
                + ") AS " + $alias + " (" + $one_name $(+ ", " + $name)* + ") "
                + $after,
            &$one $(as &[<$one_element as $crate::store::columns::Storable>::Stored])?,
            $($argument,)*
            $(&$array $(as &[<$element as $crate::store::columns::Storable>::Stored])?,)*
        )
    }};
}
pub(crate) use query_rows;
