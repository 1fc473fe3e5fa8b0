//! Looks into a JSON text that cannot be read, to say where it is wrong.

/// The position after the string that begins at `start`. `None` if it does not end.
pub(crate) fn end_of_string(text: &str, start: usize) -> Option<usize> {
    let mut bytes = text.bytes().enumerate().skip(start + 1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// An object with its current key, or an array with the index of its current item.
enum Level {
    Object(Option<String>),
    Array(usize),
}

/// The path of the value in which a reader stopped, such as `variables.input.name`. A key that
/// cannot be read is at the path of its object. Empty for the whole text.
pub(super) fn place_of(text: &str, error: &serde_json::Error) -> String {
    let stopped = offset(text, error);
    let (mut levels, mut at) = (Vec::<Level>::new(), 0);
    while at < stopped {
        match text.as_bytes()[at] {
            b'"' => {
                let Some(end) = end_of_string(text, at).filter(|end| *end < stopped) else { break };
                if let Some(Level::Object(key @ None)) = levels.last_mut() {
                    *key = serde_json::from_str(&text[at..end]).ok();
                }
                at = end;
                continue;
            }
            b'{' => levels.push(Level::Object(None)),
            b'[' => levels.push(Level::Array(0)),
            b'}' | b']' => drop(levels.pop()),
            b',' => match levels.last_mut() {
                Some(Level::Object(key)) => *key = None,
                Some(Level::Array(index)) => *index += 1,
                None => {}
            },
            _ => {}
        }
        at += 1;
    }
    let part = |level: Level| match level {
        Level::Object(key) => key,
        Level::Array(index) => Some(index.to_string()),
    };
    levels.into_iter().filter_map(part).collect::<Vec<_>>().join(".")
}

/// The byte at which a reader stopped. Its columns are bytes, from 1.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (before + error.column()).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_that_cannot_be_read_is_named() {
        for (text, place) in [
            (r#"{"query":"q","variables":{"a":"\ud83d"}}"#, "variables.a"),
            (
                r#"{"variables":{"input":{"labels":["x","é,\"","y\udc00"],"z":1}}}"#,
                "variables.input.labels.2",
            ),
            ("{\n  \"é\": [1, 2],\n  \"variables\": {\n    \"a\": [{}, {\"b\": NaN}]\n}}", "variables.a.1.b"),
            (r#"{"variables":{"input":{"\ud83d":1}}}"#, "variables.input"),
            (r#"{"a":{"b":1},"c":"\x"}"#, "c"),
            (r#"{"a":1e999}"#, "a"),
            (r#""\ud83d""#, ""),
            ("", ""),
            ("{", ""),
            ("x", ""),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            assert_eq!(place_of(text, &error), place, "{text}: {error}");
        }
    }
}
