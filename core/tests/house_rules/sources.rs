//! Every Rust file of the workspace, and the room that it stands in.
//!
//! A room is a folder. A file beside a folder of its own name (`live.rs` and `live/`) belongs to
//! that folder, and a file at the top of a crate is a room by itself.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::arrows;

/// The packages, by folder and by the name that other packages import.
pub(crate) const PACKAGES: [(&str, &str); 6] = [
    ("core", "callboard"),
    ("api", "callboard_api"),
    ("worker", "callboard_worker"),
    ("bench", "callboard_bench"),
    ("test-support", "callboard_test_support"),
    ("protocol-model", "callboard_protocol_model"),
];

/// The Rust files of all packages: their texts, by their paths from the workspace's root.
pub(crate) static SOURCES: LazyLock<BTreeMap<String, String>> = LazyLock::new(read);

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read() -> BTreeMap<String, String> {
    let root = root();
    let mut sources = BTreeMap::new();
    let mut folders: Vec<PathBuf> = PACKAGES.iter().map(|(package, _)| root.join(package)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                sources.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(sources.len() > 80, "only {} files were found", sources.len());
    sources
}

/// A file as a tree of syntax. Made anew for each test: such trees cannot be shared between
/// threads.
pub(crate) fn parse(path: &str) -> syn::File {
    syn::parse_file(&SOURCES[path]).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The file of the module `name` in a folder of modules.
pub(crate) fn module(folder: &str, name: &str) -> Option<String> {
    let candidates = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
    candidates.into_iter().find(|path| SOURCES.contains_key(path))
}

/// The file of the module around that of this file.
pub(crate) fn parent(path: &str) -> Option<String> {
    let folder = path.rsplit_once('/')?.0;
    let around = if path.ends_with("/mod.rs") { folder.rsplit_once('/')?.0 } else { folder };
    let candidates = ["/mod.rs", ".rs", "/lib.rs", "/main.rs"].map(|end| format!("{around}{end}"));
    candidates.into_iter().find(|path| SOURCES.contains_key(path))
}

/// The folder in which the modules of a file stand.
pub(crate) fn modules_of(path: &str) -> &str {
    let folder = path.rsplit_once('/').unwrap().0;
    if is_root(path) || path.ends_with("/mod.rs") { folder } else { path.trim_end_matches(".rs") }
}

/// The room of a file: its folder, without `/src`.
pub(crate) fn room(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap();
    let own = path.trim_end_matches(".rs");
    let is_top = folder.ends_with("/src") && !is_root(path);
    let room = if is_top || has_folder(own) && file != "mod.rs" { own } else { folder };
    arrows::one_room(&room.replacen("/src", "", 1)).to_owned()
}

fn has_folder(folder: &str) -> bool {
    let below = format!("{folder}/");
    SOURCES.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below))
}

/// Whether a file is the root of a crate.
pub(crate) fn is_root(path: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap();
    matches!(file, "lib.rs" | "main.rs" | "build.rs") || folder.ends_with("/tests")
}
