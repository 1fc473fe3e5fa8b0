//! Computes what an operation costs, to say in a refusal how much that is and what costs most.
//!
//! async-graphql refuses by the same rule ([`page_cost`]) but says only that the query is too
//! complex. A test compares the two. Only here the jobs of `jobsEnqueue` are counted, because
//! async-graphql would read them twice.

use std::{collections::HashMap, convert::Infallible, fmt, sync::LazyLock};

use async_graphql::{
    Name, Positioned, ScalarType as _, Value, Variables,
    parser::{
        parse_schema,
        types::{
            Field, FieldDefinition, FragmentDefinition, OperationDefinition, OperationType, Selection,
            SelectionSet, TypeKind, TypeSystemDefinition,
        },
    },
};

use super::{
    log,
    page::PAGE_DEFAULT,
    query_limits::{COMPLEXITY_MAX, COMPOSED_COST, PREVIEW_COST, READ_COST, SAVE_COST, page_cost},
    queue, roots,
    scalars::Duration,
    schedule,
};

/// What the schema says of a field.
#[derive(Debug)]
struct Shape {
    /// The name of its type, without list and non-null.
    of: String,
    /// Whether it returns a page, by its argument `first`.
    is_page: bool,
}

/// The fields of every object and interface, by type.
static SHAPES: LazyLock<HashMap<String, HashMap<String, Shape>>> = LazyLock::new(|| {
    let document = parse_schema(roots::schema().finish().sdl()).map(|document| document.definitions);
    let mut shapes = HashMap::new();
    for definition in document.unwrap_or_default() {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let fields = match of.node.kind {
            TypeKind::Object(object) => object.fields,
            TypeKind::Interface(interface) => interface.fields,
            TypeKind::Scalar | TypeKind::Union(_) | TypeKind::Enum(_) | TypeKind::InputObject(_) => continue,
        };
        let shape = |field: Positioned<FieldDefinition>| {
            let is_page = field.node.arguments.iter().any(|argument| argument.node.name.node == "first");
            let written = field.node.ty.node.to_string();
            let of = written.replace(['[', ']', '!'], "");
            (field.node.name.node.to_string(), Shape { of, is_page })
        };
        shapes.insert(of.node.name.node.to_string(), fields.into_iter().map(shape).collect());
    }
    shapes
});

/// The name of the type that a field returns, without list and non-null. `None` if the schema has
/// no such field.
pub fn type_of(on: &str, field: &str) -> Option<&'static str> {
    SHAPES.get(on)?.get(field).map(|shape| shape.of.as_str())
}

/// The cost of an operation that is above the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooCostly {
    /// The cost of the whole operation.
    pub cost: usize,
    /// The field or page that costs most, as a path of response keys, and its part of the cost.
    pub most: Option<(String, usize)>,
}

impl fmt::Display for TooCostly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The operation costs {}, and at most {COMPLEXITY_MAX} is allowed.", self.cost)?;
        if let Some((path, cost)) = &self.most {
            write!(f, " `{path}` costs most, {cost} of it.")?;
        }
        f.write_str(
            " A field costs 1, what composes more, and a page the cost of one item for each item asked for. Ask for smaller \
             pages (`first`), fewer fields, or several operations.",
        )
    }
}

/// The cost of a field that is no page, beside that of the fields below it.
fn own_cost(on: &str, name: &str) -> usize {
    match (on, name) {
        ("Query", "commandPreview") => PREVIEW_COST,
        (
            "Mutation",
            "commandCreate" | "commandUpdate" | "scheduleCreate" | "scheduleUpdate" | "proxyCheck",
        ) => SAVE_COST,
        ("Job" | "Attempt", "composed") | ("Mutation", "jobEnqueue" | "jobsEnqueue") => COMPOSED_COST,
        ("Job", "input" | "result") | ("Query", "queues" | "workers") | (_, "totalCount") => READ_COST,
        _ => 1,
    }
}

