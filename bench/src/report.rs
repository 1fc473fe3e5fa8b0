//! Makes the table for people and the file for machines from the lines of the measurements.
//!
//! A ratio is taken within each round, and the report has their median, because the machine itself
//! changes from minute to minute.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::measurement::Measurement;

/// All measurements by name, one per round.
type Rounds = BTreeMap<String, Vec<Measurement>>;

/// A workload measured in items per second.
struct Rate {
    label: &'static str,
    name: &'static str,
    /// The machine's own measurement beside it.
    machine: &'static str,
    machine_label: &'static str,
    /// Lowest ratio that the goals require. `None` if they require none.
    goal: Option<f64>,
}

/// A workload measured in milliseconds.
struct Time {
    label: &'static str,
    name: &'static str,
    /// Longest p50 and p99 beyond two commits, in milliseconds.
    goal: Option<(f64, f64)>,
}

const RATES: [Rate; 7] = [
    Rate {
        label: "W1 enqueue one by one",
        name: "w1",
        machine: "commits_50",
        machine_label: "commits/s, 50 clients",
        goal: Some(1.0),
    },
    Rate {
        label: "W2 enqueue 100 a request",
        name: "w2",
        machine: "copy",
        machine_label: "COPY rows/s",
        goal: Some(0.65),
    },
    Rate {
        label: "W3 drain, one worker",
        name: "w3_one",
        machine: "plain",
        machine_label: "same steps, one connection",
        goal: Some(0.6),
    },
    Rate {
        label: "W3 drain, two workers",
        name: "w3_two",
        machine: "plain",
        machine_label: "same steps, one connection",
        goal: Some(0.6),
    },
    Rate {
        label: "W8 drain, limits that never bind",
        name: "w8_limited",
        machine: "w8_served",
        machine_label: "jobs/s, same service, no limits",
        goal: Some(0.9),
    },
    Rate {
        label: "W8 drain, a service without limits",
        name: "w8_served",
        machine: "w8_bare",
        machine_label: "jobs/s without a service",
        goal: None,
    },
    Rate {
        label: "W6 programs (/bin/true)",
        name: "w6",
        machine: "spawn",
        machine_label: "posix_spawn/s",
        goal: Some(0.35),
    },
];

/// Steps with and without a load that should not matter: the label and the names of both
/// measurements.
const DEPTHS: [(&str, &str, &str); 3] = [
    ("dispatch 16 of a million jobs, or of 20,000", "w9_take_deep", "w9_take_shallow"),
    ("claim 16 of a million jobs, or of 20,000", "w9_claim_deep", "w9_claim_shallow"),
    ("claim 16 limited jobs, 100,000 or none parked at another gate", "w9_claim_beside", "w9_claim_alone"),
];
/// Highest ratio of the p99 with the load to the p99 without it.
const DEPTH_RATIO: f64 = 1.2;

/// Lists with a million jobs.
const LISTS: [(&str, &str); 3] = [
    ("counts of all queues", "w9_queues"),
    ("first page of all jobs", "w9_first_page"),
    ("first page of ready jobs", "w9_ready_page"),
];
/// Longest p99 of a list, in milliseconds.
const LIST_MILLIS: f64 = 50.0;

const TIMES: [Time; 5] = [
    Time { label: "one commit", name: "commit_1", goal: None },
    Time { label: "mutation response", name: "w4_answer", goal: None },
    Time { label: "W4 no-op: handler ran", name: "w4_noop", goal: Some((1.0, 6.0)) },
    Time { label: "W4 program: started", name: "w4_program", goal: None },
    Time { label: "W4 program: settled", name: "w4_program_settled", goal: None },
];

/// Prints the table of a file of measurements and writes the summary.
#[expect(clippy::print_stdout, reason = "a bench prints")]
pub(crate) fn report(lines: &Path, summary: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(lines).with_context(|| format!("cannot read {}", lines.display()))?;
    let rounds = read(&text)?;
    println!("{}", table(&rounds)?);
    fs::write(summary, serde_json::to_string_pretty(&summarise(&rounds))?)?;
    Ok(())
}

fn read(text: &str) -> anyhow::Result<Rounds> {
    let mut rounds = Rounds::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let measured: Measurement = serde_json::from_str(line).with_context(|| line.to_owned())?;
        rounds.entry(measured.name.clone()).or_default().push(measured);
    }
    Ok(rounds)
}

