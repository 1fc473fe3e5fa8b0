//! Limits on the cost of one operation, shared by the real schema and the tests' schemas.
//!
//! [`bounded`] is applied where a schema is built. `cost` counts before an operation runs. Limits
//! on a document's text are in `operation::scan`.

use async_graphql::{ObjectType, SchemaBuilder, SubscriptionType};

/// Maximum nesting of fields. The standard introspection query is 15 deep.
pub const DEPTH_MAX: usize = 20;
/// Maximum number of fields that an operation may return. A page counts with its size.
pub const COMPLEXITY_MAX: usize = 5000;
/// The cost of `commandPreview`, which composes in another process, beside its fields.
pub const PREVIEW_COST: usize = 500;
/// The cost of `cronPreview`, which may search a hundred years of days.
pub const CRON_COST: usize = 50;
/// The cost of a mutation that composes a command to check it, or reaches another server.
pub const SAVE_COST: usize = 250;
/// The cost of a mutation that counts the jobs of a filter and changes up to 10,000 of them.
pub const BULK_COST: usize = 250;
/// The cost of `Job.composed`, `Attempt.composed`, and of mutations that enqueue, beside their
/// fields. In `jobsEnqueue` each job costs 1 more.
pub const COMPOSED_COST: usize = 10;
/// The cost of `totalCount`, `queues`, `workers`, `Job.input` and `Job.result`: a statement of
/// their own, or up to a mebibyte.
pub const READ_COST: usize = 10;
/// Maximum number of directives on one field.
pub const DIRECTIVES_MAX: usize = 10;
/// Maximum nesting of selections, including fragments.
pub const RECURSION_MAX: usize = 32;

/// Applies every limit of this file.
pub fn bounded<Q, M, S>(builder: SchemaBuilder<Q, M, S>) -> SchemaBuilder<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    builder.limit_depth(DEPTH_MAX).limit_directives(DIRECTIVES_MAX).limit_recursive_depth(RECURSION_MAX)
}

/// The cost of a page: the cost of one item times the number of requested items.
pub fn page_cost(first: Option<i32>, last: Option<i32>, of_one: usize) -> usize {
    let items = first.or(last).unwrap_or(i32::from(super::page::PAGE_DEFAULT)).max(1) as usize;
    items.saturating_mul(of_one).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_name_the_limits() {
        let [(_, depth), ..] = crate::error::TOO_COMPLEX;
        assert!(depth.unwrap().contains(&format!("more than {DEPTH_MAX} levels")));
        let limits = format!("cost at most {COMPLEXITY_MAX} and nest fields {DEPTH_MAX} levels deep");
        assert!(crate::graphql::roots::DESCRIPTION.contains(&limits));
    }
}
