//! Downloads of artifacts by signed URL.

use callboard::{clock, ids::ArtifactId, store::StoreError};
use callboard_api::artifacts::{ArtifactFile, ArtifactIndex};
use futures::future::BoxFuture;

use crate::test_server::{ALLOWED_ORIGIN, Setup, client, start};

/// An index of one file.
pub struct OneFile;

/// The id of that file.
fn artifact_id() -> ArtifactId {
    ArtifactId::from(uuid::Uuid::from_u128(7))
}

impl ArtifactIndex for OneFile {
    fn find(&self, id: ArtifactId) -> BoxFuture<'_, Result<Option<ArtifactFile>, StoreError>> {
        let file = ArtifactFile {
            name: "shot ä.png".into(),
            content_type: "image/png".into(),
            path: "job/shot.png".into(),
            sha256: [7; 32],
        };
        Box::pin(std::future::ready(Ok((id == artifact_id()).then_some(file))))
    }
}

#[tokio::test]
async fn a_signed_url_serves_exactly_one_file() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("job")).unwrap();
    let png = vec![0x89; 200_000];
    std::fs::write(root.path().join("job/shot.png"), &png).unwrap();
    let server = start(Setup { artifact_root: root.path().into(), ..Setup::default() }).await;
    let url = server.urls.sign(artifact_id(), clock::now());

    let response = client().get(url.clone()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "image/png");
    assert_eq!(headers["content-length"], "200000");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(
        headers["content-disposition"],
        "inline; filename=\"shot _.png\"; filename*=UTF-8''shot%20%C3%A4.png"
    );
    assert!(headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
    assert_eq!(response.bytes().await.unwrap(), png);

    let other = server.urls.sign(callboard::ids::ArtifactId::from(uuid::Uuid::from_u128(8)), clock::now());
    assert_eq!(client().get(other.clone()).send().await.unwrap().status(), 404);
    let old = server.urls.sign(artifact_id(), clock::now() - chrono::Duration::hours(1));
    let forged = url.as_str().replace("expires=1", "expires=2");
    let borrowed = format!("{}?{}", url.as_str().split('?').next().unwrap(), other.query().unwrap());
    let bare = url.as_str().split('?').next().unwrap().to_owned();
    for bad in [
        old.as_str(),
        &forged,
        &borrowed,
        &bare,
        &format!("{bare}?expires=x&signature=y"),
        &server.url("/artifacts/x?expires=1&signature=2"),
    ] {
        assert_eq!(client().get(bad).send().await.unwrap().status(), 403, "{bad}");
    }
    std::fs::remove_file(root.path().join("job/shot.png")).unwrap();
    assert_eq!(client().get(url).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_part_of_a_file_is_served_by_its_range() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("job")).unwrap();
    let bytes: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(root.path().join("job/shot.png"), &bytes).unwrap();
    let server = start(Setup { artifact_root: root.path().into(), ..Setup::default() }).await;
    let url = server.urls.sign(artifact_id(), clock::now());
    let whole = client().get(url.clone()).send().await.unwrap();
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    let tag = whole.headers()["etag"].clone();

    let end = bytes.len() - 1;
    for (range, if_range, expected) in [
        ("bytes=0-", None, Some((0, end))),
        ("bytes=0-0", None, Some((0, 0))),
        ("bytes=100-70000", None, Some((100, 70_000))),
        ("bytes=199999-", None, Some((end, end))),
        ("bytes=-5", None, Some((end - 4, end))),
        ("bytes=150000-999999", None, Some((150_000, end))),
        ("bytes=7-9", Some(tag.to_str().unwrap()), Some((7, 9))),
        ("bytes=7-9", Some("\"another\""), None),
        ("bytes=7-9,11-12", None, None),
        ("pages=1-2", None, None),
    ] {
        let mut request = client().get(url.clone()).header("range", range).header("accept-encoding", "gzip");
        if let Some(if_range) = if_range {
            request = request.header("if-range", if_range);
        }
        let response = request.send().await.unwrap();
        let headers = response.headers().clone();
        assert_eq!(headers.get("content-encoding"), None, "{range}");
        assert_eq!(headers["etag"], tag, "{range}");
        if let Some((first, last)) = expected {
            assert_eq!(response.status(), 206, "{range}");
            assert_eq!(headers["content-range"], format!("bytes {first}-{last}/200000"), "{range}");
            assert_eq!(headers["content-length"], (last - first + 1).to_string(), "{range}");
            assert_eq!(response.bytes().await.unwrap(), bytes[first..=last], "{range}");
        } else {
            assert_eq!((response.status().as_u16(), headers.get("content-range")), (200, None), "{range}");
            assert_eq!(response.bytes().await.unwrap(), bytes, "{range}");
        }
    }
    for range in ["bytes=200000-", "bytes=999999-1000000", "bytes=-0"] {
        let response = client().get(url.clone()).header("range", range).send().await.unwrap();
        assert_eq!(response.status(), 416, "{range}");
        assert_eq!(response.headers()["content-range"], "bytes */200000", "{range}");
        assert!(response.bytes().await.unwrap().is_empty(), "{range}");
    }
    let head = client().head(url.clone()).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "200000"));
    let known = client().get(url).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(known.status(), 304);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_files() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("job")).unwrap();
    std::fs::write(root.path().join("job/shot.png"), "png").unwrap();
    let server = start(Setup { artifact_root: root.path().into(), ..Setup::default() }).await;
    let url = server.urls.sign(artifact_id(), clock::now());
    for (origin, is_allowed) in [(ALLOWED_ORIGIN, true), ("https://other.example", false)] {
        let preflight = client()
            .request(reqwest::Method::OPTIONS, url.clone())
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "range");
        let preflight = preflight.send().await.unwrap();
        let get = client().get(url.clone()).header("origin", origin).header("range", "bytes=0-1");
        let get = get.send().await.unwrap();
        assert_eq!(get.status(), 206, "the URL is what gives access");
        for response in [&preflight, &get] {
            let allowed = response.headers().get("access-control-allow-origin");
            assert_eq!(allowed.is_some_and(|allowed| allowed == origin), is_allowed, "{origin}");
        }
        let headers = preflight.headers().get("access-control-allow-headers");
        assert_eq!(
            headers.is_some_and(|headers| headers.to_str().unwrap().contains("range")),
            is_allowed,
            "{origin}"
        );
        let exposed = get.headers().get("access-control-expose-headers");
        assert_eq!(
            exposed.is_some_and(|exposed| exposed.to_str().unwrap().contains("content-range")),
            is_allowed,
            "{origin}"
        );
    }
}
