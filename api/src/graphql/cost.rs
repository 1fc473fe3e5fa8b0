//! Computes what an operation costs, and refuses one that costs more than the limit.
//!
//! The schema says which fields return pages. What else costs more than 1 is in [`OWN_COSTS`] and
//! in `Walk::field`.

use std::{collections::HashMap, convert::Infallible, fmt};

use async_graphql::{
    Name, Positioned, ScalarType as _, Value, Variables,
    parser::types::{Field, FragmentDefinition, OperationDefinition, OperationType, Selection, SelectionSet},
};

use super::{
    log,
    page::PAGE_DEFAULT,
    query_limits::{
        BULK_COST, COMPLEXITY_MAX, COMPOSED_COST, CRON_COST, PREVIEW_COST, READ_COST, SAVE_COST, page_cost,
    },
    queue,
    scalars::Duration,
    schedule,
    shapes::shape_of,
};

/// The name of the type that an operation's fields belong to.
pub const fn root(operation: &OperationDefinition) -> &'static str {
    match operation.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    }
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

/// No duration is written with more bytes.
const DURATION_BYTES_MAX: usize = 64;

/// What fields cost that are no pages, beside the fields below them. Every other field costs 1, and
/// `totalCount` of every page [`READ_COST`].
const OWN_COSTS: [(&str, &str, usize); 19] = [
    ("Query", "commandPreview", PREVIEW_COST),
    ("Query", "cronPreview", CRON_COST),
    ("Mutation", "commandCreate", SAVE_COST),
    ("Mutation", "commandUpdate", SAVE_COST),
    ("Mutation", "scheduleCreate", SAVE_COST),
    ("Mutation", "scheduleUpdate", SAVE_COST),
    ("Mutation", "proxyCheck", SAVE_COST),
    ("Mutation", "jobsCancel", BULK_COST),
    ("Mutation", "jobsRetry", BULK_COST),
    ("Mutation", "jobEnqueue", COMPOSED_COST),
    ("Mutation", "jobsEnqueue", COMPOSED_COST),
    ("Mutation", "jobEnqueueAgain", COMPOSED_COST),
    ("Mutation", "scheduleRunNow", COMPOSED_COST),
    ("Job", "composed", COMPOSED_COST),
    ("Attempt", "composed", COMPOSED_COST),
    ("Job", "input", READ_COST),
    ("Job", "result", READ_COST),
    ("Query", "queues", READ_COST),
    ("Query", "workers", READ_COST),
];

fn own_cost(on: &str, name: &str) -> usize {
    let listed = OWN_COSTS.iter().find(|(of, field, _)| *of == on && *field == name);
    match listed {
        Some((.., cost)) => *cost,
        None if name == "totalCount" => READ_COST,
        None => 1,
    }
}

