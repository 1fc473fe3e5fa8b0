//! Calls without a response: what the message says, and whether another attempt is made.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::Arc,
};

use callboard::{command::HttpSpec, proxy::ProxyProtocol};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::json;

use crate::{
    call::{Call, DIRECT, Proxy, TOKEN},
    site::{Reply, Site},
};

fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/http/certificates")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

/// A server with this certificate. Returns its port.
fn tls(certificate: &str) -> u16 {
    let chain = vec![CertificateDer::from_pem_file(file(certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let mut head = [0; 4096];
            // A client that refuses the certificate ends the handshake.
            if stream.read(&mut head).is_ok_and(|count| count > 0) {
                drop(
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"),
                );
                stream.conn.send_close_notify();
                drop(stream.flush());
            }
        }
    });
    port
}

#[test]
fn a_certificate_that_is_refused_is_explained_and_not_retried() {
    let authority = file("authority.pem");
    let call = Call { authority: Some(&authority), ..DIRECT };
    let valid = format!("https://localhost:{}/", tls("valid.pem"));
    assert_eq!(call.run(HttpSpec::builder(&valid)).result()["body"], "ok");
    for (certificate, expected) in [
        ("expired.pem", "it has expired"),
        ("early.pem", "it is not valid yet"),
        ("other-name.pem", "it is for another name"),
        ("self-signed.pem", "its issuer is unknown. It is self-signed"),
        ("self-signed-authority.pem", "a certificate of an authority, used as a server's own"),
    ] {
        let port = tls(certificate);
        let ended = call.run(HttpSpec::builder(format!("https://localhost:{port}/secret?path")));
        assert_eq!(
            (ended.code(), &ended.failure()["retryable"]),
            ("CERTIFICATE", &json!(false)),
            "{certificate}"
        );
        let start = format!("the certificate of localhost:{port} was refused: ");
        let message = ended.message();
        assert!(message.starts_with(&start) && message.contains(expected), "{certificate}: {message}");
        assert!(!message.contains("OtherError") && !message.contains("secret"), "{message}");
    }
    // Also for a server whose authority this machine does not know.
    let ended = DIRECT.run(HttpSpec::builder(&valid));
    assert!(ended.message().contains("issuer is unknown"), "{}", ended.message());
}

#[test]
fn a_certificate_behind_a_proxy_is_no_fault_of_the_proxy() {
    let port = tls("expired.pem");
    let authority = file("authority.pem");
    let proxy = tunnel(format!("127.0.0.1:{port}"));
    let proxy = Proxy { protocol: ProxyProtocol::Http, address: &proxy, username: None, password: None };
    let call = Call { authority: Some(&authority), proxy: Some(proxy), ..DIRECT };
    let ended = call.run(HttpSpec::builder("https://localhost:7777/"));
    assert_eq!(
        (ended.code(), &ended.failure()["retryable"]),
        ("CERTIFICATE", &json!(false)),
        "{}",
        ended.message()
    );
    assert!(ended.message().contains("localhost:7777 was refused: it has expired"), "{}", ended.message());
}

/// A proxy whose every tunnel leads to `target`.
fn tunnel(target: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let (mut there, mut back) =
                (std::net::TcpStream::connect(&target).unwrap(), stream.try_clone().unwrap());
            let mut from = there.try_clone().unwrap();
            std::thread::spawn(move || drop(std::io::copy(&mut from, &mut back)));
            std::thread::spawn(move || drop(std::io::copy(&mut stream, &mut there)));
        }
    });
    address
}

#[test]
fn a_connection_that_fails_names_host_and_port() {
    let port = callboard_test_support::free_port();
    let refused = DIRECT.run(HttpSpec::builder(format!("http://127.0.0.1:{port}/secret?path")));
    let message = refused.message();
    assert_eq!((refused.code(), &refused.failure()["retryable"]), ("CONNECT", &json!(true)));
    assert!(message.contains(&format!("127.0.0.1:{port}")) && message.contains("refused"), "{message}");
    assert!(!message.contains("secret"), "{message}");
    let unknown = DIRECT.run(HttpSpec::builder("https://no-such-host.invalid/"));
    assert!(
        unknown.message().starts_with("could not connect to no-such-host.invalid:443: "),
        "{}",
        unknown.message()
    );
    let address = format!("127.0.0.1:{port}");
    let proxy = Proxy {
        protocol: ProxyProtocol::Http,
        address: &address,
        username: Some("user"),
        password: Some("pass-word"),
    };
    let behind = Call { proxy: Some(proxy), ..DIRECT }.run(HttpSpec::builder("http://site.test/"));
    assert_eq!(behind.code(), "PROXY");
    let start = format!("could not connect to site.test:80 through the proxy http://{address}: ");
    assert!(
        behind.message().starts_with(&start) && !behind.output.contains("pass-word"),
        "{}",
        behind.message()
    );
}

#[test]
fn a_server_that_does_not_speak_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let begins = stream.read(&mut [0; 16]).unwrap();
            assert!(begins > 0);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    let ended = DIRECT.run(HttpSpec::builder(format!("https://{address}/")));
    assert_eq!(
        (ended.code(), &ended.failure()["retryable"]),
        ("CONNECT", &json!(false)),
        "{}",
        ended.message()
    );
    assert!(ended.message().contains("does not answer with TLS"), "{}", ended.message());
}

#[test]
fn a_response_that_breaks_off_names_its_server() {
    let site = Site::start(|_| Reply::of(200, "short").with("content-length", "99"));
    let ended = DIRECT.run(HttpSpec::builder(&site.url));
    let start = format!("the response of {} broke off: ", site.address);
    assert!(ended.message().starts_with(&start), "{}", ended.message());
}

