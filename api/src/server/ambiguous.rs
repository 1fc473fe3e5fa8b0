//! Refuses requests that two programs may read differently: with several of a header that may come
//! once, with one that is no text, or without a `Host` that can be read.
//!
//! A proxy, this server and a browser may each believe another of two `Origin`s, so none of them
//! counts (RFC 9110, section 5.3, and RFC 9112, section 3.2, for `Host`). Behind this check, the
//! first of these headers is the only one. What may come several times is read as a whole where it
//! is used: `Cookie`, `Accept`, the headers of proxies. `Authorization` is refused there too, as a
//! sign-in that has failed.

use axum::{
    extract::Request,
    http::{HeaderName, Version, header, uri::Authority},
};

const ONCE: [HeaderName; 7] = [
    header::HOST,
    header::ORIGIN,
    header::CONTENT_TYPE,
    header::IF_RANGE,
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-dest"),
];

/// Says what is ambiguous about a request. `None` if nothing is.
pub(super) fn reason(request: &Request) -> Option<String> {
    for name in &ONCE {
        let mut values = request.headers().get_all(name).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Some(format!("Send one header `{}`, not several.", shown(name)));
        }
        if value.to_str().is_err() {
            return Some(format!("The header `{}` must be ASCII.", shown(name)));
        }
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let target = request.uri().authority();
    match host.map(|host| (host, host.parse::<Authority>())) {
        // Monitors of HTTP/1.0 send none.
        None if request.version() < Version::HTTP_11 => None,
        None => Some("Send a header `Host`.".to_owned()),
        // Of a target that has no host.
        Some(("", _)) if target.is_none() => None,
        Some((host, Ok(read))) if !host.contains(['@', ',']) => target
            .filter(|target| **target != read)
            .map(|_| "The header `Host` names another host than the request line.".to_owned()),
        Some(_) => Some("The header `Host` must be a host with or without a port.".to_owned()),
    }
}

/// The name as it is mostly written.
fn shown(name: &HeaderName) -> String {
    let words = name.as_str().split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn of(version: Version, target: &str, headers: &[(&str, &[u8])]) -> Option<String> {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reason(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn a_header_that_may_come_once_comes_once() {
        for name in &ONCE {
            let once = [("host", &b"a"[..]), (name.as_str(), b"a")];
            let headers = if *name == header::HOST { &once[..1] } else { &once[..] };
            assert_eq!(of(Version::HTTP_11, "/graphql", headers), None, "{name}");
            for values in [[&b"a"[..], b"a"], [b"a", b"b"], [b"", b"a"]] {
                let others = headers.iter().copied().filter(|(known, _)| known != name);
                let twice: Vec<_> = others.chain(values.map(|value| (name.as_str(), value))).collect();
                let why = of(Version::HTTP_11, "/graphql", &twice).unwrap();
                assert!(why.contains(&format!("one header `{}`", shown(name))), "{why}");
            }
            let unreadable = [("host", &b"a"[..]), (name.as_str(), b"\xff")];
            let unreadable = if *name == header::HOST { &unreadable[1..] } else { &unreadable[..] };
            assert!(of(Version::HTTP_11, "/graphql", unreadable).unwrap().contains("ASCII"), "{name}");
        }
        assert_eq!(shown(&HeaderName::from_static("sec-fetch-site")), "Sec-Fetch-Site");
        // What may come several times is no business of this check.
        for name in ["cookie", "accept", "authorization", "x-forwarded-for", "x-forwarded-host", "forwarded"]
        {
            let twice = [("host", &b"a"[..]), (name, b"a"), (name, b"\xff")];
            assert_eq!(of(Version::HTTP_11, "/graphql", &twice), None, "{name}");
        }
    }

    #[test]
    fn a_request_names_one_host() {
        for (version, target, host, is_fine) in [
            (Version::HTTP_11, "/graphql", Some("127.0.0.1:4000"), true),
            (Version::HTTP_11, "/graphql", Some("[::1]:4000"), true),
            (Version::HTTP_11, "/graphql", Some("Callboard.example"), true),
            (Version::HTTP_11, "http://callboard.example/graphql", Some("Callboard.example"), true),
            (Version::HTTP_11, "http://callboard.example/graphql", Some("evil.example"), false),
            (Version::HTTP_11, "http://callboard.example/graphql", Some(""), false),
            (Version::HTTP_11, "/graphql", Some(""), true),
            (Version::HTTP_11, "/graphql", None, false),
            (Version::HTTP_10, "/healthz", None, true),
            (Version::HTTP_11, "/graphql", Some("callboard_api.internal.:4000"), true),
            (Version::HTTP_11, "/graphql", Some("a, b"), false),
            (Version::HTTP_11, "/graphql", Some("a,b"), false),
            (Version::HTTP_11, "/graphql", Some("a b"), false),
            (Version::HTTP_11, "/graphql", Some("user@a"), false),
            (Version::HTTP_11, "/graphql", Some("http://a"), false),
            (Version::HTTP_11, "/graphql", Some("a/path"), false),
        ] {
            let headers: Vec<_> = host.iter().map(|host| ("host", host.as_bytes())).collect();
            assert_eq!(of(version, target, &headers).is_none(), is_fine, "{target} at {host:?}");
        }
    }
}
