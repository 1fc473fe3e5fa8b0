//! The files that a program or a script has left in `CALLBOARD_ARTIFACTS`, which become its
//! artifacts.
//!
//! The runner announces the files of `artifact()` one by one. A program has no such way, and a
//! script may write files by itself, so the directory is read when the process has ended, whatever
//! its outcome.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::LazyLock,
};

use callboard::secret::Redactor;

use super::{artifacts::AnnouncedFile, redaction};

/// The runner has its content types from the same file.
const TABLE: &str = include_str!("../../../runner/src/content-types.json");

/// Content types by the end of a file's name, in lower case.
static CONTENT_TYPES: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| serde_json::from_str(TABLE).unwrap_or_default());

/// The first `most` of what stands in the directory besides the `announced` files, in the order of
/// the names, and how many more there are. Names that begin with a dot are the program's own
/// business.
pub(super) fn list(
    directory: &Path,
    announced: &HashSet<OsString>,
    most: usize,
    redactor: &Redactor,
) -> io::Result<(Vec<AnnouncedFile>, usize)> {
    let (mut first, mut more) = (BTreeSet::new(), 0);
    for entry in fs::read_dir(directory)? {
        let path = entry?.file_name();
        if !path.as_bytes().starts_with(b".") && !announced.contains(&path) {
            first.insert(path);
        }
        if first.len() > most {
            first.pop_last();
            more += 1;
        }
    }
    Ok((first.into_iter().map(|path| file(path, redactor)).collect(), more))
}

/// A file by its name in the directory, without secrets. U+FFFD stands in it for what is not UTF-8,
/// and for what a name of an artifact must not have.
fn file(path: OsString, redactor: &Redactor) -> AnnouncedFile {
    let content_type = content_type(&path.to_string_lossy()).to_owned();
    let name = redaction::decoded(path.as_bytes(), redactor);
    let name = redactor.redact(&name).replace(|c: char| c == '\\' || c.is_control(), "\u{FFFD}");
    AnnouncedFile { name, content_type, path }
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
        let names = [b"c\xe9.txt".as_slice(), b"line\nbreak.md"];
        let names = names.map(|bytes| OsString::from_vec(bytes.to_vec()));
        let none = Redactor::new([]);
        for name in &names {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let (listed, more) = list(directory.path(), &HashSet::new(), 6, &none).unwrap();
        assert!(names.iter().all(|name| listed.iter().any(|file| file.path == *name)));
        let listed: Vec<(String, String)> =
            listed.into_iter().map(|file| (file.name, file.content_type)).collect();
        let expected = [
            ("README", "application/octet-stream"),
            ("a.tar.gz", "application/gzip"),
            ("b.CSV", "text/csv; charset=utf-8"),
            ("c\u{FFFD}.txt", "text/plain; charset=utf-8"),
            ("line\u{FFFD}break.md", "text/markdown; charset=utf-8"),
            ("日本.png", "image/png"),
        ];
        assert_eq!(
            (listed, more),
            (expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into(), 0)
        );
        let (listed, more) = list(directory.path(), &HashSet::from(["README".into()]), 3, &none).unwrap();
        assert_eq!((listed[2].name.as_str(), more), ("c\u{FFFD}.txt", 2));
    }

    /// Every secret that a name can hold, with characters that a name of an artifact must not have,
    /// in the bytes of either encoding.
    #[test]
    fn names_are_masked_before_anything_stands_in_them() {
        for secret in [
            "wTq8\\Kd93ff;x,yz",
            "escQ\tQx7y9Tabulator",
            "line-one-abc\nline-two-def",
            "P\u{e4}ssw\u{f6}rt-9\u{e9}",
        ] {
            let redactor = Redactor::new([&secret.into()]);
            let latin_1: Vec<u8> = secret.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            for bytes in [secret.as_bytes(), &latin_1] {
                for (before, after, shown) in
                    [("a.", ".txt", "a.***.txt"), ("", "", "***"), ("\u{1}", "\\b", "\u{FFFD}***\u{FFFD}b")]
                {
                    let name = [before.as_bytes(), bytes, after.as_bytes()].concat();
                    assert_eq!(file(OsString::from_vec(name), &redactor).name, shown, "{secret:?}");
                }
                // What is in no encoding besides it.
                let name = [b"\xff.", secret.as_bytes(), b".txt"].concat();
                assert_eq!(file(OsString::from_vec(name), &redactor).name, "\u{FFFD}.***.txt", "{secret:?}");
            }
        }
    }
}
