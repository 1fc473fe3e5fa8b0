//! Bounds what an introspection may return.
//!
//! The schema describes itself in lists of lists: the fields of a type have types, which have
//! fields. The framework counts each field of a query once there, however many values it returns.

use std::{collections::HashMap, sync::LazyLock};

use async_graphql::{
    Name, Positioned,
    parser::{
        parse_schema,
        types::{
            FragmentDefinition, OperationDefinition, Selection, SelectionSet, TypeKind, TypeSystemDefinition,
        },
    },
};

use super::roots;
use crate::error::{ApiError, Code};

/// Most values that the introspections of one operation may return, estimated. The query of public
/// clients returns a third of it.
const VALUES_MAX: usize = 600_000;

/// How long the lists are that describe the schema.
#[derive(Debug)]
struct Lengths {
    types: usize,
    /// The fields of a type: on average, and at most.
    fields: usize,
    fields_max: usize,
}

static LENGTHS: LazyLock<Lengths> = LazyLock::new(|| {
    let document = parse_schema(roots::schema().finish().sdl()).map(|document| document.definitions);
    let (mut types, mut fields, mut fields_max) = (0, 0, 0);
    for definition in document.unwrap_or_default() {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let own = match of.node.kind {
            TypeKind::Object(object) => object.fields.len(),
            TypeKind::Interface(interface) => interface.fields.len(),
            TypeKind::InputObject(object) => object.fields.len(),
            TypeKind::Enum(of) => of.values.len(),
            TypeKind::Scalar | TypeKind::Union(_) => 0,
        };
        types += 1;
        fields += own;
        fields_max = fields_max.max(own);
    }
    Lengths { types, fields: fields / types.max(1) + 1, fields_max }
});

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Fails if the introspections of an operation may return more than [`VALUES_MAX`] values. The
/// document's size must have been checked.
pub fn check(operation: &OperationDefinition, fragments: &Fragments) -> Result<(), ApiError> {
    let values = at_root(&operation.selection_set.node, fragments);
    if values <= VALUES_MAX {
        return Ok(());
    }
    let message = format!(
        "The introspection would return some {values} values, and at most {VALUES_MAX} are allowed. Ask for \
         less of the schema at once."
    );
    Err(ApiError::new(Code::TooComplex, message))
}

fn at_root(set: &SelectionSet, fragments: &Fragments) -> usize {
    let of = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) if matches!(field.node.name.node.as_str(), "__schema" | "__type") => {
            values(&field.node.selection_set.node, fragments, 0)
        }
        Selection::Field(_) => 0,
        Selection::InlineFragment(inline) => at_root(&inline.node.selection_set.node, fragments),
        Selection::FragmentSpread(spread) => {
            let fragment = fragments.get(&spread.node.fragment_name.node);
            fragment.map_or(0, |fragment| at_root(&fragment.node.selection_set.node, fragments))
        }
    };
    set.items.iter().map(of).fold(0, usize::saturating_add)
}

/// The values of a selection, `depth` lists of fields deep.
fn values(set: &SelectionSet, fragments: &Fragments, depth: usize) -> usize {
    let of = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) => {
            // A query that follows the types of fields can choose those with the most.
            let fields = if depth == 0 { LENGTHS.fields } else { LENGTHS.fields_max };
            let (items, deeper) = match field.node.name.node.as_str() {
                "types" => (LENGTHS.types, 0),
                "fields" | "inputFields" | "enumValues" | "possibleTypes" => (fields, 1),
                "args" | "directives" | "interfaces" => (2, 0),
                _ => (1, 0),
            };
            let of_one = values(&field.node.selection_set.node, fragments, depth + deeper);
            items.saturating_mul(of_one.saturating_add(1))
        }
        Selection::InlineFragment(inline) => values(&inline.node.selection_set.node, fragments, depth),
        Selection::FragmentSpread(spread) => {
            let fragment = fragments.get(&spread.node.fragment_name.node);
            fragment.map_or(0, |fragment| values(&fragment.node.selection_set.node, fragments, depth))
        }
    };
    set.items.iter().map(of).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    /// What public clients send, with the deepest `ofType` that is common.
    const STANDARD: &str = "query IntrospectionQuery {
      __schema { description queryType { name kind } mutationType { name kind } subscriptionType { name kind }
        types { ...FullType } directives { name description isRepeatable locations args { ...InputValue } } } }
      fragment FullType on __Type { kind name description specifiedByURL isOneOf
        fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue }
          type { ...TypeRef } isDeprecated deprecationReason }
        inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
        enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
        possibleTypes { ...TypeRef } }
      fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
      fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
        ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

    fn counted(text: &str) -> usize {
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        at_root(&operation.node.selection_set.node, &document.fragments)
    }

    #[test]
    fn what_clients_send_is_within_the_bound_and_what_multiplies_is_not() {
        let standard = counted(STANDARD);
        assert!((VALUES_MAX / 6..VALUES_MAX / 2).contains(&standard), "{standard}");
        assert_eq!(counted("{ __typename jobs { nodes { id } } }"), 0);
        assert!(
            counted("{ __type(name: \"Job\") { fields { name type { name fields { name } } } } }")
                < VALUES_MAX
        );
        let aliased: Vec<String> =
            (0..40).map(|n| format!("a{n}: __schema {{ types {{ ...T }} }}")).collect();
        let nested =
            |depth: usize| format!("{}name{}", "fields { type { ".repeat(depth), " } }".repeat(depth));
        for text in [
            format!(
                "{{ {} }} fragment T on __Type {{ name fields {{ name description args {{ name type {{ name ofType {{ name }} }} }} type {{ name ofType {{ name ofType {{ name }} }} }} }} }}",
                aliased.join(" ")
            ),
            format!("{{ __schema {{ types {{ {} }} }} }}", nested(4)),
            format!("{{ ... on Query {{ __schema {{ types {{ {} }} }} }} }}", nested(4)),
            format!("{{ __type(name: \"Query\") {{ {} }} }}", nested(6)),
        ] {
            assert!(counted(&text) > VALUES_MAX, "{}: {text}", counted(&text));
        }
    }
}
