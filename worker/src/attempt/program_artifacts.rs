//! The files that a program has left in `CALLBOARD_ARTIFACTS`, which become its artifacts.
//!
//! A script of the runner announces its files one by one. A program has no such way, so its
//! directory is read when it has ended, whatever its outcome.

use std::{fs, io, path::Path};

use super::artifacts::AnnouncedFile;

/// Most names that are read. What goes beyond an attempt's number of artifacts is only counted.
const NAMES_MAX: usize = 10_000;

/// Content types by the end of a file's name, in lower case.
const CONTENT_TYPES: [(&str, &str); 22] = [
    ("txt", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("xml", "application/xml"),
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("har", "application/json"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tar", "application/x-tar"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
];

/// What stands in the directory, in the order of the names. Names that begin with a dot are the
/// program's own business.
pub(super) fn list(directory: &Path) -> io::Result<Vec<AnnouncedFile>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)?.take(NAMES_MAX) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    let announced = |name: String| {
        let content_type = content_type(&name).to_owned();
        AnnouncedFile { path: name.clone(), name, content_type }
    };
    Ok(names.into_iter().map(announced).collect())
}

fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let found = CONTENT_TYPES.iter().find(|(known, _)| extension.as_deref() == Some(*known));
    found.map_or("application/octet-stream", |(_, content_type)| content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_by_name_with_their_type() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b.CSV", "a.tar.gz", ".hidden", "日本.png", "README"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let listed: Vec<(String, String)> =
            list(directory.path()).unwrap().into_iter().map(|file| (file.path, file.content_type)).collect();
        let expected = [
            ("README", "application/octet-stream"),
            ("a.tar.gz", "application/gzip"),
            ("b.CSV", "text/csv; charset=utf-8"),
            ("日本.png", "image/png"),
        ];
        assert_eq!(listed, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    }
}
