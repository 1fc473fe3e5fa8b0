//! PLAYWRIGHT: a script in a real Chromium with the job's profile and proxy.
//!
//! The script is *not* a template, because JavaScript has its own braces. It gets the job's input,
//! services and profile as values (`{ page, context, input, services, profile, log, progress,
//! artifact }`), secrets included, over the runner's standard input. So no value can become code,
//! and no secret an argument.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use super::{AllowList, CommandKind, invalid, syntax, text_fault, token_names};
use crate::{
    command_kind::Kind,
    compose::{
        ComposedParts, Ingredients, OutputProtocol, ProcessPlan, Program, RevealError, Run, SecretRef,
        SecretValues, ServiceFacts, Task, TemplateAt, Text, WorkerPaths,
    },
    refusal::Refusal,
};

/// Longest script, in bytes.
pub const SCRIPT_BYTES_MAX: usize = 256 * 1024;
/// Widest viewport, in CSS pixels.
pub const VIEWPORT_WIDTH_MAX: u32 = 7680;
/// Tallest viewport, in CSS pixels.
pub const VIEWPORT_HEIGHT_MAX: u32 = 4320;

/// A script and the options of its browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaywrightSpec {
    /// The source of an ES module, 1 to [`SCRIPT_BYTES_MAX`] bytes.
    pub script: String,
    /// Size of the page.
    #[serde(default, skip_serializing_if = "PageSize::is_default")]
    pub viewport: PageSize,
    /// Playwright's trace, off by default, because it contains what the browser sent, tokens
    /// included.
    #[serde(default)]
    pub trace: ArtifactMode,
    /// A video of the page, off by default.
    #[serde(default)]
    pub video: ArtifactMode,
    /// A screenshot at the end, on failure by default.
    #[serde(default = "screenshot_default")]
    pub screenshot: ArtifactMode,
    /// Whether the browser has no window, by default true.
    #[serde(default = "headless_default")]
    pub headless: bool,
    /// Names of services whose tokens the script gets, beside those that its text names: `*` for
    /// all of the job's services, `service_token` for the first that has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
}

/// Size of the pages of a script, as Playwright has it. In JSON the default is an absent field, and
/// the window is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageSize {
    /// [`VIEWPORT_DEFAULT`], whatever the window.
    #[default]
    Default,
    /// The page fills the browser's window.
    Window,
    /// This size, whatever the window.
    Fixed(Viewport),
}

/// Playwright's default.
pub const VIEWPORT_DEFAULT: Viewport = Viewport { width: 1280, height: 720 };

impl PageSize {
    /// The size, if the page has one of its own.
    pub const fn viewport(self) -> Option<Viewport> {
        match self {
            Self::Default => Some(VIEWPORT_DEFAULT),
            Self::Window => None,
            Self::Fixed(viewport) => Some(viewport),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl Serialize for PageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.viewport().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Window, Self::Fixed))
    }
}

/// Size of a page, in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewport {
    /// 1 to [`VIEWPORT_WIDTH_MAX`].
    pub width: u32,
    /// 1 to [`VIEWPORT_HEIGHT_MAX`].
    pub height: u32,
}

/// When something is kept as an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ArtifactMode {
    /// Never.
    #[default]
    Off,
    /// When the attempt fails.
    OnFailure,
    /// After every attempt.
    Always,
}

