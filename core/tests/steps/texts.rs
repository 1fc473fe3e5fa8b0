//! Texts of every kind reach the store and come back: what Postgres refuses, as U+FFFD.

use callboard::{
    bounds::RESULT_DEPTH_MAX,
    clock::{self, IdSource},
    job::{Failure, FailureCode, Outcome, Progress},
    steps::run::{keep_artifact::keep_artifact, note_progress::note_progress},
    store::jobs::{
        artifacts::{self, ArtifactRecord},
        logs::{self, Appended, LineRange},
        progress::Report,
        records,
    },
    text::storable,
};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const TEXTS: [&str; 9] = [
    "\0",
    "a\0b\0",
    "\\u0000",
    "\\",
    "\"\0\\\"",
    "\u{FFFD}\u{FFFF}\u{10FFFF}",
    "😀\u{202E}\u{200B}",
    "{\"a\":\"\0\"}",
    "a\tb\r\u{1}",
];

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[tokio::test]
async fn texts_of_every_kind_are_stored() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    for text in TEXTS {
        let stored = storable(text).into_owned();
        let job = fixture.job().await;
        let attempt = fixture.start(worker, job).await;
        assert_eq!(fixture.log(job, attempt, 1, text).await, Appended::Stored, "{text:?}");
        let progress = Progress { fraction: Some(0.5), message: Some(text.to_owned()) };
        let held = note_progress(&fixture.store, &[Report { job, attempt, progress }]).await.unwrap();
        assert_eq!(held.value, [job]);
        let file = ArtifactRecord {
            id: IdSource.make(),
            job,
            attempt_id: attempt,
            attempt: 1,
            name: text.to_owned(),
            content_type: text.to_owned(),
            size_bytes: 1,
            sha256: [0; 32],
            is_redacted: None,
            path: format!("{job}/1"),
            created_at: clock::now(),
            pruned_at: None,
        };
        assert!(keep_artifact(&fixture.store, &file).await.unwrap());
        fixture.settle(job, attempt, Outcome::Released { reason: text.to_owned() }).await;
        let attempt = fixture.start(worker, job).await;
        let failure = Failure::new(FailureCode::EXIT_CODE, text, false);
        fixture.settle(job, attempt, Outcome::Failed(failure)).await;

        let mut connection = fixture.store.connection().await.unwrap();
        let record = records::by_ids(&mut connection, &[job]).await.unwrap().remove(0);
        assert_eq!(record.failure.map(|failure| failure.message), Some(stored.clone()), "{text:?}");
        let lines = logs::range(&mut connection, LineRange::all(job)).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), [stored.as_str()]);
        let file = artifacts::by_id(&mut connection, file.id).await.unwrap().unwrap();
        assert_eq!((file.name, file.content_type), (stored.clone(), stored));
    }
}

#[tokio::test]
async fn results_of_every_shape_are_stored() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let mut results: Vec<(Value, Value)> = TEXTS
        .iter()
        .map(|text| (json!({ *text: [text, { "inner": text }] }), storable(text).into_owned()))
        .map(|(value, stored)| (value, json!({ stored.clone(): [stored, { "inner": stored }] })))
        .collect();
    for levels in [1, 100, RESULT_DEPTH_MAX - 1, RESULT_DEPTH_MAX] {
        results.push((nested(levels), nested(levels)));
    }
    for (result, stored) in results {
        let job = fixture.job().await;
        let attempt = fixture.start(worker, job).await;
        fixture.settle(job, attempt, Outcome::Succeeded { result }).await;
        let mut connection = fixture.store.connection().await.unwrap();
        let results = records::result_texts(&mut connection, &[job]).await.unwrap();
        let [(of, text)] = &results[..] else { panic!("{results:?}") };
        assert_eq!((*of, serde_json::from_str::<Value>(text).unwrap()), (job, stored));
    }
}
