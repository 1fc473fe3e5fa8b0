//! The evaluator: composes, and checks commands and inputs, without trusting what callers bring.
//!
//! What is bounded by its form is done in this process. Everything else is done by a child, which
//! runs the same program (`child.rs`) and ends when that takes too much time or memory. It may also
//! end by an overflow of its stack or a defect of a library. Then the request is refused, and the
//! next one gets a new child. Children get no environment and no files, and no secrets but those of
//! an input that they check (docs/adr/0021).

mod child;
mod process;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};

use self::process::Process;
use crate::{
    command::{
        AllowList, CommandSpec, Composition, ReadySpec, SpecInput,
        evaluation::{Checked, Evaluation, Evaluations, Matched, Rendered},
    },
    compose::{Ingredients, Input, Nonce, ReadySchema, split},
    refusal::{Refusal, RefusalCode},
};

pub use child::{ARGUMENT, CPU_MAX, MEMORY_BYTES_MAX, main};

/// How urgent an evaluation is. Each kind has its own children, so that no draft delays a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody writes or looks at a command, and waits for an answer within a second.
    Draft,
    /// A job depends on it, and rather late than never.
    Job,
}

impl Urgency {
    /// Evaluations at once. More would only compete for the processors.
    const AT_ONCE: usize = 2;

    /// Longest wait for a child, and longest time of an evaluation, which is more than its time on
    /// the processor when the machine is busy.
    const fn limits(self) -> (Duration, Duration) {
        match self {
            Self::Draft => (Duration::from_millis(500), Duration::from_secs(2)),
            Self::Job => (Duration::from_secs(10), Duration::from_secs(10)),
        }
    }
}

/// Does evaluations. Clones share their children.
#[derive(Debug, Clone)]
pub struct Evaluator(Arc<Inner>);

struct Inner {
    /// `None` for this process.
    program: Option<PathBuf>,
    drafts: Semaphore,
    jobs: Semaphore,
    idle: Mutex<Vec<Process>>,
}

/// Why there is no result of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unevaluated {
    /// It took too much time or memory, and would again.
    #[error(
        "does too much work: more than {} ms of processor time or {} MiB of memory. Shorten its loops, its \
         patterns or its output",
        CPU_MAX.as_millis(),
        MEMORY_BYTES_MAX / 1024 / 1024
    )]
    TooMuch,
    /// Others were first.
    #[error("was not evaluated, because this server is busy with others. Try again")]
    Busy,
    /// The child could not be started, or did not understand.
    #[error("could not be evaluated: {0}")]
    Failed(String),
}

/// Why a command does not compose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotComposed {
    /// The reasons. Their paths begin with `spec`, as in the preview's input.
    Refused(Vec<Refusal>),
    /// It was not evaluated.
    Unevaluated(Unevaluated),
}

impl NotComposed {
    /// Whether the same command may compose later.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unevaluated(Unevaluated::TooMuch) => false,
            Self::Unevaluated(Unevaluated::Busy | Unevaluated::Failed(_)) => true,
        }
    }

    /// As refusals of the spec.
    pub fn into_refusals(self) -> Vec<Refusal> {
        match self {
            Self::Refused(refusals) => refusals,
            Self::Unevaluated(why) => why.refusals("spec"),
        }
    }
}

impl From<Unevaluated> for NotComposed {
    fn from(why: Unevaluated) -> Self {
        Self::Unevaluated(why)
    }
}

impl From<Vec<Refusal>> for NotComposed {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self::Refused(refusals)
    }
}

impl Unevaluated {
    fn refusals(&self, path: &str) -> Vec<Refusal> {
        vec![Refusal::new(RefusalCode::NotComposable, path, self.to_string())]
    }
}

impl Evaluator {
    /// An evaluator whose children run this process' own program.
    pub fn new() -> Self {
        // The program itself, even if its file has been replaced since.
        Self::of_program("/proc/self/exe".into())
    }

    /// An evaluator whose children run this program, which must call [`main`] when its only
    /// argument is [`ARGUMENT`].
    pub fn of_program(program: PathBuf) -> Self {
        Self::with(Some(program))
    }

    /// Does everything in this process, without limits. For tests that have no program, and for
    /// benches.
    pub fn unbounded() -> Self {
        Self::with(None)
    }

    fn with(program: Option<PathBuf>) -> Self {
        let [drafts, jobs] = [(); 2].map(|()| Semaphore::new(Urgency::AT_ONCE));
        Self(Arc::new(Inner { program, drafts, jobs, idle: Mutex::default() }))
    }

