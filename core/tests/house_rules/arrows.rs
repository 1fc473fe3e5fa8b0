//! Which room may import which: the table in arrows.txt, and the imports of today's sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use crate::{
    imports::rooms_imported,
    sources::{SOURCES, is_root, room},
};

/// Folders that are one room with everything inside. GraphQL's types name each other, as the
/// contract has them: a job has attempts, and an attempt has a job.
const ONE_ROOM: [&str; 1] = ["api/graphql"];

/// The room that a folder belongs to.
pub(crate) fn one_room(folder: &str) -> &str {
    let is_inside = |outer: &&&str| {
        folder.strip_prefix(**outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    ONE_ROOM.iter().find(is_inside).copied().unwrap_or(folder)
}

/// Every room, with the rooms that it imports.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The arrows that are allowed: a line per room, `room: imported imported`. Lines that begin with
/// `#` are comments.
pub(crate) fn allowed() -> Arrows {
    let lines = include_str!("arrows.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (room, imported) = line.split_once(':').unwrap_or_else(|| panic!("arrows.txt: {line}"));
            (room.to_owned(), imported.split_whitespace().map(str::to_owned).collect())
        })
        .collect()
}

/// The arrows of one that the other lacks, as sentences that begin with `verb`.
pub(crate) fn missing(these: &Arrows, in_those: &Arrows, verb: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for (room, imported) in these {
        match in_those.get(room) {
            Some(others) => {
                missing.extend(imported.difference(others).map(|other| format!("{room} {verb} {other}")));
            }
            None => missing.push(format!("{room} {verb} anything: one of the two lists has no such room")),
        }
    }
    missing
}

/// The imports of today's sources. What a crate's own root holds for its rooms (macros) is no
/// import.
pub(crate) static TODAY: LazyLock<Arrows> = LazyLock::new(|| {
    let mut arrows = Arrows::new();
    for path in SOURCES.keys() {
        let room = room(path);
        let package = room.split('/').next().unwrap_or_default().to_owned();
        let mut imported = rooms_imported(path);
        imported.retain(|other| *other != package || is_root(path));
        arrows.entry(room).or_default().extend(imported);
    }
    arrows
});

/// The same between folders of this depth at most: a folder stands for everything inside. What a
/// folder holds for the folders inside is no arrow.
pub(crate) fn outer(arrows: &Arrows, depth: usize) -> Arrows {
    let folder = |room: &str| room.split('/').take(depth).collect::<Vec<_>>().join("/");
    let mut outer = Arrows::new();
    for (room, imported) in arrows {
        let from = folder(room);
        let others = imported.iter().map(|other| folder(other)).filter(|to| *to != from);
        outer.entry(from.clone()).or_default().extend(others);
    }
    outer
}

/// Rooms that import each other, by way of others or not; each circle and the list of them are
/// sorted.
pub(crate) fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|room| (room.as_str(), reachable(arrows, room))).collect();
    let mut circles = BTreeSet::new();
    for (room, reached) in &reach {
        if reached.contains(room) {
            let is_together = |other: &&&str| reach.get(**other).is_some_and(|back| back.contains(room));
            circles.insert(reached.iter().filter(is_together).map(|room| (*room).to_owned()).collect());
        }
    }
    circles.into_iter().collect()
}

fn reachable<'a>(arrows: &'a Arrows, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = arrows[from].iter().map(String::as_str).collect();
    while let Some(room) = open.pop() {
        if reached.insert(room) {
            open.extend(arrows.get(room).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}
