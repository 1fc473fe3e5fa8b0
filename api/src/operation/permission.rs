//! Refuses an operation that selects a field which its caller may not use, before anything of it
//! runs.
//!
//! The table is [`rules`]. A field of a query that `@skip` or `@include` leaves out is not used, so
//! that a client can ask for what its role allows with one document. In a mutation every field
//! counts.

use std::collections::HashMap;

use async_graphql::{
    Name, PathSegment, Positioned, ServerError, Value, Variables,
    parser::types::{
        Directive, Field, FragmentDefinition, OperationDefinition, OperationType, Selection, SelectionSet,
    },
};

use callboard::audit::Object;

use crate::{
    audit::object_of,
    auth::{
        Access, Role,
        rules::{self, Need, ROOTS},
    },
    error::{ApiError, Code},
    graphql::{cost, shapes::shape_of},
};

/// The field that tries a key, and may stand only once in an operation, so that each try is a
/// request.
const SIGN_IN: &str = "sessionCreate";

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// An operation that is refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: Box<ServerError>,
    /// The field that the caller may not use, by its name in the schema. One that is no operation
    /// of its own has its type in front.
    pub(super) field: Option<String>,
    /// The object that its arguments name.
    pub(super) object: Object,
}

impl From<ServerError> for Refused {
    fn from(error: ServerError) -> Self {
        Self { error: error.into(), field: None, object: Object::default() }
    }
}

/// Checks the whole operation. The document's size must have been checked, and `variables` must
/// have the defaults. `is_schema_open` lets anonymous callers introspect the schema.
pub(super) fn check(
    operation: &OperationDefinition,
    fragments: &Fragments,
    variables: &Variables,
    access: &Access,
    is_schema_open: bool,
) -> Result<(), Refused> {
    let role = access.caller().map(|caller| caller.role);
    // An ADMIN may use every field. Only a mutation could try keys.
    if role == Some(Role::Admin) && operation.ty != OperationType::Mutation {
        return Ok(());
    }
    let mut walk = Walk {
        kind: operation.ty,
        fragments,
        variables,
        access,
        role,
        is_schema_open,
        path: Vec::new(),
        sign_ins: 0,
    };
    walk.set(&operation.selection_set.node, cost::root(operation))
}

struct Walk<'a> {
    kind: OperationType,
    fragments: &'a Fragments,
    variables: &'a Variables,
    access: &'a Access,
    /// `None` for an anonymous caller.
    role: Option<Role>,
    /// Whether anonymous callers may see the schema.
    is_schema_open: bool,
    path: Vec<&'a str>,
    sign_ins: usize,
}

