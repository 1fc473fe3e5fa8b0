//! Commands: saved, parameterised pieces of work, and the preview of what they compose to.

mod choices;
mod inputs;
mod mutation;
mod object;
mod preview;
mod query;
mod spec;
mod spec_input;

pub use choices::{Choice, ChoiceInput, ChoiceRule, CommandChoices, CommandChoicesInput};
pub use inputs::{CommandCreateInput, CommandDeleteInput, CommandUpdateInput};
pub use mutation::{CommandMutation, CommandPayload};
pub use object::{Command, CommandConnection, CommandEdge};
pub use preview::{CommandPreview, CommandPreviewInput, PreviewQuery};
pub use query::CommandQuery;
pub use spec::{ArtifactMode, CommandKind, CommandSpec, HttpSpec, PlaywrightSpec, ProgramSpec, Redirects};
pub use spec_input::{CommandSpecInput, HttpSpecInput, LineSpecInput, PlaywrightSpecInput, ProgramSpecInput};
