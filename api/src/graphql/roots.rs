//! The schema's roots: what each noun adds to `Query`, `Mutation` and `Subscription`.
//!
//! The place where a noun plugs in: one name in each of the tuples below, and one line in `nodes!` for a type that
//! has an id. Built by `serve` and by the `schema` subcommand; holds no logic.

use async_graphql::{EmptyMutation, EmptySubscription, MergedObject, SDLExportOptions, Schema};

use super::{limits::bounded, viewer::ViewerQuery};

/// Everything that can be read. Every field but `viewer` needs a key.
#[derive(Debug, Default, MergedObject)]
pub struct Query(ViewerQuery);

/// Everything that can be changed. Each takes one input and answers a payload with `userErrors`.
pub type Mutation = EmptyMutation;

/// Everything that can be followed.
pub type Subscription = EmptySubscription;

/// The API's schema.
pub type ApiSchema = Schema<Query, Mutation, Subscription>;

/// Builds the schema, with its limits. Data of the process (the store, the feed) is added by the caller; data of one
/// operation (the caller, DataLoaders) by [`Engine`](crate::operation::Engine).
pub fn schema() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    bounded(Schema::build(Query::default(), EmptyMutation, EmptySubscription))
}

/// The schema as `schema.graphql` has it: everything sorted, so that two exports of one schema are the same bytes.
pub fn sdl(schema: &ApiSchema) -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .use_space_ident();
    let mut text = schema.sdl_with_options(options);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
