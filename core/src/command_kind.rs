//! The kinds of command. Pure.

use serde::{Deserialize, Serialize};

/// The kinds of command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A script in a real browser.
    Playwright,
    /// One HTTP request.
    Http,
    /// An allow-listed program with arguments.
    Program,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Playwright, Self::Http, Self::Program];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Playwright => "playwright",
            Self::Http => "http",
            Self::Program => "program",
        }
    }

    /// From what is stored.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }
}
