//! Says what an operation costs that was refused for its cost.

use async_graphql::{Request, Response, Variables};

use super::document::{parse, select};
use crate::{
    error::{ApiError, Code, TOO_COSTLY},
    graphql::cost,
};

/// What the cost of an operation is counted from.
#[derive(Debug, Default)]
pub(super) struct Costed {
    query: String,
    operation_name: Option<String>,
    variables: Variables,
}

impl Costed {
    pub(super) fn of(request: &Request) -> Self {
        let Request { query, operation_name, variables, .. } = request;
        Self {
            query: query.clone(),
            operation_name: operation_name.clone(),
            variables: cost::counted(variables),
        }
    }

    /// Says what the operation costs, and what costs most, if the framework has refused it for its
    /// cost. The framework itself says neither.
    pub(super) fn explain(&self, response: &mut Response) {
        let Some(error) = response.errors.iter_mut().find(|error| error.message == TOO_COSTLY) else {
            return;
        };
        let Ok(document) = parse(&self.query) else { return };
        let Ok((_, operation)) = select(&document, self.operation_name.as_deref()) else { return };
        if let Err(costly) = cost::check(&operation.node, &document.fragments, &self.variables) {
            *error = ApiError::new(Code::TooComplex, costly.to_string()).to_server_error();
        }
    }
}
