//! The evaluator: composes, and checks commands and inputs, without trusting what callers bring.
//!
//! What is bounded by its form is done in this process. Everything else is done by a child, which
//! runs the same program (`child.rs`) and ends when that takes too much time or memory. It may also
//! end by an overflow of its stack or a defect of a library. Then the request is refused, and the
//! next one gets a new child. Children get no environment and no files, and no secrets but those of
//! an input that they check (docs/adr/0021).

mod child;
mod process;
mod turn;

use std::{fmt, path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::{
    process::{Process, Ran},
    turn::Queues,
};
use crate::{
    command::{
        AllowList, CommandSpec, Composition, ReadySpec, SpecInput,
        evaluation::{Checked, Evaluation, Evaluations, Matched, Rendered},
    },
    compose::{Ingredients, Input, Nonce, ReadySchema, split},
    refusal::{Refusal, RefusalCode},
};

pub use child::{ARGUMENT, CPU_MAX, MEMORY_BYTES_MAX, main};
pub use turn::{Purpose, Turn};

/// Does evaluations. Clones share their children.
#[derive(Debug, Clone)]
pub struct Evaluator(Arc<Inner>);

struct Inner {
    /// `None` for this process.
    program: Option<PathBuf>,
    queues: Queues,
    idle: Mutex<Vec<Process>>,
}

/// Why nothing is known of what was to be evaluated. It may be evaluated later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Others were first.
    #[error("was not evaluated, because this server is busy with others. Try again")]
    Busy,
    /// The child could not be started, or was ended by somebody else.
    #[error("could not be evaluated: {0}")]
    Failed(String),
    /// It is not light, and only what is light was to be evaluated.
    #[error("must be evaluated in a process of its own")]
    NotLight,
}

/// Why a check has no positive result: it was refused, or could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Everything that is wrong with it.
    Refused(Vec<Refusal>),
    /// Nothing is known of it.
    Unavailable(Unavailable),
}

/// Why there is no result of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unevaluated {
    /// It took too much time or memory, and would again.
    #[error(
        "does too much work: more than {} ms of processor time or {} MiB of memory. Shorten its loops, its \
         patterns or its output",
        CPU_MAX.as_millis(),
        MEMORY_BYTES_MAX / 1024 / 1024
    )]
    TooMuch,
    /// It fails by a defect of a library or of this program, and would again.
    #[error("cannot be evaluated: {0}")]
    Fails(String),
    /// It may succeed later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<Vec<Refusal>> for Failure {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self::Refused(refusals)
    }
}

impl From<Unavailable> for Failure {
    fn from(why: Unavailable) -> Self {
        Self::Unavailable(why)
    }
}

impl Unevaluated {
    /// The failure of what is at this path of the input.
    fn at(self, path: &str) -> Failure {
        match self {
            Self::TooMuch | Self::Fails(_) => {
                vec![Refusal::new(RefusalCode::NotComposable, path, self.to_string())].into()
            }
            Self::Unavailable(why) => why.into(),
        }
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
        Self(Arc::new(Inner { program, queues: Queues::default(), idle: Mutex::default() }))
    }

    /// Returns a turn. It queues lazily, at the first evaluation that is not light.
    pub const fn turn<'a>(&'a self, purpose: Purpose<'a>) -> Turn<'a> {
        Turn::new(self, purpose)
    }

    fn queues(&self) -> &Queues {
        &self.0.queues
    }
}

