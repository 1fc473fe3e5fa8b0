//! Downloads of artifacts by signed URL.

use callboard::clock;

use crate::test_server::{Setup, artifact_id, client, start};

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
