//! Parses a GraphQL document and checks everything that does not depend on the schema.
//!
//! It selects the operation, limits the document's size, and refuses what the caller may not use.
//! async-graphql validates the document against the schema.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    Name, Positioned, Request, ServerError,
    parser::{
        parse_query,
        types::{
            DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType,
            Selection, SelectionSet, TypeCondition,
        },
    },
};

use super::{
    credential_end::RunningCredential,
    known::KnownDocuments,
    permission::{self, Refused},
    scan::scan,
    variables,
};
use crate::{
    allowance::Allowance,
    auth::{Access, OwnEnd},
    error::{ApiError, Code, coded},
    graphql::{cost, input_scalars, introspection, query_limits::RECURSION_MAX},
};

/// Maximum number of selections in a document, counting fragments at each spread.
const SELECTIONS_MAX: usize = 5000;

/// The type of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Reads.
    Query,
    /// Changes something.
    Mutation,
    /// Opens a stream.
    Subscription,
}

impl Kind {
    /// The type's name in GraphQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// A checked operation, ready to run.
#[derive(Debug)]
pub struct ReadyOperation {
    /// The request with its parsed document.
    pub(super) request: Request,
    /// The type of the operation.
    pub kind: Kind,
    /// The operation's name, if it has one.
    pub name: Option<String>,
    /// Whether it selects `__schema`.
    pub(super) has_schema: bool,
    /// Whether its errors propose no names of the schema.
    pub(super) hides_names: bool,
    /// What it costs, of what a document may cost.
    pub(super) cost: usize,
    /// What it may take.
    pub(super) allowance: Arc<Allowance>,
    /// What it runs with.
    pub(super) credential: RunningCredential,
}

pub(super) fn prepare(
    mut request: Request,
    access: &Access,
    known: &KnownDocuments,
    allowance: &Arc<Allowance>,
    is_schema_open: bool,
) -> Result<ReadyOperation, Refused> {
    let refuse = |error: ApiError| Refused::from(error.to_server_error());
    variables::check(&request.variables).map_err(refuse)?;
    let mut document = if let Some(document) = known.find(&request.query) {
        document
    } else {
        let document = parse(&request.query)?;
        // Documents of anonymous callers are not cached, because they could be anything.
        if access.caller().is_some() {
            known.keep(&request.query, &document);
        }
        document
    };
    let own_end = Arc::<OwnEnd>::default();
    let (name, operation) = select(&document, request.operation_name.as_deref()).map_err(refuse)?;
    let kind = match operation.node.ty {
        OperationType::Query => Kind::Query,
        OperationType::Mutation => Kind::Mutation,
        OperationType::Subscription => Kind::Subscription,
    };
    // async-graphql forgets the defaults when it applies `@skip` and `@include`.
    variables::add_defaults(&mut request.variables, &operation.node);
    let mut fields = Vec::new();
    root_fields(&operation.node.selection_set.node, &document.fragments, &mut fields);
    permission::check(&operation.node, &document.fragments, &request.variables, access, is_schema_open)?;
    introspection::check(&operation.node, &document.fragments).map_err(refuse)?;
    let cost = cost::check(&operation.node, &document.fragments, &request.variables)
        .map_err(|costly| refuse(ApiError::new(Code::TooComplex, costly.to_string())))?;
    input_scalars::check(&operation.node, &request.variables).map_err(refuse)?;
    let has_schema = fields.contains(&"__schema");
    if kind == Kind::Subscription {
        if fields.len() != 1 {
            let why = "A subscription must have exactly one root field.";
            return Err(refuse(ApiError::new(Code::ValidationFailed, why)));
        }
        unfold_root(&mut document, name.as_ref());
    }
    let mut request = request.data(Arc::clone(&own_end));
    request.set_parsed_query(document);
    let name = name.map(|name| name.to_string());
    Ok(ReadyOperation {
        request,
        kind,
        name,
        has_schema,
        hides_names: false,
        cost,
        allowance: Arc::clone(allowance),
        credential: RunningCredential::new(access.clone(), own_end),
    })
}

/// Runs all checks that depend only on the text.
fn parse(text: &str) -> Result<ExecutableDocument, ServerError> {
    let refuse = |error: ApiError| error.to_server_error();
    let text = scan(text).map_err(refuse)?;
    let document = parse_query(text).map_err(|error| coded(Code::ParseFailed, error.into()))?;
    check_size(&document).map_err(refuse)?;
    Ok(document)
}

/// Returns the operation to run: the named one, or the only one.
fn select<'a>(
    document: &'a ExecutableDocument,
    wanted: Option<&str>,
) -> Result<(Option<Name>, &'a Positioned<OperationDefinition>), ApiError> {
    let unknown = |name: &str| {
        let shown: String = name.chars().take(100).collect();
        ApiError::new(Code::BadRequest, format!("The document has no operation named `{shown}`."))
    };
    match (&document.operations, wanted) {
        (DocumentOperations::Single(operation), None) => Ok((None, operation)),
        (DocumentOperations::Single(_), Some(name)) => Err(unknown(name)),
        (DocumentOperations::Multiple(operations), Some(name)) => operations
            .get_key_value(name)
            .map(|(name, operation)| (Some(name.clone()), operation))
            .ok_or_else(|| unknown(name)),
        (DocumentOperations::Multiple(operations), None) => match operations.iter().next() {
            Some((name, operation)) if operations.len() == 1 => Ok((Some(name.clone()), operation)),
            Some(_) | None => Err(ApiError::new(
                Code::BadRequest,
                "The document has several operations. Select one with `operationName`.",
            )),
        },
    }
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Limits the size of a document before anything walks it, because fragments that spread fragments
/// grow exponentially.
fn check_size(document: &ExecutableDocument) -> Result<(), ApiError> {
    let mut known = HashMap::new();
    let mut total = 0_usize;
    for (_, operation) in document.operations.iter() {
        total = total.saturating_add(size(
            &operation.node.selection_set.node,
            &document.fragments,
            &mut known,
            0,
        )?);
    }
    for fragment in document.fragments.values() {
        total = total.saturating_add(size(
            &fragment.node.selection_set.node,
            &document.fragments,
            &mut known,
            0,
        )?);
    }
    if total > SELECTIONS_MAX {
        let message = format!(
            "The document selects more than {SELECTIONS_MAX} fields, counting fragments at each spread."
        );
        return Err(ApiError::new(Code::TooComplex, message));
    }
    Ok(())
}

/// Counts the selections of a set, including its fragments. `known` caches the count of each
/// fragment, which is `None` while it is being computed.
fn size<'a>(
    set: &'a SelectionSet,
    fragments: &'a Fragments,
    known: &mut HashMap<&'a str, Option<usize>>,
    depth: usize,
) -> Result<usize, ApiError> {
    if depth > RECURSION_MAX {
        let message =
            format!("The document nests fields and fragments more than {RECURSION_MAX} levels deep.");
        return Err(ApiError::new(Code::TooComplex, message));
    }
    let mut total = 0_usize;
    for selection in &set.items {
        let below = match &selection.node {
            Selection::Field(field) => size(&field.node.selection_set.node, fragments, known, depth + 1)?,
            Selection::InlineFragment(inline) => {
                size(&inline.node.selection_set.node, fragments, known, depth + 1)?
            }
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                match (known.get(name), fragments.get(name)) {
                    (Some(Some(sum)), _) => *sum,
                    (Some(None), _) => {
                        let message = format!("The fragment `{name}` spreads itself.");
                        return Err(ApiError::new(Code::ValidationFailed, message));
                    }
                    (None, None) => 0,
                    (None, Some(fragment)) => {
                        known.insert(name, None);
                        let sum = size(&fragment.node.selection_set.node, fragments, known, depth + 1)?;
                        known.insert(name, Some(sum));
                        sum
                    }
                }
            }
        };
        total = total.saturating_add(below).saturating_add(1);
    }
    Ok(total)
}

