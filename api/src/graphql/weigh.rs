//! Weighs an answer while it is made: each name and each text or JSON value, in bytes.

use std::{iter, sync::Arc};

use async_graphql::{
    PathSegment, QueryPathNode, QueryPathSegment, ServerError, ServerResult, Value, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo},
};

use crate::allowance::Allowance;

/// About the bytes of a field in an object beside its name. The framework does not ask for
/// `__typename`, whose value is one of these.
const TYPE_NAME_BYTES: usize = 24;

/// Weighs the answers of a schema. Operations without an [`Allowance`] are not weighed.
#[derive(Debug, Clone, Copy)]
pub struct Weigh;

impl ExtensionFactory for Weigh {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for Weigh {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let node = info.path_node;
        let resolved = next.run(ctx, info).await;
        if let Some(allowance) = ctx.data_opt::<Arc<Allowance>>() {
            let bytes = resolved.as_ref().map_or_else(weight_of_error, |value| weight(value.as_ref()));
            let charged = allowance.charge(bytes).await;
            charged.map_err(|error| error.to_server_error().with_path(path_to(node)))?;
        }
        resolved
    }
}

fn path_to(node: &QueryPathNode<'_>) -> Vec<PathSegment> {
    let segment = |node: &QueryPathNode<'_>| match node.segment {
        QueryPathSegment::Name(name) => PathSegment::Field(name.to_owned()),
        QueryPathSegment::Index(index) => PathSegment::Index(index),
    };
    let mut path: Vec<PathSegment> = iter::once(node).chain(node.parents()).map(segment).collect();
    path.reverse();
    path
}

/// The bytes of a value, without those that escape others in JSON, and of the names in an object.
/// The values in a list or an object have been weighed before, except for `__typename`.
fn weight(value: Option<&Value>) -> usize {
    match value {
        Some(Value::String(text)) => text.len() + 2,
        Some(Value::Binary(json)) => json.len(),
        Some(Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Enum(_)) | None => 8,
        Some(Value::List(_)) => 2,
        Some(Value::Object(fields)) => fields.keys().map(|name| name.len() + TYPE_NAME_BYTES).sum(),
    }
}

/// The bytes of an error's message and path.
fn weight_of_error(error: &ServerError) -> usize {
    let of_segment = |segment: &PathSegment| match segment {
        PathSegment::Field(name) => name.len() + 4,
        PathSegment::Index(_) => 8,
    };
    error.message.len() + error.path.iter().map(of_segment).sum::<usize>()
}
