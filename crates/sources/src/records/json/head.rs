//! What a format recognises itself by: the first object of an input, which the head may cut off.

use matagi_model::Stop;

use super::Scanner;

/// What the beginning of an input shows of its first JSON object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonHead {
    /// Keys of the object, in order; of an object that the head cuts off, those before the cut.
    pub keys: Vec<String>,
    /// The object's text, or what there is of it.
    pub text: String,
}

impl JsonHead {
    /// Whether the object has this key, spelt exactly so.
    pub fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    /// The value of a key as JSON text; `None` too where the head cuts the object off.
    pub fn value(&self, key: &str) -> Option<String> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&self.text).ok()?;
        object.get(key).map(ToString::to_string)
    }
}

/// The first object of a head, taken out of what wraps it; `None` where the head is not JSON.
pub fn first_json_object(head: &[u8]) -> Option<JsonHead> {
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xEF | 0xBB | 0xBF))?;
    if !matches!(first, b'{' | b'[') {
        return None;
    }
    let mut found = None;
    let mut each = |_: u64, record: Result<&str, String>| match record {
        Ok(text) => {
            found = Some(text.to_owned());
            Err(Stop("found".into()))
        }
        Err(_) => Ok(()),
    };
    let mut scanner = Scanner::new(&mut each);
    let is_whole = scanner.take(head).is_err();
    let cut = std::mem::take(&mut scanner.text);
    drop(scanner);
    let text = if is_whole { found? } else { String::from_utf8_lossy(&cut).into_owned() };
    (text.starts_with('{')).then(|| JsonHead { keys: keys(&text), text })
}

/// Keys of the outermost object of a text that may be cut off anywhere.
fn keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let (mut depth, mut string_start, mut last) = (0_usize, None, None);
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(start) = string_start {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    last = text.get(start..=at);
                    string_start = None;
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => string_start = Some(at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => keys.extend(last.and_then(|key| serde_json::from_str(key).ok())),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_shows_the_first_object() {
        let head = first_json_object(b"{\"value\":[{\"Id\":\"1\",\"x\":{\"y\":1},\"Operation\":\"a").unwrap();
        assert_eq!(head.keys, ["Id", "x", "Operation"]);
        let head = first_json_object("\u{feff}[ {\"Id\": \"1\"}, {".as_bytes()).unwrap();
        assert_eq!((head.keys.as_slice(), head.text.as_str()), (&["Id".to_owned()][..], "{\"Id\":\"1\"}"));
        assert_eq!(head.value("Id").as_deref(), Some("\"1\""));
        assert_eq!(first_json_object(b"Id,Operation\n"), None);
    }
}