impl<'a> Walk<'a> {
    fn set(&mut self, set: &'a SelectionSet, on: &str) -> Result<(), Refused> {
        // Whatever the condition of a fragment at a root, its fields are those of the root.
        let within = |condition: &'a str, on: &str| match ROOTS.into_iter().find(|root| *root == on) {
            Some(root) => root.to_owned(),
            None => condition.to_owned(),
        };
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if !self.is_left_out(&field.node.directives) => {
                    let name = field.node.name.node.as_str();
                    self.path.push(field.node.response_key().node.as_str());
                    self.field(on, name).map_err(|refused| self.naming(refused, on, &field.node))?;
                    let of = shape_of(on, name).map_or("", |shape| shape.of.as_str());
                    self.set(&field.node.selection_set.node, of)?;
                    self.path.pop();
                }
                Selection::InlineFragment(inline) if !self.is_left_out(&inline.node.directives) => {
                    let condition = inline.node.type_condition.as_ref();
                    let condition = condition.map(|condition| within(condition.node.on.node.as_str(), on));
                    self.set(&inline.node.selection_set.node, condition.as_deref().unwrap_or(on))?;
                }
                Selection::FragmentSpread(spread) if !self.is_left_out(&spread.node.directives) => {
                    let fragments = self.fragments;
                    if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                        let condition = fragment.node.type_condition.node.on.node.as_str();
                        self.set(&fragment.node.selection_set.node, &within(condition, on))?;
                    }
                }
                Selection::Field(_) | Selection::InlineFragment(_) | Selection::FragmentSpread(_) => {}
            }
        }
        Ok(())
    }

    fn field(&mut self, on: &str, name: &str) -> Result<(), Refused> {
        if on == "Mutation" && name == SIGN_IN {
            self.sign_ins += 1;
            if self.sign_ins > 1 {
                let message = format!("`{SIGN_IN}` may stand only once in an operation.");
                return Err(ApiError::new(Code::BadRequest, message).to_server_error().into());
            }
        }
        match (rules::need(on, name), self.role) {
            (None | Some(Need::Nothing), _) => Ok(()),
            (Some(Need::Role(_)), None) if self.is_schema_open && rules::is_introspection(name) => Ok(()),
            (Some(Need::Role(_)), None) => {
                let error = self.access.unauthenticated().to_server_error();
                Err(Refused { field: Some(name.to_owned()), ..error.into() })
            }
            (Some(Need::Role(least)), Some(role)) if role >= least => Ok(()),
            // Validation says that there is no such field.
            (Some(Need::Role(_)), Some(_))
                if shape_of(on, name).is_none() && !rules::is_introspection(name) =>
            {
                Ok(())
            }
            (Some(Need::Role(least)), Some(role)) => Err(self.forbidden(name, least, role)),
        }
    }

    /// The error has a path, as that of the field itself would have.
    fn forbidden(&self, name: &str, least: Role, role: Role) -> Refused {
        let (needs, has) = (with_article(least), with_article(role));
        let message = format!("`{name}` requires {needs} key, but yours is {has} key.");
        let mut error = ApiError::new(Code::Forbidden, message).to_server_error();
        error.path = self.path.iter().map(|key| PathSegment::Field((*key).to_owned())).collect();
        Refused { field: Some(name.to_owned()), ..error.into() }
    }

    /// Adds the object that the refused field names.
    fn naming(&self, refused: Refused, on: &str, field: &Field) -> Refused {
        let Some(name) = &refused.field else { return refused };
        let arguments = field.arguments.iter().map(|(name, value)| {
            let Ok(value) = value.node.clone().into_const_with(cost::value_in(self.variables));
            (name.node.as_str(), value)
        });
        let arguments: Vec<(&str, Value)> = arguments.collect();
        let object = object_of(name, arguments.iter().map(|(name, value)| (*name, value)));
        let is_root = ROOTS.contains(&on) || rules::is_introspection(name);
        let field = Some(if is_root { name.clone() } else { format!("{on}.{name}") });
        Refused { field, object, ..refused }
    }

    /// Whether a directive leaves the field out, by the same rule as the executor's. An anonymous
    /// caller may not even name a field, because whether a name is wrong would tell that it exists.
    fn is_left_out(&self, directives: &[Positioned<Directive>]) -> bool {
        self.role.is_some()
            && self.kind != OperationType::Mutation
            && directives.iter().any(|directive| {
                let unless = match directive.node.name.node.as_str() {
                    "skip" => false,
                    "include" => true,
                    _ => return false,
                };
                let Some(condition) = directive.node.get_argument("if") else { return false };
                condition.node.clone().into_const_with(cost::value_in(self.variables))
                    == Ok(Value::Boolean(!unless))
            })
    }
}

