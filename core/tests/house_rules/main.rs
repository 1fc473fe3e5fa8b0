//! The house's rules, checked: sizes, names, and who may import whom (docs/architecture.md).

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod arrows;
mod imports;
mod rooms;
mod sources;
mod stored;

use syn::visit::{self, Visit};

use sources::{SOURCES, parse, root};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const BANNED_NAMES: [&str; 6] = ["utils", "util", "helpers", "common", "misc", "manager"];

fn expect_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn no_file_is_long() {
    let broken: Vec<String> = SOURCES
        .iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    expect_none(&format!("files have at most {FILE_LINES_MAX} lines"), &broken);
}

#[test]
fn no_function_is_long() {
    struct Functions<'a>(&'a str, Vec<String>);
    impl Functions<'_> {
        fn check(&mut self, name: &syn::Ident, block: &syn::Block) {
            let (open, close) =
                (block.brace_token.span.open().start().line, block.brace_token.span.close().end().line);
            if close - open > FUNCTION_LINES_MAX {
                self.1.push(format!("{}: {name}: {} lines", self.0, close - open));
            }
        }
    }
    impl<'ast> Visit<'ast> for Functions<'_> {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.check(&item.sig.ident, &item.block);
            visit::visit_item_fn(self, item);
        }
        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.check(&item.sig.ident, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }
    let mut broken = Vec::new();
    for name in SOURCES.keys() {
        let mut functions = Functions(name, Vec::new());
        functions.visit_file(&parse(name));
        // A statement of SQL is one thing, however many lines it has; so is the table of a table
        // test.
        if !name.starts_with("core/src/store/") && !name.contains("/tests/") {
            broken.extend(functions.1);
        }
    }
    expect_none(
        &format!(
            "functions have at most {FUNCTION_LINES_MAX} lines (statements of SQL and tables of tests aside)"
        ),
        &broken,
    );
}

#[test]
fn names_say_something() {
    let is_banned = |name: &str| name.split(['/', '.', '_']).any(|part| BANNED_NAMES.contains(&part));
    let broken: Vec<String> = SOURCES.keys().filter(|name| is_banned(name)).cloned().collect();
    expect_none("no file is called utils, helpers, common, misc or manager", &broken);
}

#[test]
fn every_module_says_what_it_is() {
    let has_header = |text: &str| text.starts_with("//! ");
    let broken: Vec<String> =
        SOURCES.iter().filter(|(_, text)| !has_header(text)).map(|(name, _)| name.clone()).collect();
    expect_none("every file begins with what it is for", &broken);
}

const COMMENT_COLUMNS_MAX: usize = 100;

#[test]
fn comments_are_narrow() {
    let is_wide =
        |line: &str| line.trim_start().starts_with("//") && line.chars().count() > COMMENT_COLUMNS_MAX;
    let broken = lines_that(|line| is_wide(line));
    expect_none(&format!("comments have at most {COMMENT_COLUMNS_MAX} columns"), &broken);
}

/// Who calls a function changes, and nothing would keep the comment true.
#[test]
fn headers_name_no_callers() {
    let broken = lines_that(|line| line.starts_with("//!") && line.contains("Called by"));
    expect_none("headers do not say who calls what is in the file", &broken);
}

fn lines_that(is_broken: impl Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, text) in &*SOURCES {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| is_broken(line));
        broken.extend(lines.map(|(number, _)| format!("{name}:{number}")));
    }
    broken
}

