//! What comes back: compressed, in other charsets, too long, and with secrets in it.

use callboard::{
    bounds::{RESULT_BYTES_MAX, RESULT_DEPTH_MAX},
    command::HttpSpec,
};
use serde_json::{Value, json};
use std::io::Write as _;

use crate::{
    call::{Call, DIRECT, Ended, TOKEN},
    site::{Reply, Site},
};

/// Calls a site that answers this.
#[track_caller]
fn answered(reply: Reply) -> Ended {
    let site = Site::start(move |_| reply.clone());
    DIRECT.run(HttpSpec::builder(&site.url).header("X-Token", "{{ services.s.token }}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_body_is_decoded_by_its_charset_or_mark() {
    let utf_16 = |big: bool| -> Vec<u8> {
        let units = "Gr\u{fc}\u{df}e".encode_utf16();
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let latin = b"Gr\xfc\xdfe".to_vec();
    for (content_type, body) in [
        ("text/plain; charset=iso-8859-1", latin.clone()),
        ("text/plain;Charset=\"ISO-8859-1\"", latin.clone()),
        ("text/plain; format=flowed; charset=windows-1252", latin.clone()),
        ("text/plain", latin.clone()),
        ("text/plain; charset=nonsense", latin.clone()),
        ("text/plain", "Grüße".into()),
        ("text/plain; charset=utf-8", "\u{feff}Grüße".into()),
        ("text/plain; charset=utf-16le", utf_16(false)),
        ("text/plain; charset=utf-16be", utf_16(true)),
        ("text/plain", [b"\xff\xfe".to_vec(), utf_16(false)].concat()),
        ("text/plain", [b"\xfe\xff".to_vec(), utf_16(true)].concat()),
        ("text/plain; charset=iso-8859-15", latin.clone()),
        ("text/plain; charset=ibm866", b"\x83\xe0".to_vec()),
        ("text/plain; charset=shift_jis", b"\x82\xa0".to_vec()),
        ("text/plain; charset=gb18030", b"\xc4\xe3".to_vec()),
        ("text/plain; charset=euc-kr", b"\xb0\xa1".to_vec()),
        ("text/plain; charset=koi8-r", b"\xf0".to_vec()),
    ] {
        let expected = match body.as_slice() {
            b"\x83\xe0" => "Гр",
            b"\x82\xa0" => "あ",
            b"\xc4\xe3" => "你",
            b"\xb0\xa1" => "가",
            b"\xf0" => "П",
            _ => "Grüße",
        };
        let ended = answered(Reply::of(200, body).with("content-type", content_type));
        assert_eq!(ended.result()["body"], expected, "{content_type}");
    }
    for (content_type, start) in [
        ("application/xml", "<?xml version='1.0' encoding='ISO-8859-1'?>"),
        ("text/html", "<html><meta charset=\"iso-8859-1\">"),
        ("text/html", "<meta http-equiv=content-type content='text/html; charset=iso-8859-1'>"),
    ] {
        let body = [start.as_bytes(), &latin].concat();
        let ended = answered(Reply::of(200, body).with("content-type", content_type));
        assert_eq!(ended.result()["body"], format!("{start}Grüße"));
    }
    // What a document says of itself was read as ASCII, so that it is not in UTF-16.
    for (content_type, start) in [
        ("text/html", "<meta charset=\"utf-16\">"),
        ("text/html", "<meta charset=UTF-16LE>"),
        ("text/html", "<meta charset=utf-16be>"),
        ("text/html", "<meta charset=ucs-2>"),
        ("text/html", "<meta charset=iso-2022-kr>"),
        ("application/xml", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>"),
        ("text/plain; charset=iso-2022-kr", ""),
    ] {
        let body = format!("{start}Grüße");
        let ended = answered(Reply::of(200, body.clone()).with("content-type", content_type));
        assert_eq!(ended.result()["body"], body, "{content_type} {start}");
    }
}

#[test]
fn json_is_recognised_however_it_is_spelled() {
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "text/json",
        "application/problem+json",
        "application/vnd.api+JSON; charset=UTF-8",
    ] {
        let ended = answered(Reply::of(200, "{\"a\": [1.5, null]}").with("content-type", content_type));
        assert_eq!(ended.result()["body"], json!({"a": [1.5, null]}), "{content_type}");
        let ended = answered(Reply::of(200, "\u{feff}{\"a\": 1}").with("content-type", content_type));
        assert_eq!(ended.result()["body"], json!({"a": 1}), "{content_type} with a mark");
    }
    let latin = answered(
        Reply::of(200, b"{\"a\": \"\xfc\"}".to_vec())
            .with("content-type", "application/json; charset=latin1"),
    );
    assert_eq!(latin.result()["body"], json!({"a": "ü"}));
    for wide in [|unit: u16| unit.to_le_bytes(), |unit: u16| unit.to_be_bytes()] {
        let body: Vec<u8> = "{\"a\": \"ü\"}".encode_utf16().flat_map(wide).collect();
        let ended = answered(Reply::of(200, body).with("content-type", "application/json"));
        assert_eq!(ended.result()["body"], json!({"a": "ü"}));
    }
    for (content_type, body) in [
        ("text/plain", "{}"),
        ("application/x-ndjson", "{}"),
        ("application/jsonp", "{}"),
        ("application/json", "{"),
        ("application/json", ""),
    ] {
        let ended = answered(Reply::of(200, body).with("content-type", content_type));
        assert_eq!(ended.result()["body"], body, "{content_type}");
    }
}

#[test]
fn compressed_answers_are_read() {
    const BODY: &str = "{\"greeting\": \"hello\", \"list\": [1, 2]}";
    let gzip = "1f8b0800000000000203ab564a2f4a4d2dc9cc4b57b25250ca48cdc9c957d25150cac92c2e010a441bea2818c5d602\
                00adf90cb325000000";
    let zlib = "789cab564a2f4a4d2dc9cc4b57b25250ca48cdc9c957d25150cac92c2e010a441bea2818c5d60200e5140b51";
    let raw = "ab564a2f4a4d2dc9cc4b57b25250ca48cdc9c957d25150cac92c2e010a441bea2818c5d60200";
    let brotli = "0b12807b226772656574696e67223a202268656c6c6f222c20226c697374223a205b312c20325d7d03";
    let zstd = "28b52ffd20252901007b226772656574696e67223a202268656c6c6f222c20226c697374223a205b312c20325d7d";
    let twice = gzipped(&bytes(brotli));
    let skipped = "502a4d1803000000aabbcc";
    let frames = |hex: &str| bytes(&format!("{skipped}{zstd}{hex}{skipped}"));
    for (coding, body) in [
        ("gzip", bytes(gzip)),
        ("X-GZip", bytes(gzip)),
        ("deflate", bytes(zlib)),
        ("deflate", bytes(raw)),
        ("br", bytes(brotli)),
        ("zstd", bytes(zstd)),
        ("identity", BODY.into()),
        ("br, gzip", twice),
    ] {
        let reply =
            Reply::of(200, body).with("content-encoding", coding).with("content-type", "application/json");
        let ended = answered(reply);
        assert_eq!(ended.result()["body"], serde_json::from_str::<Value>(BODY).unwrap(), "{coding}");
        assert_eq!(ended.result()["isTruncated"], false);
    }
    // Frames of zstd follow one another, as members of gzip do.
    for (coding, body) in [
        ("zstd", [bytes(zstd), bytes(zstd)].concat()),
        ("zstd", frames(zstd)),
        ("gzip", [bytes(gzip), bytes(gzip)].concat()),
    ] {
        let ended = answered(Reply::of(200, body).with("content-encoding", coding));
        assert_eq!(
            (&ended.result()["body"], &ended.result()["isTruncated"]),
            (&json!(BODY.repeat(2)), &json!(false))
        );
    }
    for rest in ["28b52ffd", "502a4d18ff000000aa", "00"] {
        let ended = answered(Reply::of(200, frames(rest)).with("content-encoding", "zstd"));
        assert_eq!(
            (&ended.result()["body"], &ended.result()["isTruncated"]),
            (&json!(BODY), &json!(true)),
            "{rest}"
        );
    }
    // The request has had its effect, so that a broken or unknown coding is no failure.
    let broken = answered(Reply::of(200, bytes(&gzip[..60])).with("content-encoding", "gzip"));
    assert_eq!(broken.result()["isTruncated"], true);
    assert!(broken.output.contains("data is broken"), "{}", broken.output);
    let other = answered(Reply::of(200, "no gzip").with("content-encoding", "gzip"));
    assert_eq!((&other.result()["body"], &other.result()["isTruncated"]), (&json!("no gzip"), &json!(false)));
    assert!(other.output.contains("is not gzip as it says"), "{}", other.output);
    let unknown = answered(Reply::of(200, "as it is").with("content-encoding", "compress"));
    assert_eq!(unknown.result()["body"], "as it is");
    assert!(unknown.output.contains("(content-encoding) is not known"), "{}", unknown.output);
    let empty = answered(Reply::of(200, "").with("content-encoding", "gzip"));
    assert_eq!((&empty.result()["body"], &empty.result()["isTruncated"]), (&json!(""), &json!(false)));
}

#[test]
fn a_small_answer_that_becomes_a_large_one_is_cut() {
    let gzip = gzipped(&vec![b'a'; 64 * 1024 * 1024]);
    for (coding, body) in [("gzip", gzip), ("br", bytes("cbffff3ff825c2e2b14020f7fe6f"))] {
        let ended = answered(Reply::of(200, body).with("content-encoding", coding));
        assert_eq!(ended.result()["body"].as_str().unwrap().len(), 512 * 1024, "{coding}");
        assert_eq!(ended.result()["isTruncated"], true);
    }
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_answer_is_never_longer_than_a_result() {
    for body in [
        "\u{1}".repeat(471 * 1024),
        "\"\\".repeat(256 * 1024),
        "\0".repeat(512 * 1024),
        "€".repeat(300 * 1024),
        "\u{1}".repeat(513 * 1024),
    ] {
        let ended = answered(Reply::of(200, body.clone()));
        let result = ended.result();
        assert!(result.to_string().len() <= RESULT_BYTES_MAX);
        let is_cut = result["body"].as_str().unwrap().len() < body.replace('\0', "\u{fffd}").len();
        assert_eq!(result["isTruncated"], is_cut);
        assert_eq!(ended.output.contains("was cut to"), is_cut, "a cut is told");
    }
    let wide = json!(vec!["\u{1}".repeat(1000); 400]);
    let ended = answered(Reply::of(200, wide.to_string()).with("content-type", "application/json"));
    assert!(ended.result().to_string().len() <= RESULT_BYTES_MAX);
    let deepest = RESULT_DEPTH_MAX - 1;
    for (depth, is_json) in
        [(1, true), (deepest, true), (deepest + 1, false), (deepest + 2, false), (500, false)]
    {
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let ended = answered(Reply::of(200, nested.clone()).with("content-type", "application/json"));
        assert_eq!(ended.result()["body"].is_array(), is_json, "{depth}");
        assert!(is_json || ended.result()["body"] == nested);
    }
}

#[test]
fn a_secret_is_masked_before_anything_is_cut() {
    for before in (512 * 1024 - 60..512 * 1024 + 3).step_by(7) {
        let body = format!("{}{TOKEN}{}", "x".repeat(before), "y".repeat(100));
        let ended = answered(Reply::of(200, body));
        assert!(!ended.output.contains(&TOKEN[..8]), "{before}");
    }
    for before in 480..520 {
        let ended = answered(Reply::of(500, format!("{}{TOKEN}", "x".repeat(before))));
        assert!(!ended.output.contains(&TOKEN[..5]), "{before}: {}", ended.message());
    }
    // Many secrets, whose masks are shorter, let later text into what is kept.
    let many = answered(Reply::of(200, format!("{TOKEN} ").repeat(30_000)));
    assert!(!many.output.contains(&TOKEN[..5]));
    let header = answered(Reply::of(500, "").with("x-echo", TOKEN));
    assert!(!header.output.contains(TOKEN) && header.message().contains("x-echo: ***"));
}

#[test]
fn every_header_is_kept() {
    let reply = Reply::of(200, "")
        .with("Link", "</a>; rel=next")
        .with("link", "</b>; rel=last")
        .with("Set-Cookie", "a=1, x; Path=/")
        .with("set-cookie", "b=2")
        .with("X-Latin", "gr\u{fc}n")
        .with("WWW-Authenticate", "Basic");
    let ended = answered(reply);
    let headers = &ended.result()["headers"];
    assert_eq!(headers["link"], "</a>; rel=next, </b>; rel=last");
    assert_eq!(headers["set-cookie"], "a=1, x; Path=/\nb=2");
    assert_eq!((&headers["x-latin"], &headers["www-authenticate"]), (&json!("grün"), &json!("Basic")));
    let failed = answered(Reply::of(503, "no").with("date", "now").with("X-Request-Id", "req-7"));
    assert!(
        failed.message().starts_with("Status 503: \"no\". Headers: x-request-id: req-7; "),
        "{}",
        failed.message()
    );
    assert_eq!(failed.failure()["retryable"], true);
}

#[test]
fn headers_that_only_curl_reads_are_read() {
    let many = (0..300).fold(Reply::of(200, "ok"), |reply, n| reply.with(&format!("x-{n}"), n.to_string()));
    for (name, reply, header, expected) in [
        ("a space before the colon", Reply::of(200, "ok").with("X-A ", "1"), "x-a", json!("1")),
        ("a value in two lines", Reply::of(200, "ok").with("X-A", "1\r\n  2"), "x-a", json!("1   2")),
        ("a name that is none", Reply::of(200, "ok").with("a b", "1").with("x-a", "2"), "x-a", json!("2")),
        ("many headers", many, "x-299", json!("299")),
    ] {
        let ended = answered(reply);
        assert_eq!(ended.result()["body"], "ok", "{name}");
        let found = &ended.result()["headers"][header];
        let blanks_count_once =
            |value: &Value| value.as_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(blanks_count_once(found), blanks_count_once(&expected), "{name}");
    }
}

#[test]
fn json_that_is_not_kept_as_it_came_is_told() {
    for (body, note) in [
        ("{\"a\": 1", "JSON cannot be read and was kept as text"),
        ("{\"a\": NaN}", "JSON cannot be read and was kept as text"),
        (
            "{\"id\": 12345678901234567890123}",
            "the number 12345678901234567890123, which a JSON reader rounds",
        ),
        ("[0.1234567890123456789]", "the number 0.1234567890123456789, which"),
        (&format!("[{}1]", "1e15,".repeat(60_000)), "too long with its numbers written out"),
        (&"[".repeat(200), "nested deeper than 119 levels and was kept as text"),
        ("{\"id\": 18446744073709551615, \"price\": 1.10, \"text\": \"12345678901234567890123\"}", ""),
        ("", ""),
        (" \n", ""),
    ] {
        let ended = answered(Reply::of(200, body).with("content-type", "application/json"));
        let told = ended.events.iter().filter(|event| event["type"] == "warning");
        let told: Vec<&str> = told.map(|event| event["text"].as_str().unwrap()).collect();
        assert_eq!(told.len(), usize::from(!note.is_empty()), "{body:.60}: {told:?}");
        assert!(told.iter().all(|told| told.contains(note)), "{body:.60}: {told:?}");
        ended.result();
    }
}

#[test]
fn retry_after_is_reported_without_a_service() {
    let telegram = r#"{"ok":false,"parameters":{"retry_after":35}}"#;
    let openai = r#"{"error":{"message":"Rate limit reached. Please try again in 41.5s."}}"#;
    for (status, name, value, body, expected) in [
        (503, "retry-after", "7", "", json!(7000)),
        (503, "Retry-After", " 7 ", "", json!(7000)),
        (429, "retry-after-ms", "1500", "", json!(1500)),
        (429, "x-ms-retry-after-ms", "250", "", json!(250)),
        (500, "retry-after", "2", "", json!(2000)),
        (429, "retry-after", "0", "", json!(0)),
        (429, "etag", "x", "", Value::Null),
        (429, "retry-after", "-1", "", Value::Null),
        (429, "retry-after", "soon", "", Value::Null),
        (429, "retry-after", "99999999999", "", Value::Null),
        (503, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", "", Value::Null),
        (429, "content-type", "application/json", telegram, json!(35_000)),
        (429, "content-type", "application/json", openai, json!(41_500)),
        (429, "retry-after", "3", telegram, json!(3000)),
    ] {
        let ended = answered(Reply::of(status, body).with(name, value));
        assert_eq!(ended.failure()["retryAfterMs"], expected, "{status} {name} {value} {body}");
        assert_eq!(ended.failure()["retryable"], true);
    }
    // A server that asks to wait says that the same request may succeed later.
    for (status, name, value, is_retryable) in [
        (403, "retry-after", "60", true),
        (413, "retry-after", "60", true),
        (403, "etag", "x", false),
        (403, "x-ratelimit-remaining", "0", false),
        (404, "retry-after", "never", false),
    ] {
        let ended = answered(Reply::of(status, "no").with(name, value));
        assert_eq!(ended.failure()["retryable"], is_retryable, "{status} {name} {value}");
    }
    // Of a response that is expected, nothing is asked.
    let accepted = answered(Reply::of(202, "").with("retry-after", "60"));
    assert_eq!(accepted.result()["headers"]["retry-after"], "60");
}

#[test]
fn a_base_url_is_joined_with_one_slash() {
    let site = Site::start(|seen| Reply::of(200, seen.target.clone()));
    let (root, below) = (format!("{}/", site.url), format!("{}/v1", site.url));
    for (base, path, expected) in [
        (&root, "/echo", "/echo"),
        (&root, "echo", "/echo"),
        (&root, "/echo//x", "/echo//x"),
        (&root, "", "/"),
        (&root, "?q=1", "/?q=1"),
        (&below, "/echo", "/v1/echo"),
    ] {
        let call = Call { base_url: Some(base), ..DIRECT };
        let ended = call.run(HttpSpec::builder(format!("{{{{ services.s.base_url }}}}{path}")));
        assert_eq!(ended.result()["body"], expected, "{base} {path}");
    }
}
