//! Tests of the redactor with every encoder, mixed at random.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use secrecy::SecretString;

use super::{LOG_LINE_BYTES_MAX, MASK, RedactingLines, Redactor};

fn redactor(secrets: &[&str]) -> Redactor {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    Redactor::new(&secrets)
}

fn units(c: char, lower: bool) -> String {
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units).iter();
    units.map(|unit| if lower { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") }).collect()
}

fn bytes(c: char, each: impl Fn(u8) -> String) -> String {
    c.encode_utf8(&mut [0; 4]).bytes().map(each).collect()
}

/// One character as a program may write it. `kind` chooses how.
fn spelled(c: char, kind: u8) -> String {
    let code = u32::from(c);
    match kind % 20 {
        0 => units(c, true),
        1 => units(c, false),
        2 => match c {
            '"' | '\\' | '/' => format!("\\{c}"),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            _ => c.to_string(),
        },
        3 => bytes(c, |byte| format!("%{byte:02x}")),
        4 => bytes(c, |byte| format!("%{byte:02X}")),
        5 if c == ' ' => "+".to_owned(),
        6 => format!("&#{code};"),
        7 => format!("&#x{code:x};"),
        8 => format!("&#X{code:04X};"),
        9 => match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&apos;".to_owned(),
            'ä' => "&auml;".to_owned(),
            _ => c.to_string(),
        },
        10 => bytes(c, |byte| format!("\\x{byte:02x}")),
        11 => bytes(c, |byte| format!("\\{byte:03o}")),
        12 if code < 256 => format!("\\x{code:02x}"),
        13 => format!("\\U{code:08x}"),
        14 => format!("\\u{{{code:x}}}"),
        15 if c == '\'' => r"'\''".to_owned(),
        16 if c == '\'' => r#"'"'"'"#.to_owned(),
        17 if c.is_ascii_punctuation() || c == ' ' => format!("\\{c}"),
        18 => bytes(c, |byte| format!("%25{byte:02X}")),
        19 => units(c, true).replace('\\', "\\\\"),
        _ => c.to_string(),
    }
}

/// Any value of at least four characters that does not repeat itself at its ends.
const SECRETS: &str = "[ -~äß€😀\t]{4,40}";
/// Text that no secret has.
const AROUND: &str = "[а-я]{0,30}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_mixture_of_escapes_is_left(
        secret in SECRETS, before in AROUND, after in AROUND, kinds in prop::collection::vec(any::<u8>(), 40),
        is_one_kind in any::<bool>(),
    ) {
        let kind = |index: usize| if is_one_kind { kinds[0] } else { kinds[index] };
        // A backslash or an ampersand as it is begins another escape than the encoder meant.
        let is_clear = |c: char, kind: u8| !"\\&%+'\"".contains(c) || !spelled(c, kind).starts_with(c);
        let written: String = secret.chars().enumerate()
            .map(|(index, c)| spelled(c, if is_clear(c, kind(index)) { kind(index) } else { 0 }))
            .collect();
        let text = format!("{before}{written}{after}");
        let shown = redactor(&[&secret]).redact(&text).into_owned();
        prop_assert_eq!(shown, format!("{}{}{}", before, MASK, after), "{} as {}", secret, written);
    }

    #[test]
    fn every_encoder_is_undone_also_twice(
        secret in SECRETS, before in AROUND, after in AROUND, first in 0usize..9, second in 0usize..9,
    ) {
        // Of such a secret, an escape may leave a backslash before the mask.
        prop_assume!(!secret.starts_with('\\'));
        // A word that a shell has quoted is quoted again with other quotes.
        let second = if (first, second) == (6, 6) { 0 } else { second };
        let once = encoded(&secret, first);
        let redactor = redactor(&[&secret]);
        for written in [&once, &encoded(&once, second)] {
            let text = format!("{before}{written}{after}");
            let shown = redactor.redact(&text);
            prop_assert_eq!(shown, format!("{}{}{}", before, MASK, after), "{} as {}", secret, written);
        }
    }

    #[test]
    fn base64_is_found_at_every_place_and_wrapped(
        secret in SECRETS, before in "[ -~]{0,90}", after in "[ -~]{0,90}", width in 20usize..90,
        end in prop::sample::select(vec!["\n", "\r\n", "\\n", "\n    ", "%0A"]), is_for_urls in any::<bool>(),
    ) {
        let other = |text: String| text.replace(|c: char| secret.contains(c), ".");
        let (before, after) = (other(before), other(after));
        prop_assume!(!secret.contains('.'));
        let whole = format!("{before}{secret}{after}");
        let text = if is_for_urls { URL_SAFE_NO_PAD.encode(&whole) } else { STANDARD.encode(&whole) };
        let wrapped: Vec<&str> = text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
        let shown = redactor(&[&secret]).redact(&wrapped.join(end)).into_owned();
        let left = shown.replace(end, "").replace(MASK, "").len();
        // What depends on other bytes too stays: at most one character at each edge, and the
        // padding.
        prop_assert!(left <= (before.len() + after.len()) * 4 / 3 + 6, "{shown} of {wrapped:?}");
        prop_assert!(shown.contains(MASK));
        // Lines that a program prints one by one leave less than eight characters at each break.
        let mut lines = RedactingLines::new(redactor(&[&secret]));
        let mut printed = lines.feed(wrapped.join("\n").as_bytes());
        printed.extend(lines.finish());
        let left: usize = printed.iter().map(|line| line.replace(MASK, "").len()).sum();
        prop_assert!(left <= (before.len() + after.len()) * 4 / 3 + 6 + 7, "{printed:?} of {wrapped:?}");
    }

    #[test]
    fn text_without_a_secret_stays_as_it_is(
        secret in "[g-z]{5,20}[ -~]{0,10}", text in "[0-9а-я%\\\\&;'\"+.\n ]{0,200}",
    ) {
        let redactor = redactor(&[&secret]);
        prop_assert_eq!(redactor.redact(&text), text.as_str());
        let mut lines = RedactingLines::new(redactor);
        let mut shown = lines.feed(text.as_bytes());
        shown.extend(lines.finish());
        let expected: Vec<&str> = text.split_terminator('\n').collect();
        prop_assert_eq!(shown, expected);
    }

    #[test]
    fn a_stream_in_any_chunks_leaves_nothing(
        secret in SECRETS, around in AROUND, kinds in prop::collection::vec(any::<u8>(), 40), size in 1usize..50,
        fill in 0usize..3,
    ) {
        let written: String = secret.chars().enumerate().map(|(index, c)| spelled(c, [0, 3, 7, 13][usize::from(kinds[index] % 4)])).collect();
        let fill = "ы".repeat(fill * (LOG_LINE_BYTES_MAX / 2 - 20));
        let text = format!("{fill}{around}{written}{around}\n");
        let mut lines = RedactingLines::new(redactor(&[&secret]));
        let mut shown = Vec::new();
        for chunk in text.as_bytes().chunks(size * 37) {
            shown.extend(lines.feed(chunk));
            shown.extend(lines.unfinished());
        }
        shown.extend(lines.finish());
        let left = shown.concat().replace(['…', '*'], "");
        prop_assert_eq!(left, format!("{}{}{}", fill, around, around), "{} as {}", secret, written);
    }
}