impl Turn<'_> {
    /// Composes a command for a job. The paths of refusals begin with `spec`, as in the preview's
    /// input.
    pub async fn compose<'a>(
        &mut self,
        spec: &'a ReadySpec,
        given: &'a Ingredients<'a>,
    ) -> Result<Composition<'a>, Failure> {
        let nonce = Nonce::draw();
        let rendered = if let Some(rendered) = spec.render_light(given, nonce) {
            rendered
        } else {
            let templates = spec.spec().as_kind().templates();
            let evaluation = Evaluation::Render { templates: &templates, given, nonce };
            self.evaluate::<Rendered>(evaluation).await.map_err(|why| why.at("spec"))?
        };
        Ok(spec.finish(rendered?, given)?)
    }

    /// Checks a command that is saved or previewed, with the schema of its input. Returns its spec,
    /// and a refusal for each template that misuses a secret.
    pub async fn check(
        &mut self,
        spec: &SpecInput,
        allowed: &AllowList,
        schema: &Value,
    ) -> Result<(CommandSpec, Vec<Refusal>), Failure> {
        let evaluation = Evaluation::Save { spec, allowed, schema };
        Ok(self.evaluate::<Checked>(evaluation).await.map_err(|why| why.at("spec"))??)
    }

    /// Checks a new schema for the input of a saved command.
    pub async fn check_schema(&mut self, schema: &Value, spec: &CommandSpec) -> Result<(), Failure> {
        let evaluation = Evaluation::Schema { schema, spec };
        let refusals: Vec<Refusal> = self.evaluate(evaluation).await.map_err(|why| why.at("inputSchema"))?;
        if refusals.is_empty() { Ok(()) } else { Err(refusals.into()) }
    }

    /// Checks an input and splits off its secrets. See `InputSchema::check`.
    pub async fn check_input(&mut self, schema: &ReadySchema, input: Value) -> Result<Input, Failure> {
        let public = schema.complete(input)?;
        let pointers = if let Some(light) = schema.light_for(&public) {
            light.secrets_of(&public)?
        } else {
            let (has_secrets, schema, input) = (schema.has_secrets(), schema.schema(), &public);
            let evaluation = Evaluation::Input { schema, input, has_secrets };
            self.evaluate::<Matched>(evaluation).await.map_err(|why| why.at("input"))??
        };
        Ok(split(public, pointers))
    }

    /// Splits the secrets off an input without checking it.
    pub async fn split_input(&mut self, schema: &ReadySchema, input: Value) -> Result<Input, Failure> {
        if !schema.has_secrets() {
            return Ok(split(input, std::collections::BTreeSet::new()));
        }
        if let Some(light) = schema.light_for(&input) {
            return Ok(light.split(input));
        }
        let evaluation = Evaluation::Secrets { schema: schema.schema(), input: &input };
        let pointers = self.evaluate(evaluation).await.map_err(|why| why.at("input"))?;
        Ok(split(input, pointers))
    }

    /// Does an evaluation. When the future is dropped, the work ends too.
    async fn evaluate<T: DeserializeOwned>(&mut self, evaluation: Evaluation<'_>) -> Result<T, Unevaluated> {
        let failed = |error: serde_json::Error| Unevaluated::Fails(error.to_string());
        let order = serde_json::to_vec(&evaluation).map_err(failed)?;
        let evaluator = self.evaluator;
        // Boxed, because each field of an answer has room for the largest future that it may await,
        // and few evaluate.
        let done = Box::pin(self.spend(evaluator.0.run(order, evaluation.is_last()))).await?;
        serde_json::from_slice(&done?).map_err(failed)
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
            return done.flatten().map_err(Unevaluated::Fails);
        };
        let idle = std::iter::from_fn(|| self.idle.lock().pop()).find_map(Process::if_alive);
        let mut ended = None;
        for idle in [idle, None] {
            let process = match idle {
                Some(process) => process,
                None => Process::start(program).map_err(|error| Unavailable::Failed(error.to_string()))?,
            };
            match process.run(&order).await? {
                Ran::Done { result, process } => {
                    self.idle.lock().extend(process.filter(|_| !is_last).map(|process| *process));
                    return Ok(result);
                }
                // What it evaluated has not ended it, so another one can do it.
                Ran::Ended(status) => ended = Some(status),
            }
        }
        let status = ended.unwrap_or_default();
        Err(Unavailable::Failed(format!("its process was ended twice ({status})")).into())
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("program", &self.program).finish_non_exhaustive()
    }
}
