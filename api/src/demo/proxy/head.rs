//! The head of a proxy request, parsed and rewritten for the target server.

use super::VIA;

/// Headers that concern the hop to the proxy, or that the proxy sets itself.
const HOP_HEADERS: [&str; 8] = [
    "proxy-authorization",
    "proxy-connection",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "host",
];

/// A request line and its headers.
#[derive(Debug)]
pub(super) struct Head {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    /// Path with its query. Empty for a tunnel.
    pub(super) path: String,
}

impl Head {
    /// Parses a head that ends with an empty line.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
        let mut request = lines.next()?.split(' ');
        let (method, uri, version) = (request.next()?, request.next()?, request.next()?);
        if !version.starts_with("HTTP/1.")
            || request.next().is_some()
            || !method.bytes().all(|b| b.is_ascii_uppercase())
        {
            return None;
        }
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
                let is_text = !value.bytes().any(|b| b.is_ascii_control() && b != b'\t');
                (is_token && is_text).then(|| (name.to_owned(), value.trim().to_owned()))
            })
            .collect::<Option<_>>()?;
        Some(Self { method: method.to_owned(), uri: uri.to_owned(), headers })
    }

    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// Returns the client's credentials.
    pub(super) fn authorization(&self) -> Option<&str> {
        let mut found =
            self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Returns the target. `None` for requests that a proxy does not accept.
    pub(super) fn target(&self) -> Option<Target> {
        if self.method == "CONNECT" {
            let (host, port) = self.uri.rsplit_once(':')?;
            return Some(Target { host: host.to_owned(), port: port.parse().ok()?, path: String::new() });
        }
        let url: url::Url = self.uri.parse().ok()?;
        if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Some(Target {
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
            path: format!("{}{query}", url.path()),
        })
    }

    /// Returns the head for the target server: its own path, no credentials, and one request per
    /// connection.
    pub(super) fn forwarded(&self, target: &Target) -> String {
        let mut out =
            format!("{} {} HTTP/1.1\r\nHost: {}:{}\r\n", self.method, target.path, target.host, target.port);
        for (name, value) in &self.headers {
            if !HOP_HEADERS.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
                out.extend([name, ": ", value, "\r\n"]);
            }
        }
        out + &format!("Via: 1.1 {VIA}\r\nConnection: close\r\n\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Option<Head> {
        Head::parse(text.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn a_request_is_forwarded_without_its_password() {
        let head = head(
            "GET http://127.0.0.1:4000/demo?x=1 HTTP/1.1\nHost: other\nProxy-Authorization: Basic abc\nAccept: */*\nConnection: keep-alive\n\n",
        )
        .unwrap();
        assert_eq!(head.authorization(), Some("Basic abc"));
        let target = head.target().unwrap();
        assert_eq!(target, Target { host: "127.0.0.1".into(), port: 4000, path: "/demo?x=1".into() });
        assert_eq!(
            head.forwarded(&target),
            "GET /demo?x=1 HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nAccept: */*\r\nVia: 1.1 callboard-demo-proxy\r\n\
             Connection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_malformed_proxy_request_is_refused() {
        for bad in [
            "",
            "GET\n\n",
            "get http://a/ HTTP/1.1\n\n",
            "GET http://a/ HTTP/2\n\n",
            "GET http://a/ HTTP/1.1 x\n\n",
            "GET http://a/ HTTP/1.1\nno colon\n\n",
        ] {
            assert!(head(bad).is_none(), "{bad}");
        }
        for bad in [
            "GET /demo HTTP/1.1\n\n",
            "GET ftp://a/ HTTP/1.1\n\n",
            "GET http://u:p@a/ HTTP/1.1\n\n",
            "CONNECT a HTTP/1.1\n\n",
        ] {
            assert!(head(bad).unwrap().target().is_none(), "{bad}");
        }
        let tunnel = head("CONNECT [::1]:443 HTTP/1.1\n\n").unwrap().target().unwrap();
        assert_eq!((tunnel.host.as_str(), tunnel.port), ("[::1]", 443));
    }
}
