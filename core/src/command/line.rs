//! A command written as one line, parsed into a spec when it is saved.
//!
//! `playwright --profile {{ chrome_profile }} --proxy {{ proxy_address }} --service {{
//! service_token }}` is PLAYWRIGHT, with the script given beside the line. Any other first word is
//! a PROGRAM. The words are fixed before anything is rendered, so no value can add one. Only the
//! parsed spec is stored.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AllowList, ArtifactMode, CommandSpec, NOOP, PlaywrightBuilder, PlaywrightSpec, ProgramSpec, Viewport,
    invalid, line_secrets,
    words::{self, Part},
};
use crate::{
    command_kind::Kind,
    compose::{has_template, misplaced_secrets},
    refusal::Refusal,
};

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// The first word of a PLAYWRIGHT line.
const PLAYWRIGHT: &str = "playwright";

/// What a command runs, in one of the forms that the API accepts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum SpecInput {
    /// Field by field.
    Spec(CommandSpec),
    /// As a command line. A program without a slash is looked up in the allow-list's directories on
    /// the API's machine.
    Line(LineSpec),
}

impl SpecInput {
    /// Returns the spec if it is within every bound and the allow-list allows it, and a refusal for
    /// each template that misuses a secret. In a line, an argument must not be a secret of the
    /// input either, which cannot become a variable as other secrets do.
    pub(crate) fn check(
        self,
        allowed: &AllowList,
        input_schema: &Value,
    ) -> Result<(CommandSpec, Vec<Refusal>), Vec<Refusal>> {
        match self {
            Self::Spec(spec) => {
                spec.check(allowed)?;
                let misused = spec.misused_secrets(input_schema);
                Ok((spec, misused))
            }
            Self::Line(line) => {
                let spec = line.parse(allowed, &|path: &str| Path::new(path).is_file())?;
                let misused = misplaced_secrets(&spec.as_kind().templates(), input_schema);
                let kind = spec.kind();
                Ok((spec, misused.into_iter().map(|refusal| in_line(kind, refusal)).collect()))
            }
        }
    }
}

/// The API's `LineSpecInput`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSpec {
    /// The line, at most [`LINE_BYTES_MAX`] bytes.
    pub line: String,
    /// The script, if the line begins with `playwright`.
    pub script: Option<String>,
}

impl LineSpec {
    /// Parses and checks the line. `exists` returns whether a file exists. It is asked about the
    /// allow-list's directories, in order, for a program name without a slash.
    pub fn parse(
        &self,
        allowed: &AllowList,
        exists: &dyn Fn(&str) -> bool,
    ) -> Result<CommandSpec, Vec<Refusal>> {
        let refused = |message: String| vec![invalid(&["line", "line"], message)];
        if self.line.len() > LINE_BYTES_MAX {
            return Err(refused(format!("must be at most {LINE_BYTES_MAX} bytes, not {}", self.line.len())));
        }
        let mut words = words::split(&self.line).map_err(|bad| refused(bad.to_string()))?.into_iter();
        let first =
            words.next().ok_or_else(|| refused("is empty. Write a program and its arguments".to_owned()))?;
        let spec = if first == PLAYWRIGHT {
            let script = self.script.clone().ok_or_else(|| {
                vec![invalid(&["line", "script"], "is required for a line that begins with playwright")]
            })?;
            let options = playwright_options(PlaywrightSpec::builder(script), words);
            CommandSpec::Playwright(options.map_err(refused)?.into_unchecked())
        } else if self.script.is_some() {
            return Err(vec![invalid(
                &["line", "script"],
                "is only for lines that begin with playwright. Leave it out",
            )]);
        } else {
            let program = find_program(&first, allowed, exists).map_err(refused)?;
            CommandSpec::Program(program_spec(program, words).map_err(refused)?)
        };
        match spec.check(allowed) {
            Ok(()) => Ok(spec),
            Err(refusals) => Err(refusals.into_iter().map(|refusal| in_line(spec.kind(), refusal)).collect()),
        }
    }
}

/// Turns a refusal of the parsed spec into one of the line or script.
fn in_line(kind: Kind, refusal: Refusal) -> Refusal {
    let field = if refusal.path.last().is_some_and(|last| last == "script") { "script" } else { "line" };
    let place: Vec<&str> = refusal
        .path
        .iter()
        .map(String::as_str)
        .filter(|part| !["spec", kind.as_str()].contains(part))
        .collect();
    let message = match place.as_slice() {
        ["arguments", index] => {
            let number = index.parse::<usize>().map_or(0, |index| index + 1);
            format!("argument {number}: {}", refusal.message)
        }
        _ => refusal.message,
    };
    Refusal { code: refusal.code, ..invalid(&["line", field], message) }
}

