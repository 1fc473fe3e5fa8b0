//! Streams a file of the artifact root, with headers that keep browsers from treating it as a page.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{ArtifactFile, range::Part};
use crate::entity_tag;

/// Media types that a browser may show in place. All others are downloaded.
const SHOWN: [&str; 8] = [
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "video/webm",
    "video/mp4",
    "text/plain",
    "application/json",
];
/// Nothing in the file may load, run or be framed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
);

/// Opens the file and creates the response to a request with these headers: the whole file, the
/// part that it asks for, or that the client has it already.
pub(super) async fn open(
    root: &Path,
    known: &ArtifactFile,
    method: &Method,
    asked: &HeaderMap,
) -> io::Result<Response> {
    let path = below(root, &known.path).await?;
    let mut file = tokio::fs::File::open(&path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let length = metadata.len();
    let tag = strong_tag(&known.sha256);
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), known, tag.clone());
    if entity_tag::is_known(asked, tag.to_str().unwrap_or_default()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    // A range means something in a GET only.
    let part = if *method == Method::GET { Part::asked(asked, length, &tag) } else { Part::Whole };
    let (status, size) = match part {
        Part::Whole => (StatusCode::OK, length),
        Part::Range { first, last } => {
            file.seek(io::SeekFrom::Start(first)).await?;
            (StatusCode::PARTIAL_CONTENT, last - first + 1)
        }
        Part::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0),
    };
    *response.status_mut() = status;
    *response.body_mut() = Body::from_stream(ReaderStream::with_capacity(file.take(size), 64 * 1024));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    let range = match part {
        Part::Whole => None,
        Part::Range { first, last } => Some(format!("bytes {first}-{last}/{length}")),
        Part::Unsatisfiable => Some(format!("bytes */{length}")),
    };
    if let Some(range) = range.and_then(|range| HeaderValue::from_str(&range).ok()) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// Sets the headers that all responses of a file have.
fn describe(headers: &mut HeaderMap, known: &ArtifactFile, tag: HeaderValue) {
    let essence = known.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_shown = SHOWN.contains(&essence.as_str());
    let content_type =
        if essence == "text/plain" { "text/plain; charset=utf-8" } else { &known.content_type };
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    headers.insert(header::ETAG, tag);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(is_shown, &known.name));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=600"));
    // The signed URL gives access, so other sites may show the file to clients that have it.
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
}

/// The strong entity tag of a file, which never changes under its id.
fn strong_tag(sha256: &[u8; 32]) -> HeaderValue {
    let text = format!("\"{}\"", hex::encode(sha256));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Resolves the file's real path, which must lie below the root after following links.
async fn below(root: &Path, path: &str) -> io::Result<PathBuf> {
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::Error::other("a path that leaves the artifact root"));
    }
    let (root, full) =
        tokio::try_join!(tokio::fs::canonicalize(root), tokio::fs::canonicalize(root.join(relative)))?;
    if full.starts_with(&root) {
        Ok(full)
    } else {
        Err(io::Error::other("a link that leaves the artifact root"))
    }
}

/// RFC 6266: a plain name for old clients and the exact name for all others.
fn disposition(is_shown: bool, name: &str) -> HeaderValue {
    let kind = if is_shown { "inline" } else { "attachment" };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let exact: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let text = format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_quoted_in_headers() {
        let text = |name| disposition(false, name).to_str().unwrap().to_owned();
        assert_eq!(text("a b.png"), "attachment; filename=\"a b.png\"; filename*=UTF-8''a%20b.png");
        assert_eq!(
            text("\"\r\nx: ä"),
            "attachment; filename=\"___x_ _\"; filename*=UTF-8''%22%0D%0Ax%3A%20%C3%A4"
        );
        assert!(disposition(true, "x").to_str().unwrap().starts_with("inline"));
    }

    #[tokio::test]
    async fn files_outside_the_root_are_not_read() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("job")).unwrap();
        std::fs::write(root.path().join("job/a.png"), "png").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("job/link")).unwrap();
        assert!(below(root.path(), "job/a.png").await.is_ok());
        let absolute = outside.path().join("secret").display().to_string();
        for bad in ["../secret", "job/../../secret", "job/link", &absolute, "job/missing", "./job/a.png"] {
            assert!(below(root.path(), bad).await.is_err(), "{bad}");
        }
    }
}