/// `folder` may not contain `word`, outside of comments.
fn forbid(folder: &str, except: &[&str], words: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, text) in &*SOURCES {
        if !name.starts_with(folder) || except.iter().any(|allowed| name.starts_with(allowed)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words.iter().filter(|word| code.contains(**word)) {
                broken.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    broken
}

/// The rings of core, from the inside. A room imports from its own ring and from those inside it.
const RINGS: [&[&str]; 3] = [
    &[
        "api_key",
        "audit",
        "bounds",
        "cache",
        "clock",
        "command",
        "command_kind",
        "compose",
        "duration",
        "ids",
        "job",
        "limit",
        "mutant",
        "name",
        "patch",
        "percent",
        "policy",
        "profile",
        "proxy",
        "refusal",
        "schedule",
        "secret",
        "service",
        "text",
    ],
    &["evaluator", "hardening", "settings", "startup", "store", "telemetry", "transport"],
    &["catalogue", "recipes", "steps"],
];

#[test]
fn imports_point_inwards() {
    let ring = |room: &str| {
        let name = room.split('/').nth(1)?;
        RINGS.iter().position(|ring| ring.contains(&name))
    };
    let mut broken = Vec::new();
    for (room, imported) in
        arrows::TODAY.iter().filter(|(room, _)| room.starts_with("core/") && !room.contains("/tests"))
    {
        let Some(own) = ring(room) else {
            broken.push(format!("{room} belongs to no ring"));
            continue;
        };
        // Unit tests may import it.
        let compiled = imported.iter().filter(|other| !other.starts_with("test-support/"));
        let outside = compiled.filter(|other| ring(other).is_none_or(|other| other > own));
        broken.extend(outside.map(|other| format!("{room} imports {other}, which is further out")));
    }
    let impure = ["sqlx", "redis::", "tokio", "async fn", "apalis"];
    for room in RINGS[0] {
        broken.extend(forbid(&format!("core/src/{room}."), &[], &impure));
        broken.extend(forbid(&format!("core/src/{room}/"), &[], &impure));
    }
    expect_none("rings import inwards only, and the innermost one is pure", &broken);
}

/// Where the crates of the world outside may be used.
const CRATES: [(&str, &[&str]); 4] = [
    ("sqlx", &["core/src/store/"]),
    ("redis", &["core/src/transport/"]),
    ("apalis", &["core/src/transport/queue.rs", "worker/src/intake.rs"]),
    ("apalis_core", &["core/src/transport/queue.rs", "worker/src/intake.rs"]),
];

#[test]
fn sql_redis_and_apalis_stay_in_their_rooms() {
    let is_checked =
        |path: &&String| ["core/src/", "api/src/", "worker/src/"].iter().any(|src| path.starts_with(src));
    let mut broken = Vec::new();
    for path in SOURCES.keys().filter(is_checked) {
        let roots = imports::roots(path);
        for (name, rooms) in CRATES {
            if roots.contains(name) && !rooms.iter().any(|room| path.starts_with(room)) {
                broken.push(format!("{path} uses {name}"));
            }
        }
    }
    expect_none("SQL only in store/, Redis only in transport/, apalis in one file of each crate", &broken);
}

/// Otherwise a room could be imported by way of the root, which counts as no room.
#[test]
fn the_root_of_core_passes_nothing_on() {
    let uses = parse("core/src/lib.rs").items.into_iter().filter(|item| matches!(item, syn::Item::Use(_)));
    assert_eq!(uses.count(), 0, "core/src/lib.rs declares modules only");
}

#[test]
fn every_package_is_checked() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find(|line| line.starts_with("members = ")).unwrap();
    let named: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert_eq!(named, sources::PACKAGES.map(|(package, _)| package));
}

#[test]
fn rooms_import_what_the_table_allows() {
    let (today, allowed) = (&*arrows::TODAY, arrows::allowed());
    if std::env::var_os("UPDATE_ARROWS").is_some() {
        for (room, imported) in today {
            println!("{room}: {}", imported.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        }
    }
    let mut broken = arrows::missing(today, &allowed, "may not import");
    broken.extend(arrows::missing(&allowed, today, "does not import"));
    expect_none("core/tests/house_rules/arrows.txt lists what each room imports", &broken);
}

#[test]
fn no_folders_import_each_other() {
    for depth in 2..=5 {
        let circles = arrows::circles(&arrows::outer(&arrows::TODAY, depth));
        assert!(circles.is_empty(), "these import each other, by way of others or not: {circles:#?}");
    }
}

/// Around the table of rooms in docs/architecture.md.
const MARKS: [&str; 2] = ["<!-- rooms:begin -->\n", "<!-- rooms:end -->\n"];

#[test]
fn the_architecture_lists_every_room() {
    let path = root().join("docs/architecture.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let current = [before, MARKS[0], &rooms::table(&arrows::allowed()), MARKS[1], after].concat();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    assert!(
        stored == current,
        "docs/architecture.md is out of date: run UPDATE_DOCS=1 cargo test --package callboard --test house_rules"
    );
}
