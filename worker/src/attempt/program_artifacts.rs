//! The files that a program or a script has left in `CALLBOARD_ARTIFACTS`, which become its
//! artifacts.
//!
//! The runner announces the files of `artifact()` one by one. A program has no such way, and a
//! script may write files by itself, so the directory is read when the process has ended, whatever
//! its outcome.

use std::{collections::BTreeMap, ffi::OsString, fs, io, path::Path, sync::LazyLock};

use super::artifacts::AnnouncedFile;

/// Most names that are read. What goes beyond an attempt's number of artifacts is only counted.
const NAMES_MAX: usize = 10_000;

/// The runner has its content types from the same file.
const TABLE: &str = include_str!("../../../runner/src/content-types.json");

/// Content types by the end of a file's name, in lower case.
static CONTENT_TYPES: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| serde_json::from_str(TABLE).unwrap_or_default());

/// What stands in the directory, in the order of the names. In a name that is not UTF-8, U+FFFD stands
/// for what is not. Names that begin with a dot are the program's own business.
pub(super) fn list(directory: &Path) -> io::Result<Vec<AnnouncedFile>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)?.take(NAMES_MAX) {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_unstable();
    let announced = |path: OsString| {
        let name = path.to_string_lossy().into_owned();
        let content_type = content_type(&name).to_owned();
        AnnouncedFile { name, content_type, path }
    };
    Ok(names.into_iter().map(announced).collect())
}

fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let found = extension.and_then(|extension| CONTENT_TYPES.get(extension.as_str()));
    found.copied().unwrap_or("application/octet-stream")
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn the_table_of_the_runner_is_read() {
        assert!(CONTENT_TYPES.len() > 20);
        for (extension, content_type) in &*CONTENT_TYPES {
            assert_eq!(extension.to_lowercase(), *extension);
            assert!(content_type.contains('/'), "{extension}");
        }
    }

    #[test]
    fn files_are_listed_by_name_with_their_type() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.CSV", "a.tar.gz", ".hidden", "日本.png", "README"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let latin = OsString::from_vec(b"caf\xe9.txt".to_vec());
        fs::write(directory.path().join(&latin), "").unwrap();
        assert!(list(directory.path()).unwrap().iter().any(|file| file.path == latin));
        let listed: Vec<(String, String)> =
            list(directory.path()).unwrap().into_iter().map(|file| (file.name, file.content_type)).collect();
        let expected = [
            ("README", "application/octet-stream"),
            ("a.tar.gz", "application/gzip"),
            ("b.CSV", "text/csv; charset=utf-8"),
            ("caf\u{FFFD}.txt", "text/plain; charset=utf-8"),
            ("日本.png", "image/png"),
        ];
        assert_eq!(listed, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    }
}
