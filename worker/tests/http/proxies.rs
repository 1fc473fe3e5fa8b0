//! Credentials of proxies: exactly the bytes that were given.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use base64::Engine as _;
use callboard::{command::HttpSpec, proxy::ProxyProtocol};
use parking_lot::Mutex;

use crate::{
    call::{Call, DIRECT, Proxy},
    site::{Reply, Seen, Site},
};

const PASSWORDS: [&str; 6] = ["p:/?#%40", "a b+c&d=e", "ü€😀", "%", "100%25", "\"'\\<>[]@"];

#[test]
fn an_http_proxy_gets_the_credentials_as_they_were_given() {
    let proxy = Site::start(|_| Reply::of(200, "through"));
    for password in PASSWORDS {
        let call = through(ProxyProtocol::Http, &proxy.address, Some("us%er@1"), Some(password));
        assert_eq!(call.run(HttpSpec::builder("http://site.test/x")).result()["body"], "through");
        let [seen]: [Seen; 1] = proxy.take().try_into().unwrap();
        let expected = encoded(&format!("us%er@1:{password}"));
        assert_eq!(seen.header("proxy-authorization"), Some(expected.as_str()), "{password}");
        assert_eq!(seen.target, "http://site.test/x");
    }
    through(ProxyProtocol::Http, &proxy.address, Some("token"), None)
        .run(HttpSpec::builder("http://site.test"))
        .result();
    assert_eq!(proxy.take()[0].header("proxy-authorization"), Some(encoded("token:").as_str()));
}

#[test]
fn a_socks_proxy_gets_the_credentials_as_they_were_given() {
    let site = Site::start(|_| Reply::of(200, "through"));
    let (address, seen) = socks(site.address.clone());
    for password in PASSWORDS {
        let call = through(ProxyProtocol::Socks5, &address, Some("us%er@1"), Some(password));
        assert_eq!(call.run(HttpSpec::builder("http://site.test/x")).result()["body"], "through");
        assert_eq!(seen.lock().pop(), Some(("us%er@1".to_owned(), password.to_owned())));
    }
}

#[test]
fn a_redirect_to_another_host_takes_the_credentials_to_the_proxy_and_nowhere_else() {
    let expected = encoded("u:p:/?#%40");
    let proxy = Site::start(move |seen| match (seen.header("proxy-authorization"), seen.target.as_str()) {
        (Some(found), _) if found != expected => Reply::of(407, ""),
        (None, _) => Reply::of(407, ""),
        (Some(_), "http://one.test/") => Reply::to(302, "http://two.test/there"),
        (Some(_), _) => Reply::of(200, "two"),
    });
    let call = through(ProxyProtocol::Http, &proxy.address, Some("u"), Some("p:/?#%40"));
    assert_eq!(call.run(HttpSpec::builder("http://one.test/")).result()["body"], "two");
    assert_eq!(proxy.take().len(), 2);
    let wrong = through(ProxyProtocol::Http, &proxy.address, Some("u"), Some("p:/?#@"));
    let ended = wrong.run(HttpSpec::builder("http://one.test/"));
    assert_eq!((ended.code(), ended.message()), ("PROXY", "the proxy refused the credentials (407)"));
}

#[test]
fn a_proxy_that_no_client_can_use_is_never_left_out() {
    let site = Site::start(|_| Reply::of(200, "direct"));
    for address in ["pröxy.test:1", "a%20b:1"] {
        let call = through(ProxyProtocol::Http, address, None, None);
        assert_eq!(call.run(HttpSpec::builder(&site.url)).code(), "BAD_INPUT", "{address}");
    }
    let long = "x".repeat(256);
    let call = through(ProxyProtocol::Socks5, "127.0.0.1:9", Some("u"), Some(&long));
    assert!(call.run(HttpSpec::builder(&site.url)).message().contains("at most 255 bytes"));
    assert_eq!(site.take(), []);
}

fn through<'a>(
    protocol: ProxyProtocol,
    address: &'a str,
    username: Option<&'a str>,
    password: Option<&'a str>,
) -> Call<'a> {
    Call { proxy: Some(Proxy { protocol, address, username, password }), ..DIRECT }
}

fn encoded(credentials: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials))
}

type Credentials = Arc<Mutex<Vec<(String, String)>>>;

/// A SOCKS5 proxy (RFC 1928, 1929) that records credentials and connects to `target`.
fn socks(target: String) -> (String, Credentials) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen: Credentials = Arc::default();
    let list = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            list.lock().push(pass_on(stream, &target));
        }
    });
    (address, seen)
}

fn pass_on(mut stream: TcpStream, target: &str) -> (String, String) {
    let part = |stream: &mut TcpStream| {
        let mut length = [0];
        stream.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; length[0].into()];
        stream.read_exact(&mut bytes).unwrap();
        bytes
    };
    let skip = |stream: &mut TcpStream, count: usize| stream.read_exact(&mut vec![0; count]).unwrap();
    skip(&mut stream, 1);
    let methods = part(&mut stream);
    assert!(methods.contains(&2), "{methods:?}");
    stream.write_all(&[5, 2]).unwrap();
    skip(&mut stream, 1);
    let (username, password) = (part(&mut stream), part(&mut stream));
    stream.write_all(&[1, 0]).unwrap();
    // CONNECT to a name, which the proxy resolves.
    skip(&mut stream, 4);
    assert_eq!(part(&mut stream), b"site.test");
    skip(&mut stream, 2);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let (mut onward, mut back) = (TcpStream::connect(target).unwrap(), stream.try_clone().unwrap());
    let mut from = onward.try_clone().unwrap();
    std::thread::spawn(move || {
        drop(std::io::copy(&mut from, &mut back));
        drop(back.shutdown(std::net::Shutdown::Both));
    });
    std::thread::spawn(move || drop(std::io::copy(&mut stream, &mut onward)));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(username), text(password))
}
