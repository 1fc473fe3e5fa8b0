//! Who reads composed commands does not wait for what others read.

use std::time::Duration;

use callboard::{
    catalogue::{Catalogue, CommandCreate},
    evaluator::Evaluator,
    ids::JobId,
    job::JobRequest,
    steps::enqueue::{context::SubmitContext, submit::submit},
};
use callboard_test_support::{eventually, script};
use futures::future::{Either, select};
use serde_json::{Value, json};

use crate::{
    api::TestApi,
    unavailable::{command, heavy},
};

const READ: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Job { composed { display } } } }";

/// Enqueues jobs of this command, and returns their ids.
async fn enqueue(api: &TestApi, command: CommandCreate, count: usize) -> Vec<String> {
    let works = Catalogue { evaluator: Evaluator::unbounded(), ..api.catalogue.clone() };
    let command = works.command_create(command).await.unwrap().id;
    let context = SubmitContext { evaluator: Evaluator::unbounded(), ..api.submit() };
    let results = submit(&context, &[vec![JobRequest::new(command); count]], false).await.value;
    let jobs: Vec<JobId> =
        results.into_iter().flat_map(Result::unwrap).map(|accepted| accepted.job).collect();
    jobs.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn nobody_waits_for_the_dear_jobs_of_another_caller() {
    let directory = tempfile::tempdir().unwrap();
    let started = directory.path().join("started");
    // Takes an order and never answers.
    let child = format!("#!/bin/sh\nprintf '\\004'\n: >{}\nexec sleep 600\n", started.display());
    let evaluator = Evaluator::of_program(script(directory.path(), &child));
    let api = TestApi::with_evaluator(evaluator).await;
    let dear = enqueue(&api, heavy(), 5).await;
    let light = enqueue(&api, command("light", &[]), 1).await;
    let read = |key, ids: &[String]| api.execute(Some(key), READ, json!({ "ids": ids }));

    // Both would take some seconds.
    let first = read("cb_admin", &dear);
    let others = async {
        eventually(Duration::from_secs(30), || std::future::ready(started.exists())).await;
        let second = std::pin::pin!(read("cb_admin", &dear));
        match select(second, std::pin::pin!(read("cb_operator", &light))).await {
            Either::Right((answer, _second)) => answer,
            Either::Left(_) => panic!("the dear jobs were composed first"),
        }
    };
    let (_, answer): (_, Value) = match select(std::pin::pin!(first), std::pin::pin!(others)).await {
        Either::Right((answer, _first)) => answer,
        Either::Left(_) => panic!("the dear jobs were composed first"),
    };
    assert_eq!(answer["data"]["nodes"][0]["composed"]["display"], "/bin/true", "{answer}");
}