#[test]
fn a_response_that_breaks_off_is_judged_by_its_status() {
    let whole = |status| Reply::of(status, "short.").with("content-length", "99");
    let chunked = |status| Reply::of(status, "6\r\nshort.\r\n").with("transfer-encoding", "chunked");
    for (method, status, failure) in [
        ("POST", 201, None),
        ("POST", 200, None),
        ("PUT", 200, None),
        ("PATCH", 200, None),
        ("DELETE", 202, None),
        // These change nothing, and are made for the body.
        ("GET", 200, Some(("REQUEST", true))),
        ("OPTIONS", 200, Some(("REQUEST", true))),
        ("POST", 400, Some(("HTTP_STATUS", false))),
        ("GET", 404, Some(("HTTP_STATUS", false))),
        ("POST", 429, Some(("HTTP_STATUS", true))),
        ("POST", 503, Some(("HTTP_STATUS", true))),
    ] {
        for reply in [whole(status), chunked(status)] {
            let site = Site::start(move |_| reply.clone());
            let ended = DIRECT.run(HttpSpec::builder(&site.url).method(method));
            match failure {
                None => {
                    let result = ended.result();
                    assert_eq!((&result["status"], &result["body"]), (&json!(status), &json!("short.")));
                    assert_eq!(result["isTruncated"], true, "{method} {status}");
                }
                Some((code, is_retryable)) => {
                    assert_eq!(
                        (ended.code(), &ended.failure()["retryable"]),
                        (code, &json!(is_retryable)),
                        "{method} {status}"
                    );
                    assert!(code == "REQUEST" || ended.message().contains("short."), "{}", ended.message());
                }
            }
            let told = format!("The response of {} broke off: ", site.address);
            assert!(ended.output.contains(&told), "{method} {status}: {}", ended.output);
        }
    }
    // JSON that is not whole is text, and the end may be the beginning of a secret.
    let begun = format!("{{\"order\": 7, \"token\": \"{}", &TOKEN[..9]);
    let site = Site::start(move |_| {
        Reply::of(201, begun.clone()).with("content-length", "99").with("content-type", "application/json")
    });
    let spec = HttpSpec::builder(&site.url).method("POST").header("X-Token", "{{ services.s.token }}");
    assert_eq!(DIRECT.run(spec).result()["body"], "{\"order\": 7, \"token\": \"");
    // The page after a form was sent: the form is not sent again.
    let site = Site::start(|seen| match seen.method.as_str() {
        "POST" => Reply::to(303, "/done"),
        _ => Reply::of(200, "short.").with("content-length", "99"),
    });
    let ended = DIRECT.run(HttpSpec::builder(&site.url).method("POST"));
    assert_eq!((&ended.result()["status"], &ended.result()["body"]), (&json!(200), &json!("short.")));
}

#[test]
fn a_response_that_is_not_http_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").unwrap();
        }
    });
    for (method, is_retryable) in [("GET", true), ("PUT", true), ("POST", false), ("PATCH", false)] {
        let ended = DIRECT.run(HttpSpec::builder(format!("http://{address}/")).method(method));
        assert_eq!((ended.code(), &ended.failure()["retryable"]), ("REQUEST", &json!(is_retryable)));
        let start = format!("the response of {address} is not valid HTTP: ");
        assert!(ended.message().starts_with(&start), "{}", ended.message());
    }
}

#[test]
fn a_call_that_has_to_end_says_how_far_it_was() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/");
    let call = Call { base_url: Some(&url), ..DIRECT };
    // The event about the service's limit tells that the beginning of the response was read.
    let part = "HTTP/1.1 201 Created\r\nx-ratelimit-remaining: 5\r\ncontent-length: 9\r\n\r\npart";
    let unkept = "The command did its work, but its result could not be kept: ";
    for (method, answer, event, code, before, expected) in [
        ("GET", "", "hello", "TERMINATED", "", "had no response yet"),
        ("POST", "", "hello", "TERMINATED", "", "had no response yet"),
        ("GET", part, "limits", "TERMINATED", "", "had the status 201 and a part of its response"),
        // What has happened is not done again.
        (
            "POST",
            part,
            "limits",
            "RESULT_NOT_KEPT",
            unkept,
            "had the status 201 and a part of its response when the attempt had to end.",
        ),
    ] {
        let mut open = None;
        let ended = call.run_and(HttpSpec::builder(&url).method(method), |running| {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
            running.until(event);
            rustix::process::kill_process(running.process, rustix::process::Signal::TERM).unwrap();
            open = Some(stream);
        });
        let expected = format!("{before}the call to {address} {expected}");
        assert_eq!((ended.code(), ended.message()), (code, expected.as_str()));
    }
}

#[test]
fn a_request_without_a_body_says_its_length_where_the_method_needs_it() {
    let site = Site::start(|_| Reply::of(200, ""));
    for (method, body, expected) in [
        ("POST", Some(""), Some("0")),
        ("POST", None, Some("0")),
        ("PUT", Some(""), Some("0")),
        ("PATCH", None, Some("0")),
        ("DELETE", Some(""), Some("0")),
        ("DELETE", None, None),
        ("GET", None, None),
        ("HEAD", None, None),
        ("POST", Some("x"), Some("1")),
    ] {
        let spec = HttpSpec::builder(&site.url).method(method);
        let spec = if let Some(body) = body { spec.body(body) } else { spec };
        DIRECT.run(spec).result();
        assert_eq!(site.take()[0].header("content-length"), expected, "{method} {body:?}");
    }
}
