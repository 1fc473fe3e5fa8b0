//! The interface `Node`, and the queries `node` and `nodes` that load any object by its id.
//!
//! A type joins with one line of [`nodes!`](crate::nodes) in `roots`. An id of an unknown form or
//! kind returns null, as in every query by id.

/// Maximum number of ids in one `nodes` query.
pub const NODES_MAX: usize = 100;

/// The prefix of a typed id: `job` for `job_01h...`.
pub fn prefix(id: &str) -> &str {
    id.rsplit_once('_').map_or("", |(prefix, _)| prefix)
}

/// Defines the interface `Node` and the query fields `node` and `nodes` (as `NodeQuery`) from lines
/// of the form `Variant(Type), IdType, load;`. `load` is an
/// `async fn(&Context<'_>, IdType) -> Result<Option<Type>, _>`. It must batch (DataLoader), because
/// `nodes` calls it for all ids at once.
#[macro_export]
macro_rules! nodes {
    ($($variant:ident($type:ident), $id:ty, $load:path;)+) => {
        /// An object with a global id. `node(id:)` loads it.
        #[derive(Debug, async_graphql::Interface)]
        #[graphql(field(
            name = "id",
            ty = "async_graphql::ID",
            desc = "The global id, a prefix for the kind and 128 bits in Crockford base32. Treat it as opaque."
        ))]
        #[allow(clippy::allow_attributes, clippy::large_enum_variant, reason = "short-lived")]
        pub enum Node {
            $(#[doc = concat!("The object ", stringify!($variant), ".")] $variant($type)),+
        }

        async fn find_node(ctx: &async_graphql::Context<'_>, id: &str) -> async_graphql::Result<Option<Node>> {
            match $crate::graphql::node::prefix(id) {
                $(<$id>::PREFIX => {
                    let Ok(id) = id.parse::<$id>() else {
                        return Ok(None);
                    };
                    if !$crate::auth::Caller::may_load(ctx, stringify!($variant)) {
                        return Ok(None);
                    }
                    Ok($load(ctx, id).await?.map(Node::$variant))
                })+
                _ => Ok(None),
            }
        }

        /// The query fields `node` and `nodes`.
        #[derive(Debug, Default)]
        pub struct NodeQuery;

        #[async_graphql::Object]
        impl NodeQuery {
            /// Returns the object with this id. Null when there is none, when the kind of the id is
            /// unknown, or when the role may not see it.
            async fn node(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "The global id.")] id: async_graphql::ID,
            ) -> Option<async_graphql::Result<Node>> {
                find_node(ctx, &id).await.transpose()
            }

            /// Returns objects in the order of their ids, with null for each id that has no object.
            async fn nodes(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "The global ids, at most 100.")] ids: Vec<async_graphql::ID>,
            ) -> async_graphql::Result<Vec<Option<Node>>> {
                $crate::graphql::node::check_count(ids.len())?;
                futures::future::try_join_all(ids.iter().map(|id| find_node(ctx, id))).await
            }
        }
    };
}

/// Refuses more than [`NODES_MAX`] ids.
pub fn check_count(ids: usize) -> Result<(), crate::error::ApiError> {
    if ids > NODES_MAX {
        let message = format!("`nodes` takes at most {NODES_MAX} ids, not {ids}.");
        return Err(crate::error::ApiError::new(crate::error::Code::BadRequest, message));
    }
    Ok(())
}