impl ArtifactMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Off, Self::OnFailure, Self::Always];

    /// The mode as a command line spells it.
    pub const fn as_option(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

const fn screenshot_default() -> ArtifactMode {
    ArtifactMode::OnFailure
}

const fn headless_default() -> bool {
    true
}

/// Builds a [`PlaywrightSpec`].
#[derive(Debug, Clone)]
#[must_use]
pub struct PlaywrightBuilder(PlaywrightSpec);

impl PlaywrightSpec {
    /// A spec for this script with default options.
    pub fn builder(script: impl Into<String>) -> PlaywrightBuilder {
        PlaywrightBuilder(Self {
            script: script.into(),
            viewport: PageSize::Default,
            trace: ArtifactMode::Off,
            video: ArtifactMode::Off,
            screenshot: screenshot_default(),
            headless: headless_default(),
            tokens: Vec::new(),
        })
    }

    /// The options as words of a command line, without those that have their default.
    fn option_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        match self.viewport {
            PageSize::Default => {}
            PageSize::Window => words.extend(["--viewport".to_owned(), "window".to_owned()]),
            PageSize::Fixed(Viewport { width, height }) => {
                words.extend(["--viewport".to_owned(), format!("{width}x{height}")]);
            }
        }
        let artifacts = [
            ("--trace", self.trace, ArtifactMode::Off),
            ("--video", self.video, ArtifactMode::Off),
            ("--screenshot", self.screenshot, screenshot_default()),
        ];
        for (option, mode, default) in artifacts {
            if mode != default {
                words.extend([option.to_owned(), mode.as_option().to_owned()]);
            }
        }
        if !self.headless {
            words.push("--headed".to_owned());
        }
        words
    }
}

impl PlaywrightBuilder {
    /// Size of the page, in CSS pixels.
    pub fn viewport(mut self, width: u32, height: u32) -> Self {
        self.0.viewport = PageSize::Fixed(Viewport { width, height });
        self
    }

    /// Makes the page fill the browser's window.
    pub fn window(mut self) -> Self {
        self.0.viewport = PageSize::Window;
        self
    }

    /// Sets when a trace is kept.
    pub fn trace(mut self, mode: ArtifactMode) -> Self {
        self.0.trace = mode;
        self
    }

    /// Sets when a video is kept.
    pub fn video(mut self, mode: ArtifactMode) -> Self {
        self.0.video = mode;
        self
    }

    /// Sets when a screenshot is kept.
    pub fn screenshot(mut self, mode: ArtifactMode) -> Self {
        self.0.screenshot = mode;
        self
    }

    /// Sets whether the browser has no window.
    pub fn headless(mut self, is_headless: bool) -> Self {
        self.0.headless = is_headless;
        self
    }

    /// Adds a service whose token the script gets, `*` for all.
    pub fn token(mut self, service: impl Into<String>) -> Self {
        self.0.tokens.push(service.into());
        self
    }

    /// The unchecked spec, for callers that check it themselves.
    pub(super) fn into_unchecked(self) -> PlaywrightSpec {
        self.0
    }

    /// Returns the spec, or everything that is out of bounds.
    pub fn build(self) -> Result<PlaywrightSpec, Vec<Refusal>> {
        let refusals = self.0.check(&AllowList::default());
        if refusals.is_empty() { Ok(self.0) } else { Err(refusals) }
    }
}

impl CommandKind for PlaywrightSpec {
    fn kind(&self) -> Kind {
        Kind::Playwright
    }

    fn check(&self, _allowed: &AllowList) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if self.script.trim().is_empty() {
            refusals.push(invalid(
                &["playwright", "script"],
                "must not be empty. Write the source of an ES module",
            ));
        }
        let unfit = text_fault(&["playwright", "script"], &self.script, SCRIPT_BYTES_MAX);
        if refusals.is_empty() && unfit.is_none() {
            let told = syntax::fault(&self.script).map(|fault| format!("does not parse: {fault}"));
            refusals.extend(told.map(|told| invalid(&["playwright", "script"], told)));
        }
        refusals.extend(unfit);
        let fits = |Viewport { width, height }| {
            (1..=VIEWPORT_WIDTH_MAX).contains(&width) && (1..=VIEWPORT_HEIGHT_MAX).contains(&height)
        };
        if !self.viewport.viewport().is_none_or(fits) {
            let message = format!("must be 1x1 to {VIEWPORT_WIDTH_MAX}x{VIEWPORT_HEIGHT_MAX} pixels");
            refusals.push(invalid(&["playwright", "viewport"], message));
        }
        refusals.extend(token_names::faults("playwright", &self.tokens));
        refusals
    }

    fn templates(&self) -> Vec<TemplateAt<'_>> {
        Vec::new()
    }

    fn names_token(&self, service: &str, is_first: bool) -> bool {
        let script = self.script.as_str();
        token_names::in_list(&self.tokens, service, is_first)
            || token_names::in_script(script, service)
            || token_names::in_texts([script].into_iter(), service, is_first)
    }

    fn compose<'a>(
        &'a self,
        _texts: Vec<Text>,
        ingredients: &'a Ingredients<'a>,
    ) -> Result<Box<dyn Task + 'a>, Vec<Refusal>> {
        Ok(Box::new(PlaywrightTask { spec: self, given: ingredients }))
    }
}