/// Looks up the values of variables. One that has none is null, as for the executor.
pub fn value_in(variables: &Variables) -> impl Fn(Name) -> Result<Value, Infallible> {
    |name| Ok(variables.get(&name).cloned().unwrap_or_default())
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Returns what an operation costs, and fails if that is more than the limit. The document's size
/// must have been checked, and `variables` must have the defaults.
pub fn check(
    operation: &OperationDefinition,
    fragments: &Fragments,
    variables: &Variables,
) -> Result<usize, TooCostly> {
    let root = root(operation);
    let mut walk = Walk { fragments, counted: counted(variables), path: Vec::new(), parts: None };
    let cost = walk.set(&operation.selection_set.node, root, 1);
    if cost <= COMPLEXITY_MAX {
        return Ok(cost);
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
    counted: Variables,
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
        let shape = shape_of(on, name);
        let of = shape.map_or("", |shape| shape.of.as_str());
        let is_page = shape.is_some_and(|shape| shape.is_page);
        let (first, last) = (self.number(field, "first"), self.number(field, "last"));
        let ids = (on == "Query" && name == "nodes")
            .then(|| self.argument(field, "ids").as_ref().map_or(0, length));
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

    /// The value of an argument, with what is [`counted`] of the variables. `None` if it is absent.
    fn argument(&self, field: &Field, name: &str) -> Option<Value> {
        let value = field.get_argument(name)?.node.clone();
        let Ok(value) = value.into_const_with(value_in(&self.counted));
        Some(value)
    }

    fn number(&self, field: &Field, name: &str) -> Option<i32> {
        let Value::Number(number) = self.argument(field, name)? else { return None };
        Some(number.as_i64().and_then(|number| number.try_into().ok()).unwrap_or(i32::MAX))
    }

    /// How many jobs the input has.
    fn jobs(&self, field: &Field) -> usize {
        let Some(Value::Object(input)) = self.argument(field, "input") else { return 0 };
        input.get("jobs").map_or(0, length)
    }

    /// `None` if it is absent, or refused when the operation is validated.
    fn duration(&self, field: &Field, name: &str) -> Option<Duration> {
        Duration::parse(self.argument(field, name)?).ok()
    }
}

/// The number of items of a list, or of a list of which only that was [`counted`].
fn length(value: &Value) -> usize {
    match value {
        Value::List(items) => items.len(),
        Value::Number(length) => length.as_u64().and_then(|length| length.try_into().ok()).unwrap_or(1),
        Value::Null => 0,
        // It stands for a list of one.
        Value::Object(_) | Value::String(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => 1,
    }
}

/// What a cost depends on: numbers, durations, and in place of a list how long it is. A variable
/// may be large and be used many times.
fn counted(variables: &Variables) -> Variables {
    let counted = |value: &Value| match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) if text.len() <= DURATION_BYTES_MAX => Some(value.clone()),
        Value::List(_) => Some(length(value).into()),
        // The input of `jobsEnqueue`.
        Value::Object(fields) => {
            let jobs = (Name::new("jobs"), length(fields.get("jobs")?).into());
            Some(Value::Object([jobs].into_iter().collect()))
        }
        Value::Null | Value::String(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => None,
    };
    let each = variables.iter().filter_map(|(name, value)| Some((name.clone(), counted(value)?)));
    Variables::from_value(Value::Object(each.collect()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    /// The cost of an operation, however high.
    fn cost(text: &str, variables: serde_json::Value) -> usize {
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let mut variables = Variables::from_json(variables);
        for definition in &operation.node.variable_definitions {
            let (name, default) = (&definition.node.name.node, &definition.node.default_value);
            if let (None, Some(default)) = (variables.get(name), default) {
                variables.insert(name.clone(), default.node.clone());
            }
        }
        let counted = counted(&variables);
        let mut walk = Walk { fragments: &document.fragments, counted, path: Vec::new(), parts: None };
        walk.set(&operation.node.selection_set.node, root(&operation.node), 1)
    }

    #[test]
    fn what_an_operation_costs() {
        for (text, expected) in [
            ("{ jobs(first: 100) { nodes { id state } } }", 301),
            ("{ jobs { nodes { id attempts(last: 3) { nodes { id } } } pageInfo { hasNextPage } } }", 276),
            (
                "{ jobs(first: 10) { edges { node { log(first: 1000) { nodes { text } } dependsOn { nodes { id } } } } } }",
                2541,
            ),
            (
                "{ nodes(ids: [\"a\", \"b\", \"c\"]) { id ... on Profile { services { id } proxies { id name } } } }",
                19,
            ),
            (
                "query($n: Int = 7, $m: Int) { services(first: $n) { nodes { profiles(first: $m) { nodes { id } } } } }",
                57,
            ),
            (
                "{ a: queues { name } ...F } fragment F on Query { commands(last: 0) { nodes { ...G } } } fragment G on Command { id name }",
                15,
            ),
            (
                "mutation { jobsCancel(input: { filter: { ids: [] } }) { affectedCount userErrors { message } } }",
                253,
            ),
            ("{ __schema { types { name fields { name } } } __typename }", 5),
            (
                "{ queues { history { at } all: history(window: \"P1D\", step: \"PT1M\") { at started } bad: history(step: \"PT7S\") { at } } }",
                160,
            ),
            ("query($w: Duration = \"PT5H\") { queues { history(window: $w) { at enqueued failed } } }", 56),
            (
                "{ a: commandPreview(input: {}) { composed { display } } commandPreview(input: {}) { userErrors { code } } }",
                1004,
            ),
            (
                "mutation { a: proxyCheck(input: { id: \"x\" }) { userErrors { code } } commandDelete(input: { id: \"x\" }) { userErrors { code } } }",
                255,
            ),
            ("{ jobs(first: 9) { nodes { id composed { display arguments } } } }", 127),
            (
                "mutation { a: jobEnqueue(input: { commandId: \"x\" }) { job { id } userErrors { code } } }",
                14,
            ),
            ("{ nodes(ids: [\"a\", \"b\"]) { ... on Attempt { composed { display } } } }", 23),
            (
                "{ schedules(first: 3) { nodes { upcoming many: upcoming(count: 100) none: upcoming(count: -1) } } }",
                43,
            ),
            ("{ cronPreview(cron: \"@daily\", count: 100) { upcoming } }", 51),
            (
                "{ workers { queues } jobs(first: 4) { totalCount nodes { input result log(first: 20) { totalCount } } } }",
                220,
            ),
        ] {
            assert_eq!(cost(text, json!({ "m": 3, "n": 7, "w": "PT5H" })), expected, "{text}");
        }
    }

    #[test]
    fn what_costs_of_its_own_is_in_the_schema() {
        for (on, field, _) in OWN_COSTS {
            assert!(shape_of(on, field).is_some(), "{on}.{field}");
        }
    }

    #[test]
    fn a_large_variable_is_not_copied_for_each_use() {
        let uses: Vec<String> = (0..2400).map(|n| format!("a{n}: nodes(ids: $ids) {{ id }}")).collect();
        let text = format!("query($ids: [ID!]!) {{ {} }}", uses.join(" "));
        let began = Instant::now();
        assert_eq!(cost(&text, json!({ "ids": vec![1; 500_000] })), 2400 * 500_001);
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn each_job_of_a_batch_costs() {
        let jobs = |count: usize| json!({ "jobs": vec![json!({ "commandId": "x" }); count] });
        let batch = "a: jobsEnqueue(input: $input) { jobs { id } userErrors { code } }";
        let of = |fields: &str| format!("mutation($input: JobsEnqueueInput!) {{ {fields} }}");
        assert_eq!(cost(&of(batch), json!({ "input": jobs(1000) })), 1000 + 10 + 4);
        let five: Vec<String> = (0..5).map(|n| batch.replacen('a', &format!("a{n}"), 1)).collect();
        assert_eq!(cost(&of(&five.join(" ")), json!({ "input": jobs(1000) })), 5 * (1000 + 10 + 4));
        let inner =
            "mutation($jobs: [JobEnqueueInput!]!) { a: jobsEnqueue(input: { jobs: $jobs }) { jobs { id } } }";
        assert_eq!(cost(inner, json!({ "jobs": vec![1; 6000] })), 6000 + 10 + 2);
        let default = "mutation($jobs: [JobEnqueueInput!]! = [{}, {}]) { jobsEnqueue(input: { jobs: $jobs }) { jobs { id } } }";
        assert_eq!(cost(default, json!({})), 2 + 10 + 2);
        let one = "mutation { jobsEnqueue(input: { jobs: { commandId: \"x\" } }) { jobs { id } } }";
        assert_eq!(cost(one, json!({})), 1 + 10 + 2);
        let literal = format!(
            "mutation {{ jobsEnqueue(input: {{ jobs: [{}] }}) {{ jobs {{ id }} }} }}",
            "{}, ".repeat(4999)
        );
        assert_eq!(cost(&literal, json!({})), 4999 + 10 + 2);
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
