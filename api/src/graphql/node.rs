//! `node` and `nodes`: any object by its id, whatever its kind; and the interface `Node`.
//!
//! A noun plugs in with one line of [`nodes!`](crate::nodes) at the place where the schema's roots are put together.
//! An id of a form that nobody knows is nothing, not an error, as every query by id has it.

/// Most ids of one `nodes`.
pub const NODES_MAX: usize = 100;

/// The prefix of a typed id: `job` of `job_01h...`.
pub fn prefix(id: &str) -> &str {
    id.rsplit_once('_').map_or("", |(prefix, _)| prefix)
}

/// Makes the interface `Node` and the query fields `node` and `nodes` (as `NodeQuery`) out of
/// `Variant(Type), IdType, load;`, where `load` is an `async fn(&Context<'_>, IdType) -> Result<Option<Type>, _>`
/// that batches (a DataLoader), because `nodes` calls it for all ids at once.
#[macro_export]
macro_rules! nodes {
    ($($variant:ident($type:ident), $id:ty, $load:path;)+) => {
        /// Anything that has an id of its own. `node(id:)` finds it again.
        #[derive(Debug, async_graphql::Interface)]
        #[graphql(field(
            name = "id",
            ty = "async_graphql::ID",
            desc = "Global id: a prefix that tells the kind, then a UUIDv7 in Crockford base32. Treat it as opaque."
        ))]
        #[allow(clippy::allow_attributes, clippy::large_enum_variant, reason = "short-lived, one per answer")]
        pub enum Node {
            $(#[doc = concat!("A ", stringify!($variant), ".")] $variant($type)),+
        }

        async fn find_node(ctx: &async_graphql::Context<'_>, id: &str) -> async_graphql::Result<Option<Node>> {
            match $crate::graphql::node::prefix(id) {
                $(<$id>::PREFIX => {
                    let Ok(id) = id.parse::<$id>() else {
                        return Ok(None);
                    };
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
            /// Any object by its id; null when there is none, or when the id is of no known kind.
            async fn node(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "A global id.")] id: async_graphql::ID,
            ) -> Option<async_graphql::Result<Node>> {
                find_node(ctx, &id).await.transpose()
            }

            /// Any objects by their ids, in the order of the ids, null for each that is not there. At most 100.
            #[graphql(complexity = "ids.len().saturating_mul(child_complexity).saturating_add(1)")]
            async fn nodes(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Global ids, at most 100.")] ids: Vec<async_graphql::ID>,
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