/// A role as in "an ADMIN".
const fn with_article(role: Role) -> &'static str {
    match role {
        Role::Viewer => "a VIEWER",
        Role::Operator => "an OPERATOR",
        Role::Admin => "an ADMIN",
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;
    use crate::{
        auth::{Caller, Credential, KeyHash, Proof},
        operation::variables,
    };

    fn checked(text: &str, role: Option<Role>) -> Option<Code> {
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let mut variables = Variables::from_json(json!({ "yes": true, "no": false }));
        variables::add_defaults(&mut variables, &operation.node);
        let caller =
            |role| Caller { name: "t".into(), role, credential: Credential::ConfiguredKey, expires_at: None };
        let proof = Proof::Key(KeyHash::of("t"));
        let access = role.map_or(Access::Anonymous, |role| Access::SignedIn(caller(role).into(), proof));
        let Refused { error, field, .. } =
            check(&operation.node, &document.fragments, &variables, &access, false).err()?;
        assert_eq!(field.is_none(), Code::of(&error) == Some(Code::BadRequest), "{text}");
        assert_eq!(error.path.is_empty(), Code::of(&error) != Some(Code::Forbidden), "{text}: {error:?}");
        Code::of(&error)
    }

    #[test]
    fn no_way_of_writing_a_field_escapes_its_rule() {
        for text in [
            "{ apiKeys { nodes { id } } }",
            "{ jobs { nodes { id } } keys: apiKeys { totalCount } }",
            "{ ...F } fragment F on Query { ... { ... on Query { apiKeys { totalCount } } } }",
            "{ node(id: \"key_x\") { id ... on ApiKey { name } } }",
            "{ nodes(ids: []) { ...K } } fragment K on ApiKey { lastUsedAt }",
            "{ apiKeys @include(if: true) { totalCount } }",
            "{ apiKeys @skip(if: false) { totalCount } }",
            "query($no: Boolean!) { apiKeys @skip(if: $no) { totalCount } }",
            "query($a: Boolean = true) { apiKeys @include(if: $a) { totalCount } }",
            "query($a: Boolean = true, $no: Boolean = true) { ... @skip(if: $no) { apiKeys { totalCount } } }",
            "{ apiKeys @skip(if: \"true\") { totalCount } }",
            "{ apiKeys @skip { totalCount } }",
            "{ apiKeys @other(if: true) { totalCount } }",
            "{ ... on Job { apiKeys { totalCount } } }",
            "{ ...F } fragment F on Job { ... on Service { apiKeys { totalCount } } }",
            "mutation { ... on Query { apiKeyRevoke(input: { id: \"x\" }) { apiKey { id } } } }",
            "mutation { jobCancel(input: { id: \"x\" }) { job { id } } commandDelete(input: { id: \"x\" }) { deletedId } }",
            "mutation { apiKeyCreate(input: { name: \"x\", role: ADMIN }) { key } }",
            "mutation { apiKeyCreate(input: { name: \"x\", role: ADMIN }) @skip(if: true) { key } }",
            "query($n: Boolean) { apiKeys @skip(if: $n) { totalCount } }",
            "query { apiKeys @skip(if: $undefined) { totalCount } }",
            "{ apiKey: apiKeys { totalCount } apiKeyz }",
        ] {
            assert_eq!(checked(text, Some(Role::Viewer)), Some(Code::Forbidden), "{text}");
            assert_eq!(checked(text, Some(Role::Operator)), Some(Code::Forbidden), "{text}");
            assert_eq!(checked(text, Some(Role::Admin)), None, "{text}");
            assert_eq!(checked(text, None), Some(Code::Unauthenticated), "{text}");
        }
    }

    #[test]
    fn no_subscription_is_open_to_strangers() {
        for text in [
            "subscription { jobsChanged { cursor } }",
            "subscription { ... on Job { jobsChanged { cursor } } }",
            "subscription { ... on Query { ... on Job { jobsChanged { cursor } } } }",
            "subscription { ...F } fragment F on Job { jobsChanged { cursor } }",
            "subscription { ...F } fragment F on Subscription { ... on Job { jobsChanged { cursor } } }",
            "subscription { ... @skip(if: true) { jobsChanged { cursor } } }",
        ] {
            assert_eq!(checked(text, None), Some(Code::Unauthenticated), "{text}");
        }
    }

    #[test]
    fn a_field_that_is_left_out_is_not_used() {
        for text in [
            "{ jobs { nodes { id } } apiKeys @skip(if: true) { totalCount } }",
            "{ apiKeys @include(if: false) { totalCount } }",
            "query($no: Boolean!) { apiKeys @include(if: $no) { totalCount } }",
            "query($a: Boolean = false) { ...F @include(if: $a) } fragment F on Query { apiKeys { totalCount } }",
            "query($yes: Boolean!) { ... @skip(if: $yes) { apiKeys { totalCount } } }",
            "{ apiKeys @include(if: true) @skip(if: true) { totalCount } }",
        ] {
            assert_eq!(checked(text, Some(Role::Viewer)), None, "{text}");
            assert_eq!(checked(text, None), Some(Code::Unauthenticated), "{text}");
        }
    }

    #[test]
    fn only_one_key_is_tried_at_a_time() {
        let one = "mutation { sessionCreate(input: { key: \"a\" }) { viewer { name } } }";
        assert_eq!(checked(one, None), None);
        for two in [
            "mutation { a: sessionCreate(input: { key: \"a\" }) { viewer { name } } b: sessionCreate(input: { key: \"b\" }) { viewer { name } } }",
            "mutation { ...F ...F } fragment F on Mutation { sessionCreate(input: { key: \"a\" }) { viewer { name } } }",
        ] {
            assert_eq!(checked(two, None), Some(Code::BadRequest), "{two}");
            assert_eq!(checked(two, Some(Role::Admin)), Some(Code::BadRequest), "{two}");
        }
    }
}
