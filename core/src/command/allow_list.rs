//! Which programs a PROGRAM command may run. Set by the operator, checked when a command is saved and again by the worker
//! on the canonical path, because a path can be a link. Pure: looks at texts, never at the file system.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The program that runs nothing, for measuring everything around it. Allowed only where the list names it.
pub const NOOP: &str = "callboard:noop";

/// Directories and files that may be run; empty allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AllowList {
    entries: Vec<String>,
    noop: bool,
}

/// Why a text is not an allow-list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{entry}` is not an absolute path without `.` and `..`: write entries as /usr/bin:/opt/tools/report"
)]
pub struct BadAllowList {
    /// The entry, cut to 200 characters.
    pub entry: String,
}

impl AllowList {
    /// Reads entries separated by `:`, e.g. `/usr/bin:/opt/tools/report:callboard:noop`. A directory allows everything
    /// below it.
    pub fn parse(text: &str) -> Result<Self, BadAllowList> {
        let mut list = Self::default();
        let mut parts = text.split(':').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            // The colon of the one entry that has one: `callboard:noop`.
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

    /// Whether this program may be run, by its path as it is written.
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

    /// The directories and files, for whoever checks a program again where it runs.
    pub fn paths(&self) -> Vec<std::path::PathBuf> {
        self.entries.iter().map(std::path::PathBuf::from).collect()
    }

    /// Where a bare name (`node`) is looked for, in order. An entry that is itself a file finds its own name.
    pub fn candidates<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.entries.iter().flat_map(move |entry| {
            let own = entry.rsplit('/').next().filter(|last| *last == name).map(|_| entry.clone());
            own.into_iter().chain([format!("{}/{name}", entry.trim_end_matches('/'))])
        })
    }
}

/// Absolute, and without parts that say nothing (`//`, `.`) or lead out (`..`).
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
    fn allows_what_it_names_and_what_is_below() {
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
    fn refuses_entries_that_are_no_paths() {
        for bad in ["bin", "/usr/../bin", "callboard", "noop", "noop:callboard", "~/bin", "/a//b"] {
            assert!(AllowList::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bare_name_is_looked_for_in_order() {
        let list = AllowList::parse("/usr/bin:/opt/node").unwrap();
        let found: Vec<String> = list.candidates("node").collect();
        assert_eq!(found, ["/usr/bin/node", "/opt/node", "/opt/node/node"]);
    }
}
