//! Defines `catalogue_table!`, which makes the functions that the tables of the catalogue share.

/// Defines functions of a table: `catalogue_table!(rows, "table", Id => Item: function, ...)`.
///
/// `rows` is a macro of the calling file for a statement that returns rows. It takes the literals
/// before the columns, the literals after them, and the arguments. `Item` implements `TryFrom` for
/// its rows. A doc comment before the name of a function is appended to the function's own.
macro_rules! catalogue_table {
    ($rows:ident, $table:literal, $id:ident => $item:ident: $($(#[$doc:meta])* $function:ident),+ $(,)?) => {
        $(catalogue_table!(@$function $rows $table $id $item [$(#[$doc])*]);)+
    };
    (@load $rows:ident $table:literal $id:ident $item:ident [$(#[$doc:meta])*]) => {
        const LOAD_SPAN: &str = concat!("db.", $table, ".load");

        /// Loads rows by id, in any order. Ids that do not exist are left out.
        $(#[$doc])*
        #[tracing::instrument(name = LOAD_SPAN, level = "debug", skip_all)]
        pub async fn load(
            connection: &mut $crate::store::Connection,
            ids: &[$id],
        ) -> Result<Vec<$item>, $crate::store::StoreError> {
            let ids: Vec<uuid::Uuid> = ids.iter().copied().map(uuid::Uuid::from).collect();
            let rows = $rows!(["SELECT"], ["FROM " $table " WHERE id = ANY($1)"], &ids);
            rows.fetch_all(connection).await?.into_iter().map($item::try_from).collect()
        }
    };
    (@load_by_name $rows:ident $table:literal $id:ident $item:ident [$(#[$doc:meta])*]) => {
        const LOAD_BY_NAME_SPAN: &str = concat!("db.", $table, ".load_by_name");

        /// Loads rows by name, in any order. Names that do not exist are left out.
        $(#[$doc])*
        #[tracing::instrument(name = LOAD_BY_NAME_SPAN, level = "debug", skip_all)]
        pub async fn load_by_name(
            connection: &mut $crate::store::Connection,
            names: &[String],
        ) -> Result<Vec<$item>, $crate::store::StoreError> {
            let names = names.iter().map(String::as_str).filter(|name| !name.contains('\0'));
            let names: Vec<&str> = names.collect();
            let rows = $rows!(["SELECT"], ["FROM " $table " WHERE name = ANY($1)"], &names as &[&str]);
            rows.fetch_all(connection).await?.into_iter().map($item::try_from).collect()
        }
    };
    (@page $rows:ident $table:literal $id:ident $item:ident [$(#[$doc:meta])*]) => {
        const PAGE_SPAN: &str = concat!("db.", $table, ".page");

        /// A page of the rows, in order of name.
        $(#[$doc])*
        #[tracing::instrument(name = PAGE_SPAN, level = "debug", skip_all)]
        pub async fn page(
            connection: &mut $crate::store::Connection,
            request: &$crate::store::catalogue::name_pages::NamePageRequest,
        ) -> Result<$crate::store::catalogue::name_pages::NamePage<$item>, $crate::store::StoreError> {
            use super::name_pages::{Counts, NamePage};
            let Some(bounds) = request.bounds() else { return Ok(NamePage::empty()) };
            let rows = $rows!(
                ["WITH matching AS NOT MATERIALIZED (
                      SELECT id, name FROM " $table "
                      WHERE ($1::text IS NULL OR strpos(lower(name), lower($1)) > 0)
                          AND ($2::text IS NULL OR (name, id) > ($2, $3::uuid))
                          AND ($4::text IS NULL OR (name, id) < ($4, $5::uuid))
                  ), page AS (
                      (SELECT id FROM matching WHERE NOT $7::boolean ORDER BY name, id LIMIT $6)
                      UNION ALL
                      (SELECT id FROM matching WHERE $7 ORDER BY name DESC, id DESC LIMIT $6)
                  )
                  SELECT"],
                ["FROM " $table " JOIN page USING (id) ORDER BY name, id"],
                bounds.search,
                bounds.after_name,
                bounds.after_id,
                bounds.before_name,
                bounds.before_id,
                bounds.limit,
                bounds.is_from_end,
            );
            let rows = rows.fetch_all(&mut *connection).await?;
            let (name, id) = bounds.taken_from();
            let counts = sqlx::query_as!(
                Counts,
                r#"SELECT count(*) AS "total!", count(*) FILTER (WHERE CASE WHEN $4::boolean
                       THEN (name, id) >= ($2, $3::uuid) ELSE (name, id) <= ($2, $3) END) AS "beyond!"
                   FROM "# + $table + " WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0",
                bounds.search,
                name,
                id,
                bounds.is_from_end,
            );
            let counts = counts.fetch_one(connection).await?;
            let items = rows.into_iter().map($item::try_from).collect::<Result<_, _>>()?;
            Ok(NamePage::of(items, &counts, bounds.is_from_end))
        }
    };
    (@lock $rows:ident $table:literal $id:ident $item:ident [$(#[$doc:meta])*]) => {
        const LOCK_SPAN: &str = concat!("db.", $table, ".lock");

        /// Locks a row until the transaction ends. `None` if it does not exist.
        $(#[$doc])*
        #[tracing::instrument(name = LOCK_SPAN, level = "debug", skip_all)]
        pub async fn lock(
            connection: &mut $crate::store::Connection,
            id: $id,
        ) -> Result<Option<$item>, $crate::store::StoreError> {
            let row = $rows!(["SELECT"], ["FROM " $table " WHERE id = $1 FOR UPDATE"], id.uuid());
            row.fetch_optional(connection).await?.map($item::try_from).transpose()
        }
    };
    (@keep $rows:ident $table:literal $id:ident $item:ident [$(#[$doc:meta])*]) => {
        const KEEP_SPAN: &str = concat!("db.", $table, ".keep");

        /// The ids that exist. Their rows cannot be deleted until the transaction ends.
        $(#[$doc])*
        #[tracing::instrument(name = KEEP_SPAN, level = "debug", skip_all)]
        pub async fn keep(
            connection: &mut $crate::store::Connection,
            ids: &[$id],
        ) -> Result<Vec<$id>, $crate::store::StoreError> {
            let ids: Vec<uuid::Uuid> = ids.iter().copied().map(uuid::Uuid::from).collect();
            let found = sqlx::query_scalar!(
                "SELECT id FROM " + $table + " WHERE id = ANY($1) ORDER BY id FOR KEY SHARE",
                &ids
            );
            Ok(found.fetch_all(connection).await?.into_iter().map($id::from).collect())
        }
    };
    (@name_is_taken $rows:ident $table:literal $id:ident $item:ident [$(#[$doc:meta])*]) => {
        const NAME_IS_TAKEN_SPAN: &str = concat!("db.", $table, ".name_is_taken");

        /// Whether another row than `id` has this name. A hint only, because the table's constraint
        /// decides.
        $(#[$doc])*
        #[tracing::instrument(name = NAME_IS_TAKEN_SPAN, level = "debug", skip_all)]
        pub async fn name_is_taken(
            connection: &mut $crate::store::Connection,
            id: $id,
            name: &str,
        ) -> Result<bool, $crate::store::StoreError> {
            let is_taken = sqlx::query_scalar!(
                "SELECT EXISTS (SELECT FROM " + $table + r#" WHERE name = $2 AND id <> $1) AS "is_taken!""#,
                id.uuid(),
                name
            );
            Ok(is_taken.fetch_one(connection).await?)
        }
    };
    (@delete $rows:ident $table:literal $id:ident $item:ident [$(#[$doc:meta])*]) => {
        const DELETE_SPAN: &str = concat!("db.", $table, ".delete");

        /// Deletes a row.
        $(#[$doc])*
        #[tracing::instrument(name = DELETE_SPAN, level = "debug", skip_all)]
        pub async fn delete(
            connection: &mut $crate::store::Connection,
            id: $id,
        ) -> Result<(), $crate::store::StoreError> {
            sqlx::query!("DELETE FROM " + $table + " WHERE id = $1", id.uuid()).execute(connection).await?;
            Ok(())
        }
    };
}
pub(super) use catalogue_table;
