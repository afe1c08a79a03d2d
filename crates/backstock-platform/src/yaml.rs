//! The little YAML of `parameters.yml`: one section of `key: scalar` lines. From YAML 1.2, section 7.3, flow scalars.

use std::collections::BTreeMap;

/// Reads a text and forgets what it says: for whoever tries the reading of hostile texts.
pub fn try_yaml(source: &[u8]) {
    let _ = section(source, "parameters");
}

/// The scalars of a section; `None` for null. What is no scalar on one line is an error, not a guess.
pub(crate) fn section(source: &[u8], name: &str) -> Result<BTreeMap<String, Option<String>>, String> {
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let text = std::str::from_utf8(source).map_err(|_| "the file is not UTF-8".to_owned())?;
    let mut values = BTreeMap::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') || content == "---" {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            inside = content.trim_end_matches(char::is_whitespace).strip_suffix(':') == Some(name);
            continue;
        }
        if !inside {
            continue;
        }
        let error = |what: &str| Err(format!("line {} {what}", number + 1));
        let Some((key, value)) = content.split_once(':') else { return error("is no key and value") };
        if !value.is_empty() && !value.starts_with([' ', '\t']) {
            return error("is no key and value");
        }
        let Some(value) = scalar(value.trim()) else {
            return error("holds a value of a form that is not read");
        };
        values.insert(key.trim().trim_matches(['\'', '"']).to_owned(), value);
    }
    Ok(values)
}

/// One scalar; the outer `None` is a form that is not read.
fn scalar(text: &str) -> Option<Option<String>> {
    if let Some(rest) = text.strip_prefix('\'') {
        // Two quotes are one.
        let mut value = String::new();
        let mut characters = rest.chars().peekable();
        while let Some(character) = characters.next() {
            if character != '\'' {
                value.push(character);
            } else if characters.peek() == Some(&'\'') {
                characters.next();
                value.push('\'');
            } else {
                return is_comment(&characters.collect::<String>()).then_some(Some(value));
            }
        }
        return None;
    }
    if let Some(rest) = text.strip_prefix('"') {
        return double_quoted(rest).map(Some);
    }
    if text.starts_with(['|', '>', '[', '{', '&', '*', '!', '%', '@', '`']) {
        return None;
    }
    let plain = text.split(" #").next().unwrap_or_default().trim_end();
    let plain = if plain.starts_with('#') { "" } else { plain };
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => Some(None),
        _ => Some(Some(plain.to_owned())),
    }
}

fn double_quoted(rest: &str) -> Option<String> {
    let mut value = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return is_comment(characters.as_str()).then_some(value),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                same @ ('"' | '\\' | '/' | ' ') => same,
                _ => return None,
            }),
            _ => value.push(character),
        }
    }
    None
}

fn is_comment(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_of_one_section() {
        let source = "# made by hand\nother:\n    database_name: wrong\nparameters:\n    database_host: 127.0.0.1\n    \
                      database_port: ~\n    database_name: 'it''s'   # comment\n    database_user: \"a\\\"b\"\n    \
                      database_password: p#w d\n    empty:\n    quoted: ''\n";
        let values = section(source.as_bytes(), "parameters").unwrap();
        let get = |key: &str| values[key].as_deref();
        assert_eq!(get("database_host"), Some("127.0.0.1"));
        assert_eq!(get("database_port"), None);
        assert_eq!(get("database_name"), Some("it's"));
        assert_eq!(get("database_user"), Some("a\"b"));
        assert_eq!(get("database_password"), Some("p#w d"));
        assert_eq!((get("empty"), get("quoted")), (None, Some("")));
        assert!(!values.contains_key("other"));
    }

    #[test]
    fn other_forms_are_refused() {
        for line in ["a: |", "a: [1]", "a: 'open", "a: &x y", "just text", "a: \"\\q\"", "a: 'x' y"] {
            assert!(section(format!("parameters:\n  {line}\n").as_bytes(), "parameters").is_err(), "{line}");
        }
    }
}