/// A composed script.
#[derive(Debug)]
struct PlaywrightTask<'a> {
    spec: &'a PlaywrightSpec,
    given: &'a Ingredients<'a>,
}

impl<'a> PlaywrightTask<'a> {
    /// The services whose tokens the script gets.
    fn tokens(&self) -> impl Iterator<Item = &'a ServiceFacts<'a>> {
        let spec = self.spec;
        let named =
            self.given.with_token().filter(|(service, is_first)| spec.names_token(service.name, *is_first));
        named.map(|(service, _)| service)
    }
}

impl Task for PlaywrightTask<'_> {
    /// The script gets every secret of the job but the tokens that it does not name.
    fn secrets(&self) -> Vec<SecretRef> {
        let mut secrets = self.given.secrets_but_tokens();
        secrets.extend(self.tokens().map(|service| SecretRef::ServiceToken(service.name.to_owned())));
        secrets
    }

    fn masked(&self) -> ComposedParts {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: &str| arguments.extend([name.to_owned(), value.to_owned()]);
        if let Some(profile) = &self.given.profile {
            option("--profile", profile.path);
        }
        if let Some(proxy) = &self.given.proxy {
            option("--proxy", proxy.address);
        }
        let first = self.given.first_token().map(|service| service.id);
        for service in self.tokens() {
            let variable = SecretRef::ServiceToken(service.name.to_owned()).variable_name();
            let is_first = Some(service.id) == first;
            option(
                "--service",
                if is_first { "$SERVICE_TOKEN".to_owned() } else { format!("${variable}") }.as_str(),
            );
        }
        arguments.extend(self.spec.option_words());
        ComposedParts { program: Some("playwright".to_owned()), arguments, http: None }
    }

    fn reveal(&self, values: &SecretValues, paths: &WorkerPaths) -> Result<Run, RevealError> {
        let spec = self.spec;
        let line = json!({
            "v": 1,
            "job": self.given.job.map(|job| job.id),
            "attempt": self.given.job.map(|job| job.attempt),
            "script": spec.script,
            "input": values.full_input(self.given)?,
            "services": values.services(self.given, &|service, is_first| spec.names_token(service, is_first))?,
            "profile": values.profile(self.given, paths)?,
            "proxy": values.proxy(self.given, "socks5")?,
            "options": {
                "viewport": spec.viewport.viewport(),
                "trace": spec.trace,
                "video": spec.video,
                "screenshot": spec.screenshot,
                "har": ArtifactMode::Off,
                "headless": spec.headless,
            },
            "artifactsDirectory": paths.artifacts_directory,
            "chromium": paths.chromium,
            "sandbox": paths.sandbox,
            "secretsToMask": values.texts_to_mask(),
        });
        Ok(Run::Process(ProcessPlan {
            program: Program::Runner,
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Some(format!("{line}\n").into()),
            protocol: OutputProtocol::Events,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_size_is_an_absent_field_and_the_window_is_null() {
        let spec = |builder: PlaywrightBuilder| serde_json::to_value(builder.build().unwrap()).unwrap();
        let builder = || PlaywrightSpec::builder("1");
        assert_eq!(spec(builder()).get("viewport"), None);
        assert_eq!(spec(builder().window())["viewport"], json!(null));
        assert_eq!(spec(builder().viewport(8, 9))["viewport"], json!({ "width": 8, "height": 9 }));
        for builder in [builder(), builder().window(), builder().viewport(1280, 720)] {
            let built = builder.build().unwrap();
            let stored = serde_json::to_value(&built).unwrap();
            assert_eq!(serde_json::from_value::<PlaywrightSpec>(stored).unwrap(), built);
        }
    }
}
