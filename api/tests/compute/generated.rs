//! Templates by a grammar, through `commandPreview`, while `/healthz` is watched.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use callboard_test_support::eventually;

use crate::{
    grammar::{Dice, template},
    server::TestServer,
};

/// Callers at once.
const CALLERS: usize = 4;

struct Measured {
    answers: Vec<Duration>,
    healths: Vec<Duration>,
    memory: (u64, u64),
    composed: usize,
    /// Refused for now, because the caller's other previews were first.
    busy: usize,
    slowest: String,
}

/// Previews that many templates, and asks for the health all the while.
async fn run(count: usize) -> Measured {
    let mut server = TestServer::start().await;
    for number in 0..CALLERS * 2 {
        server.preview(&template(&mut Dice::new(number as u64))).await;
    }
    let before = server.memory();
    let shared = Arc::new(server);
    let (next, is_done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (server, next) = (shared.clone(), next.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return answers;
                    }
                    let text = template(&mut Dice::new(1_000_000 + number as u64));
                    let (is_composed, took) = server.try_preview(&text).await;
                    answers.push((took, is_composed, text));
                }
            })
        })
        .collect();
    let watch = {
        let (server, is_done) = (shared.clone(), is_done.clone());
        tokio::spawn(async move {
            let mut healths = Vec::new();
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while !is_done.load(Ordering::Relaxed) {
                ticks.tick().await;
                healths.push(server.health().await);
            }
            healths
        })
    };
    let mut answers = Vec::new();
    for caller in callers {
        answers.extend(caller.await.unwrap());
    }
    is_done.store(true, Ordering::Relaxed);
    let healths = watch.await.unwrap();
    let after = shared.memory();
    server = Arc::into_inner(shared).unwrap();
    assert!(server.is_running(), "the API has died");
    answers.sort_by_key(|(took, _, _)| *took);
    let slowest = answers.last().map(|(_, _, text)| text.chars().take(300).collect()).unwrap_or_default();
    Measured {
        busy: answers.iter().filter(|(_, is_composed, _)| is_composed.is_none()).count(),
        composed: answers.iter().filter(|(_, is_composed, _)| *is_composed == Some(true)).count(),
        answers: answers.into_iter().map(|(took, _, _)| took).collect(),
        healths,
        memory: (before, after),
        slowest,
    }
}

fn quantile(times: &[Duration], of_thousand: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * of_thousand / 1000]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_templates_are_answered_and_the_api_lives() {
    let measured = run(100).await;
    assert_eq!(measured.answers.len(), 100);
    assert!(measured.composed > 5, "{} composed", measured.composed);
    let grown = measured.memory.1.saturating_sub(measured.memory.0);
    assert!(grown < 64, "grew by {grown} MiB");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes. See main.rs"]
async fn ten_thousand_templates() {
    let measured = run(10_000).await;
    let (answers, healths) = (&measured.answers, &measured.healths);
    println!(
        "{} previews, {} composed, {} refused for now: median {:?}, p99 {:?}, slowest {:?}: {}",
        answers.len(),
        measured.composed,
        measured.busy,
        quantile(answers, 500),
        quantile(answers, 990),
        quantile(answers, 1000),
        measured.slowest,
    );
    println!(
        "{} /healthz: median {:?}, p99 {:?}, slowest {:?}",
        healths.len(),
        quantile(healths, 500),
        quantile(healths, 990),
        quantile(healths, 1000)
    );
    println!("memory: {} MiB before, {} MiB after", measured.memory.0, measured.memory.1);
    assert!(quantile(answers, 1000) <= Duration::from_secs(1), "an answer took longer than 1 s");
    assert!(quantile(healths, 990) <= Duration::from_millis(50), "/healthz took longer than 50 ms");
    assert!(measured.memory.1.saturating_sub(measured.memory.0) < 64, "memory grew");
}

#[tokio::test]
async fn no_child_outlives_the_api() {
    let mut server = TestServer::start().await;
    server.preview("{{ range(9)|list|tojson }}").await;
    let evaluating = server.children();
    assert!(server.is_running() && !evaluating.is_empty());
    for child in &evaluating {
        let environment = std::fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
        let variables = environment.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
        assert!(variables.count() <= 1, "a child has an environment");
    }
    drop(server);
    eventually(Duration::from_secs(10), || {
        let is_gone = |child: &u32| !std::path::Path::new(&format!("/proc/{child}")).exists();
        std::future::ready(evaluating.iter().all(is_gone))
    })
    .await;
}
