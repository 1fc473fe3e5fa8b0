//! Runs operations: under a time limit, with what each may use, and so that a panic ends one operation and no more.
//!
//! One per process, cloned into every transport; generic over the schema so that tests can bring their own.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{Executor, Request, Response};
use callboard::clock::IdSource;
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    RequestId,
    document::{Kind, Prepared, prepare},
    finish::{finish, refusal_of},
    known::KnownDocuments,
};
use crate::{
    auth::{Access, Gate, Presented},
    error::{ApiError, Code},
};

/// Longest that a query or mutation may take.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How often the key of a stream is looked at again.
const ADMITTED_FOR: Duration = Duration::from_secs(15);

/// Adds to an operation what its resolvers need for themselves alone: DataLoaders. Called once an operation.
pub type Dress = Arc<dyn Fn(Request) -> Request + Send + Sync>;

/// See the module.
#[derive(Clone)]
pub struct Engine<E> {
    executor: E,
    gate: Arc<Gate>,
    known: Arc<KnownDocuments>,
    dress: Dress,
    ids: IdSource,
    time_max: Duration,
}

impl<E: Executor> Engine<E> {
    /// An engine for this schema, behind this gate.
    pub fn new(executor: E, gate: Gate, dress: Dress) -> Self {
        Self {
            executor,
            gate: Arc::new(gate),
            known: Arc::default(),
            dress,
            ids: IdSource,
            time_max: TIME_MAX,
        }
    }

    /// The same with another time limit.
    #[must_use]
    pub fn with_time_max(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// A new id for a request.
    pub fn draw_id(&self) -> RequestId {
        RequestId::draw(self.ids)
    }

    /// Who shows that key.
    pub async fn admit(&self, presented: Presented) -> Result<Access, ApiError> {
        self.gate.admit(presented).await
    }

    /// Returns when that key no longer opens the gate: revoked or expired. Never for nobody. For streams, which
    /// outlive the moment in which they were admitted.
    pub async fn until_revoked(&self, presented: Presented) {
        if presented == Presented::Nothing {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(ADMITTED_FOR).await;
            if self.admit(presented).await.is_err_and(|error| error.code == Code::Unauthenticated) {
                return;
            }
        }
    }

    /// Checks an operation and tells what it is, or answers why it cannot run.
    pub fn prepare(
        &self,
        request: Request,
        access: &Access,
        id: &RequestId,
    ) -> Result<Prepared, Box<Response>> {
        let request = request.data(access.clone()).data(id.clone());
        match prepare(request, access, &self.known) {
            Ok(mut prepared) => {
                prepared.request = (self.dress)(prepared.request);
                Ok(prepared)
            }
            Err(error) => {
                count(None, Outcome::Refused);
                Err(Box::new(super::refusal(error, id)))
            }
        }
    }

    /// An error of ours as an answer.
    pub fn refuse(&self, error: &ApiError, id: &RequestId) -> Response {
        refusal_of(error, id)
    }

    /// Runs a query or mutation.
    pub async fn answer(&self, prepared: Prepared, id: &RequestId) -> Response {
        let (kind, began) = (prepared.kind, Instant::now());
        let span = span_of(&prepared, id);
        let run = AssertUnwindSafe(self.executor.execute(prepared.request)).catch_unwind();
        let response = match tokio::time::timeout(self.time_max, run.instrument(span)).await {
            Ok(Ok(response)) => finish(response, id),
            Ok(Err(_panic)) => {
                // The panic hook has logged what and where.
                refusal_of(&ApiError::new(Code::Internal, "Something went wrong on our side."), id)
            }
            Err(_elapsed) => refusal_of(&took_too_long(kind, self.time_max), id),
        };
        metrics::histogram!("callboard_graphql_operation_seconds", "type" => kind.as_str())
            .record(began.elapsed());
        count(Some(kind), if response.is_ok() { Outcome::Ok } else { Outcome::Errors });
        response
    }

    /// Opens a subscription; or runs a query or mutation as a stream of one answer.
    pub fn stream(&self, prepared: Prepared, id: RequestId) -> impl Stream<Item = Response> + Send + use<E> {
        let (kind, span) = (prepared.kind, span_of(&prepared, &id));
        let engine = self.clone();
        match kind {
            Kind::Query | Kind::Mutation => {
                stream::once(async move { engine.answer(prepared, &id).await }).left_stream()
            }
            Kind::Subscription => {
                count(Some(kind), Outcome::Ok);
                let active = Active::new();
                let source = span.in_scope(|| engine.executor.execute_stream(prepared.request, None));
                AssertUnwindSafe(source)
                    .catch_unwind()
                    .map(move |item| {
                        let _counted = &active;
                        let _entered = span.enter();
                        match item {
                            Ok(response) => finish(response, &id),
                            Err(_panic) => refusal_of(
                                &ApiError::new(Code::Internal, "Something went wrong on our side."),
                                &id,
                            ),
                        }
                    })
                    .right_stream()
            }
        }
    }
}

impl<E> fmt::Debug for Engine<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("time_max", &self.time_max).finish_non_exhaustive()
    }
}

fn span_of(prepared: &Prepared, id: &RequestId) -> tracing::Span {
    tracing::info_span!(
        "graphql",
        request_id = %id,
        operation.kind = prepared.kind.as_str(),
        operation.name = prepared.name.as_deref().unwrap_or_default(),
    )
}

fn took_too_long(kind: Kind, time_max: Duration) -> ApiError {
    let seconds = time_max.as_secs_f32();
    let message = match kind {
        Kind::Query | Kind::Subscription => {
            format!("This took longer than {seconds} s. Ask for less, or try again.")
        }
        Kind::Mutation => format!(
            "This took longer than {seconds} s, and whether it happened is not known. With an idempotencyKey the same \
             request can be sent again safely; otherwise look first."
        ),
    };
    ApiError::new(Code::Unavailable, message)
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Ok,
    Errors,
    Refused,
}

fn count(kind: Option<Kind>, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Ok => "ok",
        Outcome::Errors => "errors",
        Outcome::Refused => "refused",
    };
    let kind = kind.map_or("unknown", Kind::as_str);
    metrics::counter!("callboard_graphql_operations_total", "type" => kind, "outcome" => outcome)
        .increment(1);
}

/// Counts a subscription for as long as it lives.
struct Active(metrics::Gauge);

impl Active {
    fn new() -> Self {
        let gauge = metrics::gauge!("callboard_graphql_subscriptions_active");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