fn table(rounds: &Rounds) -> anyhow::Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "| workload | jobs/s | p50 ms | p99 ms | the machine | ratio (lowest to highest) | goal | |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---|---:|---:|---|")?;
    for row in &RATES {
        let Some(ratios) = ratios(rounds, row.name, row.machine, rate) else { continue };
        let ratio = median(&ratios);
        let (lowest, highest) = bounds(&ratios);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} {} | {ratio:.2} ({lowest:.2} to {highest:.2}) | {} | {} |",
            row.label,
            whole(value(rounds, row.name, rate)),
            short(value(rounds, row.name, p50)),
            short(value(rounds, row.name, p99)),
            whole(value(rounds, row.machine, rate)),
            row.machine_label,
            row.goal.map(|goal| format!(">= {goal:.2}")).unwrap_or_default(),
            row.goal.map(|goal| verdict(ratio >= goal)).unwrap_or_default()
        )?;
    }
    writeln!(out)?;
    writeln!(out, "| one at a time, idle | p50 ms | p99 ms | goal p50 | goal p99 | |")?;
    writeln!(out, "|---|---:|---:|---:|---:|---|")?;
    let commit = value(rounds, "commit_1", p50);
    for row in &TIMES {
        let p50 = value(rounds, row.name, p50);
        let p99 = value(rounds, row.name, p99);
        let goal = row.goal.zip(commit).map(|((p50, p99), commit)| (2.0 * commit + p50, 2.0 * commit + p99));
        let is_met = goal.zip(p50.zip(p99)).map(|(goal, is)| verdict(is.0 <= goal.0 && is.1 <= goal.1));
        let (goal_50, goal_99) = goal.unzip();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            row.label,
            short(p50),
            short(p99),
            short(goal_50),
            short(goal_99),
            is_met.unwrap_or_default()
        )?;
    }
    depth(&mut out, rounds)?;
    Ok(out)
}

/// Writes the cost of a deep backlog, if it was measured.
fn depth(out: &mut String, rounds: &Rounds) -> anyhow::Result<()> {
    let time = |name: &str, of: fn(&Measurement) -> Option<f64>| short(value(rounds, name, of));
    let p50_and_99 = |name: &str| format!("{} | {}", time(name, p50), time(name, p99));
    if !rounds.contains_key("w9_queues") {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(
        out,
        "| W9, alternating | p50 ms | p99 ms | p50 ms, other | p99 ms, other | ratio of p99 (lowest to highest) | goal | |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|---|")?;
    for (label, with, without) in DEPTHS {
        let Some(ratios) = ratios(rounds, with, without, p99) else { continue };
        let (ratio, (lowest, highest)) = (median(&ratios), bounds(&ratios));
        let (with, without, verdict) = (p50_and_99(with), p50_and_99(without), verdict(ratio <= DEPTH_RATIO));
        writeln!(
            out,
            "| {label} | {with} | {without} | {ratio:.2} ({lowest:.2} to {highest:.2}) | <= {DEPTH_RATIO} | {verdict} |"
        )?;
    }
    writeln!(out)?;
    writeln!(out, "| W9, with a million jobs | p50 ms | p99 ms | goal p99 | |")?;
    writeln!(out, "|---|---:|---:|---:|---|")?;
    for (label, name) in LISTS {
        let Some(is) = value(rounds, name, p99) else { continue };
        writeln!(
            out,
            "| {label} | {} | {LIST_MILLIS:.0} | {} |",
            p50_and_99(name),
            verdict(is <= LIST_MILLIS)
        )?;
    }
    Ok(())
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "falls short" }
}

fn rate(measured: &Measurement) -> Option<f64> {
    measured.rate
}

fn p50(measured: &Measurement) -> Option<f64> {
    measured.p50
}

fn p99(measured: &Measurement) -> Option<f64> {
    measured.p99
}

/// Returns the median over the rounds.
fn value(rounds: &Rounds, name: &str, of: impl Fn(&Measurement) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = rounds.get(name)?.iter().filter_map(of).collect();
    (!values.is_empty()).then(|| median(&values))
}

/// Returns the ratio of two measurements in each round.
fn ratios(
    rounds: &Rounds,
    name: &str,
    machine: &str,
    of: impl Fn(&Measurement) -> Option<f64>,
) -> Option<Vec<f64>> {
    let pairs = rounds.get(name)?.iter().zip(rounds.get(machine)?);
    let ratios: Vec<f64> = pairs.filter_map(|(ours, theirs)| Some(of(ours)? / of(theirs)?)).collect();
    (!ratios.is_empty()).then_some(ratios)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    } else {
        sorted[middle]
    }
}

fn bounds(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max))
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.0}"))
}

fn short(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.2}"))
}

fn summarise(rounds: &Rounds) -> Value {
    let medians: BTreeMap<&String, Value> = rounds
        .keys()
        .map(|name| {
            let of = |of: fn(&Measurement) -> Option<f64>| value(rounds, name, of);
            (
                name,
                json!({
                    "rate": of(rate),
                    "p50": of(p50),
                    "p99": of(p99),
                    "rounds": rounds[name],
                }),
            )
        })
        .collect();
    let ratios: BTreeMap<&str, Option<f64>> = RATES
        .iter()
        .map(|row| (row.name, ratios(rounds, row.name, row.machine, rate).map(|ratios| median(&ratios))))
        .collect();
    json!({ "at": callboard::clock::now(), "version": env!("CARGO_PKG_VERSION"), "ratios": ratios, "measurements": medians })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_own() {
        let line = |name: &str, rate: f64| format!("{{\"name\":\"{name}\",\"rate\":{rate}}}\n");
        let text: String = [(100.0, 100.0), (50.0, 100.0), (10.0, 100.0), (90.0, 90.0)]
            .into_iter()
            .map(|(ours, theirs)| line("w1", ours) + &line("commits_50", theirs))
            .collect();
        let rounds = read(&text).unwrap();
        assert_eq!(ratios(&rounds, "w1", "commits_50", rate).map(|all| median(&all)), Some(0.75));
        assert!(table(&rounds).unwrap().contains("0.75 (0.10 to 1.00) | >= 1.00 | falls short"));
    }
}
