//! What composing costs. Not a test of speed, which machines differ in: run it with `--ignored --nocapture` to see.

use std::time::Instant;

use callboard::{
    command::CommandSpec,
    compose::{CompiledSpec, Ingredients, Nonce, compose},
};

use crate::fixture::{Kitchen, with_argument, with_variable};

/// The fastest of many batches, which is what it costs when nothing else runs.
fn measure(name: &str, spec: CommandSpec, ingredients: &Ingredients<'_>) {
    const BATCHES: u32 = 300;
    const ROUNDS: u32 = 100;
    let compiled = CompiledSpec::compile(spec).unwrap();
    let batch = || {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            drop(std::hint::black_box(compose(&compiled, ingredients, Nonce::draw()).unwrap()));
        }
        start.elapsed() / ROUNDS
    };
    let fastest = (0..BATCHES).map(|_| batch()).min();
    println!("{name}: {fastest:?} each");
}

#[test]
#[ignore = "prints times"]
fn composing_is_cheap() {
    let kitchen = Kitchen::new();
    let services = kitchen.services();
    let (full, bare) = (kitchen.full(&services), kitchen.bare());
    let bare = Ingredients { secret_inputs: &std::collections::BTreeSet::new(), ..bare };
    measure("no template, bare job", with_argument("x"), &bare);
    measure("one template, bare job", with_argument("{{ input.name }}"), &bare);
    measure("one template, full job", with_argument("{{ input.name }}"), &full);
    measure("secret in a variable, full job", with_variable("Bearer {{ service_token }}"), &full);
}

#[test]
#[ignore = "prints times"]
fn redacting_is_cheap() {
    let secrets: Vec<secrecy::SecretString> = (0..20).map(|n| format!("tok_{n:040x}").into()).collect();
    let start = Instant::now();
    let redactor = callboard::secret::Redactor::new(&secrets);
    println!("20 secrets known: {:?}", start.elapsed());
    let text = "2026-11-22T19:00:00Z INFO fetched page 17 of https://x.test/items?page=17 in 123 ms\n"
        .repeat(12_000);
    let mut lines = callboard::secret::RedactingLines::new(redactor);
    let start = Instant::now();
    let count: usize = text.as_bytes().chunks(64 * 1024).map(|chunk| lines.feed(chunk).len()).sum();
    println!("{count} lines, {} bytes: {:?}", text.len(), start.elapsed());
}