fn find_program(first: &str, allowed: &AllowList, exists: &dyn Fn(&str) -> bool) -> Result<String, String> {
    if has_template(first) {
        return Err(
            "the program must not be a template, because it is fixed when the command is saved".to_owned()
        );
    }
    if first.contains('/') || first == NOOP {
        return Ok(first.to_owned());
    }
    if let Some((name, _)) = first.split_once('=') {
        return Err(format!(
            "`{name}=...` sets a variable only in a shell. Write a program spec with environment instead"
        ));
    }
    let found = allowed.candidates(first).find(|path| allowed.allows(path) && exists(path));
    found.ok_or_else(|| format!("there is no program `{first}` on the allow-list ({allowed})"))
}

fn program_spec(program: String, words: impl Iterator<Item = String>) -> Result<ProgramSpec, String> {
    let mut environment = BTreeMap::new();
    let arguments =
        words.map(|word| line_secrets::moved(&word, &mut environment)).collect::<Result<_, _>>()?;
    Ok(ProgramSpec { program, arguments, environment, stdin: None, tokens: Vec::new() })
}

fn playwright_options(
    mut builder: PlaywrightBuilder,
    mut words: impl Iterator<Item = String>,
) -> Result<PlaywrightBuilder, String> {
    while let Some(word) = words.next() {
        let (name, given) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        if name == "--headed" {
            if given.is_some() {
                return Err("--headed takes no value".to_owned());
            }
            builder = builder.headless(false);
            continue;
        }
        let mut value =
            || given.clone().or_else(|| words.next()).ok_or_else(|| format!("{name} needs a value"));
        builder = match name {
            "--profile" | "--proxy" => {
                check_given(name, &value()?)?;
                builder
            }
            "--service" => {
                let path = check_given(name, &value()?)?;
                builder.token(if path.len() == 1 { &path[0] } else { &path[1] })
            }
            "--viewport" => {
                let value = value()?;
                if value == "window" {
                    builder.window()
                } else {
                    let Viewport { width, height } = viewport(&value)?;
                    builder.viewport(width, height)
                }
            }
            "--trace" => builder.trace(artifact_mode(name, &value()?)?),
            "--video" => builder.video(artifact_mode(name, &value()?)?),
            "--screenshot" => builder.screenshot(artifact_mode(name, &value()?)?),
            _ => {
                return Err(format!(
                    "playwright has no option `{name}`. Its options are --profile, --proxy, --service, \
                     --viewport, --trace, --video, --screenshot and --headed. Put anything else \
                     in the script or the input"
                ));
            }
        };
    }
    Ok(builder)
}

/// These options name values that the job always supplies, so that the line reads as what it does.
/// Other values would have no effect and are refused.
/// Returns the path of the value.
fn check_given(option: &str, value: &str) -> Result<Vec<String>, String> {
    let found = match words::parts(value).as_slice() {
        [Part::Expression(whole)] => line_secrets::whole_path(Part::inside(whole)).unwrap_or_default(),
        _ => Vec::new(),
    };
    let path: Vec<&str> = found.iter().map(String::as_str).collect();
    let (is_given, expected) = match option {
        "--profile" => (matches!(path[..], ["chrome_profile"] | ["profile", "path"]), "{{ chrome_profile }}"),
        "--proxy" => (matches!(path[..], ["proxy_address"] | ["proxy", "address"]), "{{ proxy_address }}"),
        _ => (
            matches!(path[..], ["service_token"] | ["services", _, "token"]),
            "{{ service_token }} or {{ services.NAME.token }}",
        ),
    };
    if is_given {
        return Ok(found);
    }
    Err(format!("{option} can only be {expected}, because the job chooses profile, proxy and services"))
}

fn viewport(text: &str) -> Result<Viewport, String> {
    let sides =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height) = sides.ok_or_else(|| {
        format!("--viewport must be WIDTHxHEIGHT, such as 1280x720, or window, not `{text}`")
    })?;
    Ok(Viewport { width, height })
}

fn artifact_mode(option: &str, text: &str) -> Result<ArtifactMode, String> {
    let found = ArtifactMode::ALL.into_iter().find(|mode| mode.as_option() == text);
    found.ok_or_else(|| format!("{option} must be off, on-failure or always, not `{text}`"))
}
