//! Runs operations under a time limit, and contains panics to a single operation.
//!
//! There is one [`Engine`] per process, cloned into every transport. It is generic over the schema
//! so that tests can use their own.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{Executor, Request, Response, ServerError};
use callboard::{
    audit::{Actor, Object},
    clock::IdSource,
};
use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    RequestId,
    answer::Answer,
    credential_end::cut_short,
    document::{Kind, ReadyOperation, prepare},
    finish::{describe_schema, finish, refusal_of},
    known::KnownDocuments,
    messages::{Messages, REPEAT_MAX},
    permission::Refused,
};
use crate::{
    allowance::{Allowance, Allowances},
    audit::AuditLog,
    auth::{Access, Authenticator, Client, CredentialWatch, Presented, Proof},
    error::{ApiError, Code},
    repeat::Repeat,
    shares::Holder,
};

/// Time limit of a query or mutation.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Adds to an operation what only its own resolvers use: its loaders. Called once per operation.
pub type WithLoaders = Arc<dyn Fn(Request, &Arc<Allowance>, &Arc<Actor>) -> Request + Send + Sync>;

/// Runs operations of a schema.
#[derive(Clone)]
pub struct Engine<E> {
    executor: E,
    authenticator: Arc<Authenticator>,
    known: Arc<KnownDocuments>,
    allowances: Allowances,
    with_loaders: WithLoaders,
    ids: IdSource,
    time_max: Duration,
    /// Whether callers without a key see the schema.
    is_schema_open: bool,
    audit: Option<AuditLog>,
}

impl<E: Executor> Engine<E> {
    /// Creates an engine for this schema and authenticator.
    pub fn new(executor: E, authenticator: impl Into<Arc<Authenticator>>, with_loaders: WithLoaders) -> Self {
        Self {
            executor,
            authenticator: authenticator.into(),
            known: Arc::default(),
            allowances: Allowances::default(),
            with_loaders,
            ids: IdSource,
            time_max: TIME_MAX,
            is_schema_open: false,
            audit: None,
        }
    }