/// The whole text in one encoding.
fn encoded(text: &str, encoder: usize) -> String {
    let quoted = |keep: fn(char) -> bool, other: fn(char) -> String| -> String {
        text.chars().map(|c| if keep(c) { c.to_string() } else { other(c) }).collect()
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    match encoder {
        0 => {
            let json = serde_json::Value::from(text).to_string();
            json[1..json.len() - 1].to_owned()
        }
        1 => quoted(|_| false, |c| units(c, false)),
        2 => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        3 => quoted(is_plain, |c| bytes(c, |byte| format!("%{byte:02X}"))),
        4 => quoted(|_| false, |c| bytes(c, |byte| format!("%{byte:02x}"))),
        5 => quoted(
            |c| !"&<>\"'".contains(c),
            |c| match c {
                '&' => "&amp;".into(),
                '<' => "&lt;".into(),
                '>' => "&gt;".into(),
                '"' => "&quot;".into(),
                _ => "&#x27;".into(),
            },
        ),
        6 => text.replace('\'', r#"'"'"'"#),
        7 => quoted(|c| !c.is_ascii() || c.is_ascii_alphanumeric(), |c| format!("\\{c}")),
        _ => quoted(|c| !"'\\\t".contains(c), |c| if c == '\t' { "\\t".into() } else { format!("\\{c}") }),
    }
}

#[test]
fn a_beginning_where_a_text_was_cut_is_masked() {
    let redactor = redactor(&["wJalrXUtnFEMIK7MDENGbPxRfiCY"]);
    for (text, expected) in [
        ("key wJalrXUtnFEM...", "key ***..."),
        ("key wJalrXUtnFEM… (16 more)", "key ***… (16 more)"),
        ("key wJalrXU...", "key wJalrXU..."),
        ("key wJalrXUtnFEM", "key wJalrXUtnFEM"),
    ] {
        assert_eq!(redactor.redact(text), expected);
    }
    let mut lines = RedactingLines::new(redactor);
    assert_eq!(lines.feed(b"wJalrXUtnFEM\nIK7MDENGbPxRfiCY\nand so on\n"), [MASK, MASK, "and so on"]);
}

#[test]
fn secrets_that_overlap_or_contain_each_other_are_one() {
    let redactor = redactor(&["alpha-beta", "beta-gamma", "eta-g", "user", "pa:ss"]);
    assert_eq!(redactor.redact("(alpha-beta-gamma)"), "(***)");
    assert_eq!(redactor.redact("(alpha\\u002dbeta%2dgamma)"), "(***)");
    assert_eq!(redactor.redact(&STANDARD.encode("user:pa:ss")).replace(MASK, ""), "jpw==");
}
