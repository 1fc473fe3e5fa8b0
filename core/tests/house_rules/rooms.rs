//! The table of rooms in docs/architecture.md, made from the table of arrows and from what each
//! room says of itself.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    arrows::Arrows,
    sources::{SOURCES, is_root, room},
};

/// The table, without the rooms of tests: what each room is for, and what it imports.
pub(crate) fn table(arrows: &Arrows) -> String {
    let mut table = String::from("| room | what it is for | imports |\n|---|---|---|\n");
    for (room, imported) in arrows.iter().filter(|(room, _)| !room.contains("/tests")) {
        writeln!(table, "| `{room}` | {} | {} |", purpose(room), short(room, imported)).unwrap();
    }
    table
}

/// The first sentence of the room's own file.
fn purpose(of: &str) -> String {
    let is_own = |path: &str| {
        let name = path.trim_end_matches(".rs").trim_end_matches("/mod").replacen("/src", "", 1);
        name == of || is_root(path) && !path.ends_with("build.rs") && room(path) == of
    };
    let (_, text) = SOURCES
        .iter()
        .find(|(path, _)| is_own(path))
        .unwrap_or_else(|| panic!("{of} has no file of its own"));
    let header = text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = header.take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ").replace(['[', ']'], "").replace('|', "\\|");
    let end = paragraph.find(". ").map_or(paragraph.len(), |dot| dot + 1);
    paragraph[..end].to_owned()
}

/// Rooms by their names in their package; those of the room's own package first.
fn short(of: &str, imported: &BTreeSet<String>) -> String {
    let own = of.split('/').next().unwrap_or_default();
    let (near, far): (Vec<&String>, Vec<&String>) =
        imported.iter().partition(|other| other.split('/').next() == Some(own));
    let near = near.iter().map(|other| other.strip_prefix(own).unwrap_or_default().trim_start_matches('/'));
    let near: Vec<&str> = near.filter(|other| !other.is_empty()).collect();
    let far: Vec<&str> = far.iter().map(|other| other.as_str()).collect();
    [near, far].concat().join(", ")
}