    /// Records refusals of operations.
    #[must_use]
    pub fn with_audit(mut self, audit: AuditLog) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Sets another time limit.
    #[must_use]
    pub fn with_time_max(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// Sets whether callers without a key may introspect the schema, and are shown names of it in
    /// the errors of a document.
    #[must_use]
    pub fn with_open_schema(mut self, is_schema_open: bool) -> Self {
        self.is_schema_open = is_schema_open;
        self
    }

    /// Generates the id of a request.
    pub fn draw_id(&self) -> RequestId {
        RequestId::draw(self.ids)
    }

    /// Authenticates credentials.
    pub async fn admit(&self, presented: &Presented, client: &Client) -> Result<Access, ApiError> {
        self.authenticator.admit(presented, client).await
    }

    /// Whether these credentials have been accepted before.
    pub fn has_accepted(&self, presented: &Presented) -> bool {
        self.authenticator.has_accepted(presented)
    }

    /// Says why what was watched has ended.
    pub async fn why_ended(&self, proof: Proof) -> ApiError {
        self.authenticator.why_ended(proof).await
    }

    /// Watches the key or the session of a socket or a stream, which outlives its check. `None` if
    /// there is none.
    pub fn watch(&self, access: &Access) -> Option<CredentialWatch> {
        self.authenticator.watch(access)
    }

    /// Checks an operation. Returns it ready to run, or the response that says why it is refused.
    pub fn prepare(
        &self,
        request: Request,
        access: &Access,
        client: Client,
        id: &RequestId,
    ) -> Result<ReadyOperation, Box<Response>> {
        let actor = Arc::new(access.actor(&client));
        let allowance = Arc::new(self.allowances.of(Holder::of(access, client.address)));
        let request = request.data(access.clone()).data(client).data(id.clone()).data(Arc::clone(&actor));
        let request = request.data(Arc::clone(&self.authenticator)).data(Arc::clone(&allowance));
        match prepare(request, access, &self.known, &allowance, self.is_schema_open) {
            Ok(mut prepared) => {
                prepared.hides_names = access.caller().is_none() && !self.is_schema_open;
                if prepared.kind == Kind::Mutation {
                    allowance.never_wait();
                }
                prepared.request = (self.with_loaders)(prepared.request, &allowance, &actor);
                Ok(prepared)
            }
            Err(Refused { error, field, object }) => {
                self.note_refusal(&actor, &error, field.as_deref(), object);
                count(None, OperationOutcome::Refused);
                Err(Box::new(super::refusal(*error, id)))
            }
        }
    }

    /// Records what the role of a caller, or its absence, does not allow.
    fn note_refusal(&self, actor: &Actor, error: &ServerError, field: Option<&str>, object: Object) {
        if let (Some(audit), Some(field)) = (&self.audit, field) {
            audit.refused(actor, field, object, &error.message);
        }
    }

    /// Converts an error into a response.
    pub fn refuse(&self, error: &ApiError, id: &RequestId) -> Response {
        refusal_of(error, id)
    }

    /// Runs a query or mutation. It ends with its caller's key or session, and its open transaction
    /// is rolled back then.
    pub async fn run(&self, prepared: ReadyOperation, id: &RequestId) -> Answer {
        let (kind, began) = (prepared.kind, Instant::now());
        let span = span_of(&prepared, id);
        let ReadyOperation { request, has_schema, hides_names, cost, allowance, credential, .. } = prepared;
        let executed = AssertUnwindSafe(self.executor.execute(request)).catch_unwind().instrument(span);
        // What a mutation has done is said, without the part that is too large.
        let is_cut = kind == Kind::Query;
        let executed = async {
            tokio::select! {
                biased;
                // First, so that no further mutation of a document starts after it.
                ended = credential.ended(&self.authenticator) => Err(Some(ended)),
                executed = executed => Ok(executed),
                () = allowance.over(), if is_cut => Err(None),
            }
        };
        let mut response = match tokio::time::timeout(self.time_max, executed).await {
            Ok(Err(Some(ended))) => refusal_of(&cut_short(kind, self.why_ended(ended).await), id),
            Ok(_) if is_cut && let Some(fault) = allowance.fault() => refusal_of(&fault, id),
            Ok(Ok(Ok(mut response))) => {
                if has_schema {
                    describe_schema(&mut response.data);
                }
                if hides_names {
                    hide_names(&mut response.errors);
                }
                finish(response, id)
            }
            Ok(Ok(Err(_)) | Err(None)) => {
                // The panic hook has logged the panic and its location.
                refusal_of(&internal(), id)
            }
            Err(_elapsed) => refusal_of(&took_too_long(kind, self.time_max), id),
        };
        response.extensions.insert("cost".to_owned(), cost.into());
        metrics::histogram!("callboard_graphql_operation_seconds", "type" => kind.as_str())
            .record(began.elapsed());
        count(Some(kind), if response.is_ok() { OperationOutcome::Ok } else { OperationOutcome::Errors });
        Answer::new(response, &allowance)
    }

    /// Opens a subscription, or runs a query or mutation as a stream of one response.
    pub fn stream(
        &self,
        prepared: ReadyOperation,
        id: RequestId,
    ) -> impl Stream<Item = Answer> + Send + use<E> {
        let (kind, span) = (prepared.kind, span_of(&prepared, &id));
        let engine = self.clone();
        match kind {
            Kind::Query | Kind::Mutation => {
                stream::once(async move { engine.run(prepared, &id).await }).left_stream()
            }
            Kind::Subscription => {
                count(Some(kind), OperationOutcome::Ok);
                let repeat = Arc::<Repeat>::default();
                let request = prepared.request.data(Arc::clone(&repeat));
                let responses = span.in_scope(|| engine.executor.execute_stream(request, None));
                let repeat_max = REPEAT_MAX;
                let ReadyOperation { hides_names, allowance, .. } = prepared;
                Messages { responses, repeat, repeat_max, hides_names, allowance, id, span }
                    .into_stream(Active::new())
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

fn span_of(prepared: &ReadyOperation, id: &RequestId) -> tracing::Span {
    tracing::info_span!(
        "graphql",
        request_id = %id,
        operation.kind = prepared.kind.as_str(),
        operation.name = prepared.name.as_deref().unwrap_or_default(),
    )
}

/// Removes the names that async-graphql proposes in place of unknown ones. A test checks its text.
pub(super) fn hide_names(errors: &mut [ServerError]) {
    for error in errors {
        if let Some(at) = error.message.find(" Did you mean") {
            error.message.truncate(at);
        }
    }
}

pub(super) fn internal() -> ApiError {
    let message = "An internal error occurred. Look up the request id in the server's log.";
    ApiError::new(Code::Internal, message)
}

fn took_too_long(kind: Kind, time_max: Duration) -> ApiError {
    let seconds = time_max.as_secs_f32();
    let message = match kind {
        Kind::Query | Kind::Subscription => {
            format!("The operation took longer than {seconds} s. Request less, or try again.")
        }
        Kind::Mutation => format!(
            "The operation took longer than {seconds} s and may or may not have been carried out. With an \
             idempotencyKey, send the same request again. Otherwise check first."
        ),
    };
    ApiError::new(Code::Unavailable, message)
}

#[derive(Debug, Clone, Copy)]
enum OperationOutcome {
    Ok,
    Errors,
    Refused,
}

fn count(kind: Option<Kind>, outcome: OperationOutcome) {
    let outcome = match outcome {
        OperationOutcome::Ok => "ok",
        OperationOutcome::Errors => "errors",
        OperationOutcome::Refused => "refused",
    };
    let kind = kind.map_or("unknown", Kind::as_str);
    metrics::counter!("callboard_graphql_operations_total", "type" => kind, "outcome" => outcome)
        .increment(1);
}

/// Counts an open subscription until dropped.
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
