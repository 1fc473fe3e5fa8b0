//! The programs that a PROGRAM command may run.
//!
//! Set by the operator. Checked when a command is saved, and again by the worker on the canonical
//! path, because a path can be a link. Pure: never looks at the file system.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The program that runs nothing, for benchmarks. Allowed only if the list names it.
pub const NOOP: &str = "callboard:noop";

/// The directories and files that may be run. An empty list allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AllowList {
    entries: Vec<String>,
    noop: bool,
}

/// A text that is not an allow-list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{entry}` is not an absolute path without `.` and `..`. Write entries as /usr/bin:/opt/tools/report"
)]
pub struct BadAllowList {
    /// The bad entry, cut to 200 characters.
    pub entry: String,
}

impl AllowList {
    /// Parses entries separated by `:`, such as `/usr/bin:/opt/tools/report:callboard:noop`. A
    /// directory allows everything below it.
    pub fn parse(text: &str) -> Result<Self, BadAllowList> {
        let mut list = Self::default();
        let mut parts = text.split(':').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            // `callboard:noop` is the one entry that contains a colon itself.
            if Some((part, parts.peek().copied()))
                == NOOP.split_once(':').map(|(head, tail)| (head, Some(tail)))
            {
                parts.next();
                list.noop = true;
                continue;
            }
            let entry = if part == "/" { part } else { part.trim_end_matches('/') };
            if !is_plain_path(entry) {
                return Err(BadAllowList { entry: part.chars().take(200).collect() });
            }
            list.entries.push(entry.to_owned());
        }
        Ok(list)
    }

    /// Whether this program may be run. Compares the path as written.
    pub fn allows(&self, program: &str) -> bool {
        if program == NOOP {
            return self.noop;
        }
        let is_at_or_below = |entry: &String| {
            let below = program.strip_prefix(entry.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || entry == "/")
        };
        program != "/" && is_plain_path(program) && self.entries.iter().any(is_at_or_below)
    }

    /// The directories and files, for the check where the program runs.
    pub fn paths(&self) -> Vec<std::path::PathBuf> {
        self.entries.iter().map(std::path::PathBuf::from).collect()
    }

    /// The paths at which to look for a bare name (`node`), in order. An entry that is itself a
    /// file matches its own name.
    pub fn candidates<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.entries.iter().flat_map(move |entry| {
            let own = entry.rsplit('/').next().filter(|last| *last == name).map(|_| entry.clone());
            own.into_iter().chain([format!("{}/{name}", entry.trim_end_matches('/'))])
        })
    }
}

/// Whether the path is absolute and has no empty, `.` or `..` parts.
fn is_plain_path(path: &str) -> bool {
    let part_is_fine = |part: &str| !part.is_empty() && part != "." && part != "..";
    path == "/"
        || path
            .strip_prefix('/')
            .is_some_and(|rest| !path.contains('\0') && rest.split('/').all(part_is_fine))
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noop = self.noop.then_some(NOOP);
        let all: Vec<&str> = self.entries.iter().map(String::as_str).chain(noop).collect();
        if all.is_empty() { f.write_str("none") } else { f.write_str(&all.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_allows_its_entries_and_everything_below_them() {
        let list = AllowList::parse("/usr/bin/:/opt/tools/report:callboard:noop").unwrap();
        for fine in ["/usr/bin/node", "/usr/bin/a/b", "/opt/tools/report", NOOP] {
            assert!(list.allows(fine), "{fine}");
        }
        for bad in [
            "",
            "/",
            "node",
            "usr/bin/node",
            "/usr/binx",
            "/usr/sbin/x",
            "/usr/bin/../sbin/x",
            "/usr/bin//x",
            "/usr/bin/./x",
            "/opt/tools",
            "/opt/tools/reporter",
            "/usr/bin/",
            "/usr/bin/x\0",
            "callboard:other",
            "callboard",
        ] {
            assert!(!list.allows(bad), "{bad}");
        }
        assert_eq!(list.to_string(), "/usr/bin, /opt/tools/report, callboard:noop");
    }

    #[test]
    fn an_empty_list_allows_nothing_and_noop_must_be_named() {
        assert!(!AllowList::default().allows("/bin/true"));
        assert!(!AllowList::parse("/usr/bin").unwrap().allows(NOOP));
        assert!(AllowList::parse(NOOP).unwrap().allows(NOOP));
        assert!(AllowList::parse("/").unwrap().allows("/any/thing"));
        assert_eq!(AllowList::parse("").unwrap().to_string(), "none");
    }

    #[test]
    fn entries_that_are_not_absolute_paths_are_refused() {
        for bad in ["bin", "/usr/../bin", "callboard", "noop", "noop:callboard", "~/bin", "/a//b"] {
            assert!(AllowList::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bare_name_is_looked_up_in_order() {
        let list = AllowList::parse("/usr/bin:/opt/node").unwrap();
        let found: Vec<String> = list.candidates("node").collect();
        assert_eq!(found, ["/usr/bin/node", "/opt/node", "/opt/node/node"]);
    }
}
