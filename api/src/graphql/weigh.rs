//! Weighs an answer while it is made: each name and each text or JSON value, in bytes.

use std::{iter, sync::Arc};

use async_graphql::{
    PathSegment, QueryPathNode, QueryPathSegment, Response, ServerResult, Value, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextResolve, ResolveInfo},
};

use crate::allowance::Allowance;

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
    /// Called once for a query or mutation, and for each message of a subscription.
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        if let Some(allowance) = ctx.data_opt::<Arc<Allowance>>() {
            allowance.restart();
        }
        next.run(ctx, operation_name).await
    }

    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let (name, node) = (info.alias.unwrap_or(info.name), info.path_node);
        let value = next.run(ctx, info).await?;
        if let Some(allowance) = ctx.data_opt::<Arc<Allowance>>() {
            let charged = allowance.charge(name.len() + weight(value.as_ref())).await;
            charged.map_err(|error| error.to_server_error().with_path(path_to(node)))?;
        }
        Ok(value)
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

/// The bytes of a value, without those that escape others in JSON. Lists and objects have been
/// weighed by their parts.
fn weight(value: Option<&Value>) -> usize {
    match value {
        Some(Value::String(text)) => text.len() + 2,
        Some(Value::Binary(json)) => json.len(),
        Some(Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Enum(_)) | None => 8,
        Some(Value::List(_) | Value::Object(_)) => 2,
    }
}