/// Looks up the values of variables. One that has none is null, as for the executor.
pub fn value_in(variables: &Variables) -> impl Fn(Name) -> Result<Value, Infallible> {
    |name| Ok(variables.get(&name).cloned().unwrap_or_default())
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// The part of the variables that a cost depends on: numbers, and how long lists are.
pub fn counted(variables: &Variables) -> Variables {
    let length = |items: &Vec<Value>| Value::List(vec![Value::Null; items.len()]);
    let counted = |value: &Value| match value {
        Value::Number(number) => Some(Value::Number(number.clone())),
        Value::List(items) => Some(length(items)),
        Value::Null => Some(Value::Null),
        // The input of `jobsEnqueue`.
        Value::Object(fields) => match fields.get("jobs") {
            Some(Value::List(jobs)) => {
                Some(Value::Object([(Name::new("jobs"), length(jobs))].into_iter().collect()))
            }
            Some(_) | None => None,
        },
        Value::String(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => None,
    };
    let each = variables.iter().filter_map(|(name, value)| Some((name.clone(), counted(value)?)));
    Variables::from_value(Value::Object(each.collect()))
}

/// Fails if an operation costs more than the limit. The document's size must have been checked.
pub fn check(
    operation: &OperationDefinition,
    fragments: &Fragments,
    variables: &Variables,
) -> Result<(), TooCostly> {
    let root = match operation.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    let mut walk = Walk { fragments, variables, path: Vec::new(), parts: None };
    let cost = walk.set(&operation.selection_set.node, root, 1);
    if cost <= COMPLEXITY_MAX {
        return Ok(());
    }
    walk.parts = Some(Vec::new());
    walk.set(&operation.selection_set.node, root, 1);
    let parts = walk.parts.unwrap_or_default();
    // The innermost of the pages that cause most of the cost says best what to make smaller.
    let pages = parts.iter().filter(|part| part.is_page && part.cost > cost / 2);
    let most = pages
        .max_by_key(|part| part.path.split('.').count())
        .or_else(|| parts.iter().max_by_key(|part| part.cost));
    Err(TooCostly { cost, most: most.map(|part| (part.path.clone(), part.cost)) })
}

/// The part of the whole cost that a field causes with everything below it.
struct Part {
    path: String,
    cost: usize,
    is_page: bool,
}

struct Walk<'a> {
    fragments: &'a Fragments,
    variables: &'a Variables,
    path: Vec<&'a str>,
    /// What each field costs, if it is wanted.
    parts: Option<Vec<Part>>,
}

impl<'a> Walk<'a> {
    /// The cost of a selection on this type, which is counted `times` times in the whole.
    fn set(&mut self, set: &'a SelectionSet, on: &str, times: usize) -> usize {
        let mut cost = 0_usize;
        for selection in &set.items {
            cost = cost.saturating_add(match &selection.node {
                Selection::Field(field) => self.field(&field.node, on, times),
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let on = condition.map_or(on, |condition| condition.node.on.node.as_str());
                    self.set(&inline.node.selection_set.node, on, times)
                }
                Selection::FragmentSpread(spread) => {
                    let fragments = self.fragments;
                    fragments.get(&spread.node.fragment_name.node).map_or(0, |fragment| {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.set(&fragment.node.selection_set.node, on, times)
                    })
                }
            });
        }
        cost
    }

    fn field(&mut self, field: &'a Field, on: &str, times: usize) -> usize {
        let name = field.name.node.as_str();
        if name == "__typename" {
            return 0;
        }
        let shape = SHAPES.get(on).and_then(|fields| fields.get(name));
        let of = shape.map_or("", |shape| shape.of.as_str());
        let is_page = shape.is_some_and(|shape| shape.is_page);
        let (first, last) = (self.number(field, "first"), self.number(field, "last"));
        let ids = (on == "Query" && name == "nodes").then(|| self.count(field, "ids"));
        let items = match ids {
            Some(ids) => ids,
            None if is_page => first.or(last).unwrap_or(i32::from(PAGE_DEFAULT)).max(1) as usize,
            None => 1,
        };
        self.path.push(field.response_key().node.as_str());
        let of_one = self.set(&field.selection_set.node, of, times.saturating_mul(items));
        let cost = match ids {
            Some(ids) => ids.saturating_mul(of_one).saturating_add(1),
            None if is_page && on == "Job" && name == "log" => log::cost(first, last, of_one),
            None if is_page => page_cost(first, last, of_one),
            None if on == "Queue" && name == "history" => {
                let (window, step) = (self.duration(field, "window"), self.duration(field, "step"));
                queue::cost(window.as_ref(), step.as_ref(), of_one)
            }
            None if on == "Schedule" && name == "upcoming" => {
                schedule::upcoming_cost(self.number(field, "count"))
            }
            None if on == "Mutation" && name == "jobsEnqueue" => {
                of_one.saturating_add(own_cost(on, name)).saturating_add(self.jobs(field))
            }
            None => of_one.saturating_add(own_cost(on, name)),
        };
        if let Some(parts) = &mut self.parts {
            let is_page = is_page || ids.is_some() || matches!(name, "history" | "upcoming");
            parts.push(Part { path: self.path.join("."), cost: cost.saturating_mul(times), is_page });
        }
        self.path.pop();
        cost
    }

    /// The value of an argument, with the operation's variables and their defaults. `None` if it is
    /// absent.
    fn argument(&self, field: &Field, name: &str) -> Option<Value> {
        let value = field.get_argument(name)?.node.clone();
        let Ok(value) = value.into_const_with(value_in(self.variables));
        Some(value)
    }

    fn number(&self, field: &Field, name: &str) -> Option<i32> {
        let Value::Number(number) = self.argument(field, name)? else { return None };
        Some(number.as_i64().and_then(|number| number.try_into().ok()).unwrap_or(i32::MAX))
    }

    /// How many jobs the input has.
    fn jobs(&self, field: &Field) -> usize {
        match self.argument(field, "input") {
            Some(Value::Object(input)) => match input.get("jobs") {
                Some(Value::List(jobs)) => jobs.len(),
                Some(_) | None => 0,
            },
            Some(_) | None => 0,
        }
    }

    /// `None` if it is absent, or refused when the operation is validated.
    fn duration(&self, field: &Field, name: &str) -> Option<Duration> {
        Duration::parse(self.argument(field, name)?).ok()
    }

    fn count(&self, field: &Field, name: &str) -> usize {
        if let Some(Value::List(items)) = self.argument(field, name) { items.len() } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{Request, extensions::Analyzer, parser::parse_query};
    use serde_json::json;

    use super::*;

    const COUNTED: [&str; 17] = [
        "{ jobs(first: 100) { nodes { id state } } }",
        "{ jobs { nodes { id attempts(last: 3) { nodes { id } } } pageInfo { hasNextPage } } }",
        "{ jobs(first: 10) { edges { node { log(first: 1000) { nodes { text } } dependsOn { nodes { id } } } } } }",
        "{ nodes(ids: [\"a\", \"b\", \"c\"]) { id ... on Profile { services { id } proxies { id name } } } }",
        "query($n: Int = 7, $m: Int) { services(first: $n) { nodes { profiles(first: $m) { nodes { id } } } } }",
        "{ a: queues { name } ...F } fragment F on Query { commands(last: 0) { nodes { ...G } } } fragment G on Command { id name }",
        "mutation { jobsCancel(input: { filter: { ids: [] } }) { affectedCount userErrors { message } } }",
        "{ __schema { types { name fields { name } } } __typename }",
        "{ queues { history { at } all: history(window: \"P1D\", step: \"PT1M\") { at started } bad: history(step: \"PT7S\") { at } } }",
        "query($w: Duration = \"PT5H\") { queues { history(window: $w) { at enqueued failed } } }",
        "{ a: commandPreview(input: {}) { composed { display } } commandPreview(input: {}) { userErrors { code } } }",
        "mutation { a: proxyCheck(input: { id: \"x\" }) { userErrors { code } } commandDelete(input: { id: \"x\" }) { userErrors { code } } }",
        "{ jobs(first: 9) { nodes { id composed { display arguments } } } }",
        "mutation { a: jobEnqueue(input: { commandId: \"x\" }) { job { id } userErrors { code } } }",
        "{ nodes(ids: [\"a\", \"b\"]) { ... on Attempt { composed { display } } } }",
        "{ schedules(first: 3) { nodes { upcoming many: upcoming(count: 100) none: upcoming(count: -1) } } }",
        "{ workers { queues } jobs(first: 4) { totalCount nodes { input result log(first: 20) { totalCount } } } }",
    ];

    #[tokio::test]
    async fn the_cost_is_the_one_that_the_framework_refuses_by() {
        let schema = roots::schema().extension(Analyzer).finish();
        for text in COUNTED {
            let document = parse_query(text).unwrap();
            let (_, operation) = document.operations.iter().next().unwrap();
            let variables = Variables::from_json(json!({ "m": 3, "n": 7, "w": "PT5H" }));
            let root = if text.starts_with("mutation") { "Mutation" } else { "Query" };
            let mut walk =
                Walk { fragments: &document.fragments, variables: &variables, path: Vec::new(), parts: None };
            let cost = walk.set(&operation.node.selection_set.node, root, 1);
            let response = schema.execute(Request::new(text).variables(variables.clone())).await;
            let analyzed = response.extensions["analyzer"].clone().into_json().unwrap();
            assert_eq!(analyzed["complexity"], cost, "{text}");
        }
    }

    #[test]
    fn each_job_of_a_batch_costs() {
        let jobs = |count: usize| json!({ "jobs": vec![json!({ "commandId": "x" }); count] });
        let cost = |text: &str, variables: serde_json::Value| {
            let document = parse_query(text).unwrap();
            let (_, operation) = document.operations.iter().next().unwrap();
            let variables = counted(&Variables::from_json(variables));
            check(&operation.node, &document.fragments, &variables).map_err(|refused| refused.cost)
        };
        let batch = "a: jobsEnqueue(input: $input) { jobs { id } userErrors { code } }";
        let of = |fields: &str| format!("mutation($input: JobsEnqueueInput!) {{ {fields} }}");
        assert_eq!(cost(&of(batch), json!({ "input": jobs(1000) })), Ok(()));
        let five: Vec<String> = (0..5).map(|n| batch.replacen('a', &format!("a{n}"), 1)).collect();
        assert_eq!(cost(&of(&five.join(" ")), json!({ "input": jobs(1000) })), Err(5 * (1000 + 10 + 4)));
        let inner =
            "mutation($jobs: [JobEnqueueInput!]!) { a: jobsEnqueue(input: { jobs: $jobs }) { jobs { id } } }";
        assert_eq!(cost(inner, json!({ "jobs": vec![1; 6000] })), Err(6000 + 10 + 2));
        let literal = format!(
            "mutation {{ jobsEnqueue(input: {{ jobs: [{}] }}) {{ jobs {{ id }} }} }}",
            "{}, ".repeat(4999)
        );
        assert_eq!(cost(&literal, json!({})), Err(4999 + 10 + 2));
    }

    #[test]
    fn the_message_names_the_cost_the_limit_and_what_costs_most() {
        let refusal = |text: &str| {
            let document = parse_query(text).unwrap();
            let (_, operation) = document.operations.iter().next().unwrap();
            check(&operation.node, &document.fragments, &Variables::default()).unwrap_err()
        };
        let nested = refusal(
            "{ queues { name } all: jobs(first: 100) { nodes { id tries: attempts(first: 50) { nodes { id number } } } } }",
        );
        assert_eq!(nested.cost, READ_COST + 1 + 100 * (1 + 1 + 1 + 50 * 3) + 1);
        assert_eq!(nested.most, Some(("all.nodes.tries".into(), 100 * (50 * 3 + 1))));
        let message = nested.to_string();
        for part in ["15312", "5000", "`all.nodes.tries` costs most, 15100"] {
            assert!(message.contains(part), "{message}");
        }
        let fields: Vec<String> = (0..3000).map(|number| format!("a{number}: queues {{ name }}")).collect();
        assert_eq!(refusal(&format!("{{ {} }}", fields.join(" "))).cost, 3000 * (READ_COST + 1));
    }
}