/// Collects the names of the root fields, through fragments. `check_size` has limited the work.
fn root_fields<'a>(set: &'a SelectionSet, fragments: &'a Fragments, into: &mut Vec<&'a str>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => into.push(field.node.name.node.as_str()),
            Selection::InlineFragment(inline) => {
                root_fields(&inline.node.selection_set.node, fragments, into);
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    root_fields(&fragment.node.selection_set.node, fragments, into);
                }
            }
        }
    }
}

/// Replaces a fragment at the root of a subscription by its field, and removes fragments that are
/// no longer spread. async-graphql looks for the field directly at the root and ignores fragments
/// there. One for another type stays, and is refused when the document is validated.
fn unfold_root(document: &mut ExecutableDocument, name: Option<&Name>) {
    let operation = match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(name),
        (DocumentOperations::Multiple(_), None) => None,
    };
    let Some(operation) = operation else { return };
    let is_subscription = |condition: &TypeCondition| condition.on.node == "Subscription";
    let set = &mut operation.node.selection_set.node;
    let mut unfolded = Vec::new();
    while let [only] = set.items.as_slice() {
        let inner = match &only.node {
            Selection::Field(_) => break,
            Selection::InlineFragment(inline) => {
                let condition = inline.node.type_condition.as_ref();
                if condition.is_some_and(|condition| !is_subscription(&condition.node)) {
                    break;
                }
                inline.node.selection_set.node.clone()
            }
            Selection::FragmentSpread(spread) => {
                let fragment = document.fragments.get(&spread.node.fragment_name.node);
                let fragment =
                    fragment.filter(|fragment| is_subscription(&fragment.node.type_condition.node));
                let Some(fragment) = fragment else { break };
                unfolded.push(spread.node.fragment_name.node.clone());
                fragment.node.selection_set.node.clone()
            }
        };
        *set = inner;
    }
    for fragment in unfolded {
        document.fragments.remove(&fragment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::Allowances;

    fn prepared(request: Request, access: &Access) -> Result<ReadyOperation, Option<Code>> {
        let allowance = Arc::new(Allowances::default().of(None));
        prepare(request, access, &KnownDocuments::default(), &allowance, false)
            .map_err(|refused| Code::of(&refused.error))
    }

    fn anonymous(query: &str) -> Result<ReadyOperation, Option<Code>> {
        prepared(Request::new(query), &Access::Anonymous)
    }

    fn signed_in(query: &str) -> Result<ReadyOperation, Option<Code>> {
        prepared(Request::new(query), &signed_in_access())
    }

    #[test]
    fn only_the_open_fields_need_no_key() {
        for open in [
            "{ viewer { name } }",
            "{ __typename v: viewer { name } }",
            "query Q { ...F } fragment F on Query { viewer { name } }",
        ] {
            assert!(anonymous(open).is_ok(), "{open}");
        }
        for closed in [
            "{ jobs { id } }",
            "{ viewer: jobs { id } }",
            "{ __schema { types { name } } }",
            "{ __type(name: \"Job\") { name } }",
            "{ viewer { name } ...F } fragment F on Query { jobs { id } }",
            "{ viewer { name } ... on Query { jobs { id } } }",
            "subscription { jobEvents { at } }",
            "{ ...Missing }  fragment F on Query { jobs { id } } { }",
        ] {
            assert!(
                matches!(anonymous(closed), Err(Some(Code::Unauthenticated | Code::ParseFailed))),
                "{closed}"
            );
        }
    }

    #[test]
    fn fragments_are_counted_where_they_are_spread() {
        let doubling =
            (0..30).map(|level| format!("fragment F{level} on Query {{ ...F{0} ...F{0} }}", level + 1));
        let end = "fragment F30 on Query { viewer { name } }".to_owned();
        let bomb = format!("{{ ...F0 }} {}", doubling.chain([end]).collect::<Vec<_>>().join(" "));
        assert_eq!(signed_in(&bomb).unwrap_err(), Some(Code::TooComplex));
        let cycle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert_eq!(signed_in(cycle).unwrap_err(), Some(Code::ValidationFailed));
        let chain: Vec<_> =
            (0..2000).map(|n| format!("fragment F{n} on Query {{ ...F{} }}", n + 1)).collect();
        assert_eq!(
            signed_in(&format!("{{ ...F0 }} {}", chain.join(" "))).unwrap_err(),
            Some(Code::TooComplex)
        );
        let wide = format!("{{ {} }}", "viewer ".repeat(SELECTIONS_MAX + 1));
        assert_eq!(signed_in(&wide).unwrap_err(), Some(Code::TooComplex));
    }

    #[test]
    fn the_named_operation_is_chosen() {
        let two = "query A { viewer { name } } mutation B { x }";
        assert_eq!(signed_in(two).unwrap_err(), Some(Code::BadRequest));
        let chosen = |name: &str| {
            let found = prepared(Request::new(two).operation_name(name), &signed_in_access());
            found.map(|prepared| (prepared.kind, prepared.name))
        };
        assert!(chosen("B").unwrap() == (Kind::Mutation, Some("B".into())) && chosen("C").is_err());
        assert_eq!(signed_in("query Only { viewer { name } }").unwrap().name.as_deref(), Some("Only"));
    }

    fn signed_in_access() -> Access {
        use crate::auth::{Caller, KeyHash, Proof};
        Access::SignedIn(Caller::configured().into(), Proof::Key(KeyHash::of("t")))
    }

    #[test]
    fn a_subscription_has_one_root_field_even_behind_fragments() {
        for bad in ["subscription { a b }", "subscription { a ...F } fragment F on Subscription { a }"] {
            assert_eq!(signed_in(bad).unwrap_err(), Some(Code::ValidationFailed), "{bad}");
        }
        let mut prepared = signed_in(
            "subscription S { ... on Subscription { ...F } } fragment F on Subscription { a { ...G } } fragment G on A { b }",
        )
        .unwrap();
        let document = prepared.request.parsed_query().unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        assert!(matches!(operation.node.selection_set.node.items[0].node, Selection::Field(_)));
        assert_eq!(document.fragments.keys().map(Name::as_str).collect::<Vec<_>>(), ["G"]);
    }
}