    /// Composes a command for a job.
    pub async fn compose<'a>(
        &self,
        urgency: Urgency,
        spec: &'a ReadySpec,
        given: &'a Ingredients<'a>,
    ) -> Result<Composition<'a>, NotComposed> {
        let nonce = Nonce::draw();
        let rendered = if let Some(rendered) = spec.render_light(given, nonce) {
            rendered
        } else {
            let templates = spec.spec().as_kind().templates();
            let evaluation = Evaluation::Render { templates: &templates, given, nonce };
            self.evaluate::<Rendered>(urgency, evaluation).await?
        };
        Ok(spec.finish(rendered?, given)?)
    }

    /// Checks a command that is saved or previewed, with the schema of its input. Returns its spec,
    /// and a refusal for each template that misuses a secret.
    pub async fn check(&self, spec: &SpecInput, allowed: &AllowList, schema: &Value) -> Checked {
        let evaluation = Evaluation::Save { spec, allowed, schema };
        self.evaluate(Urgency::Draft, evaluation).await.unwrap_or_else(|why| Err(why.refusals("spec")))
    }

    /// Checks a new schema for the input of a saved command.
    pub async fn check_schema(&self, schema: &Value, spec: &CommandSpec) -> Vec<Refusal> {
        let evaluation = Evaluation::Schema { schema, spec };
        self.evaluate(Urgency::Draft, evaluation).await.unwrap_or_else(|why| why.refusals("inputSchema"))
    }

    /// Checks an input and splits off its secrets. See `InputSchema::check`.
    pub async fn check_input(
        &self,
        urgency: Urgency,
        schema: &ReadySchema,
        input: &Value,
    ) -> Result<Input, Vec<Refusal>> {
        let public = schema.complete(input)?;
        let pointers = if let Some(light) = schema.light_for(&public) {
            light.secrets_of(&public)?
        } else {
            let (has_secrets, schema, input) = (schema.has_secrets(), schema.schema(), &public);
            let evaluation = Evaluation::Input { schema, input, has_secrets };
            let matched = self.evaluate::<Matched>(urgency, evaluation).await;
            matched.map_err(|why| why.refusals("input"))??
        };
        Ok(split(public, pointers))
    }

    /// Splits the secrets off an input without checking it.
    pub async fn split_input(
        &self,
        urgency: Urgency,
        schema: &ReadySchema,
        input: Value,
    ) -> Result<Input, Vec<Refusal>> {
        if !schema.has_secrets() {
            return Ok(split(input, std::collections::BTreeSet::new()));
        }
        if let Some(light) = schema.light_for(&input) {
            return Ok(light.split(input));
        }
        let evaluation = Evaluation::Secrets { schema: schema.schema(), input: &input };
        let pointers = self.evaluate(urgency, evaluation).await.map_err(|why| why.refusals("input"))?;
        Ok(split(input, pointers))
    }

    /// Does an evaluation. When the future is dropped, the work ends too.
    async fn evaluate<T: DeserializeOwned>(
        &self,
        urgency: Urgency,
        evaluation: Evaluation<'_>,
    ) -> Result<T, Unevaluated> {
        let failed = |error: serde_json::Error| Unevaluated::Failed(error.to_string());
        let order = serde_json::to_vec(&evaluation).map_err(failed)?;
        let (wait_max, time_max) = urgency.limits();
        let slots = match urgency {
            Urgency::Draft => &self.0.drafts,
            Urgency::Job => &self.0.jobs,
        };
        let waited = timeout(wait_max, slots.acquire()).await;
        let slot = waited.map_err(|_elapsed| Unevaluated::Busy)?;
        let done = timeout(time_max, self.0.run(order, evaluation.is_last())).await;
        drop(slot);
        serde_json::from_slice(&done.map_err(|_elapsed| Unevaluated::Busy)??).map_err(failed)
    }
}

impl Default for Evaluator {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    async fn run(&self, order: Vec<u8>, is_last: bool) -> Result<Vec<u8>, Unevaluated> {
        let Some(program) = &self.program else {
            let run = move || Evaluations::default().run(&order).map_err(|error| error.to_string());
            let done = tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string());
            return done.flatten().map_err(Unevaluated::Failed);
        };
        let idle = std::iter::from_fn(|| self.idle.lock().pop()).find_map(Process::if_alive);
        let process = match idle {
            Some(process) => process,
            None => Process::start(program).map_err(|error| Unevaluated::Failed(error.to_string()))?,
        };
        let (done, process) = process.run(&order).await?;
        self.idle.lock().extend(process.filter(|_| !is_last));
        Ok(done)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("program", &self.program).finish_non_exhaustive()
    }
}
