//! `.env` files as Laravel's reader (phpdotenv 4 and 5) understands them.
//!
//! Unquoted values end at white space or `#`, and a `#` anywhere in them begins a comment; single quotes are literal;
//! double quotes know escapes, `${NAME}` and several lines; the last assignment of a name wins; what is not understood
//! is an error, since the shop itself would not start.

use std::collections::BTreeMap;

use crate::environment::{Environment, Lookup};

/// Longest value, in bytes: `${A}` twice in `B` and so on would otherwise double it line by line.
const VALUE_LIMIT_BYTES: usize = 64 << 10;

/// Reads a file. The error names the line; it never holds a value.
pub(crate) fn parse(
    source: &[u8],
    environment: &dyn Environment,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, String> {
    let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    let mut reader = Reader { source, at: 0, line: 1, values: BTreeMap::new(), environment };
    while reader.at < source.len() {
        reader.entry()?;
    }
    Ok(reader.values)
}

/// Reads a text and forgets what it says: for whoever tries the reading of hostile texts.
pub fn try_dotenv(source: &[u8]) {
    let _ = parse(source, &crate::environment::NoEnvironment);
}

struct Reader<'a> {
    source: &'a [u8],
    at: usize,
    line: usize,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    environment: &'a dyn Environment,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.source.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
        }
        Some(byte)
    }

    fn error<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("line {} {what}", self.line))
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {}
    }

    /// One line, or one assignment over several lines.
    fn entry(&mut self) -> Result<(), String> {
        self.skip_blanks();
        if matches!(self.peek(), None | Some(b'\n' | b'#')) {
            self.skip_line();
            return Ok(());
        }
        let rest = &self.source[self.at..];
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap_or(rest.len());
        let name = rest[..end].trim_ascii();
        let name = name
            .strip_prefix(b"export")
            .filter(|after| after.first().is_some_and(u8::is_ascii_whitespace))
            .map_or(name, <[u8]>::trim_ascii);
        let name = unquoted(name).to_vec();
        if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
            || name.is_empty()
        {
            return self.error("has a name that is none");
        }
        if rest.get(end) != Some(&b'=') {
            // A name alone asks for the variable of the environment.
            self.skip_line();
            return Ok(());
        }
        self.at += end + 1;
        self.skip_blanks();
        let value = match self.peek() {
            Some(b'\'') => self.single_quoted()?,
            Some(b'"') => self.double_quoted()?,
            _ => self.unquoted()?,
        };
        self.values.insert(name, value);
        Ok(())
    }

    /// What may follow a value: white space and a comment.
    fn end_of_value(&mut self) -> Result<(), String> {
        self.skip_blanks();
        match self.peek() {
            None | Some(b'\n' | b'#') => {
                self.skip_line();
                Ok(())
            }
            _ => self.error("has white space in a value without quotes"),
        }
    }

    fn unquoted(&mut self) -> Result<Vec<u8>, String> {
        let mut value = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'#' | b'\n' | b' ' | b'\t' | b'\r' | 0x0b | 0x0c => break,
                b'$' => self.substitute(&mut value)?,
                _ => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        self.end_of_value()?;
        Ok(value)
    }

    fn single_quoted(&mut self) -> Result<Vec<u8>, String> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.next() {
                Some(b'\'') => break,
                Some(byte) => value.push(byte),
                None => return self.error("has a quote that is not closed"),
            }
        }
        self.end_of_value()?;
        Ok(value)
    }

    fn double_quoted(&mut self) -> Result<Vec<u8>, String> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    break;
                }
                Some(b'$') => self.substitute(&mut value)?,
                Some(b'\\') => {
                    self.at += 1;
                    value.push(match self.next() {
                        Some(byte @ (b'"' | b'\\' | b'$')) => byte,
                        Some(b'n') => b'\n',
                        Some(b'r') => b'\r',
                        Some(b't') => b'\t',
                        Some(b'f') => 0x0c,
                        Some(b'v') => 0x0b,
                        _ => return self.error("has an escape that is none"),
                    });
                }
                Some(_) => value.extend(self.next()),
                None => return self.error("has a quote that is not closed"),
            }
        }
        self.end_of_value()?;
        Ok(value)
    }

    /// `${NAME}`: the environment's value, else the file's so far, else the text itself.
    fn substitute(&mut self, value: &mut Vec<u8>) -> Result<(), String> {
        let rest = &self.source[self.at..];
        let name = rest.strip_prefix(b"${").and_then(|inner| {
            let end = inner.iter().position(|byte| *byte == b'}')?;
            let name = &inner[..end];
            let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
            plain.then_some(name)
        });
        let found = name.and_then(|name| match self.environment.lookup(name) {
            Lookup::Set(text) => Some(text),
            _ => self.values.get(name).cloned(),
        });
        match (found, name) {
            (Some(text), Some(name)) => {
                value.extend(text);
                self.at += name.len() + 3;
            }
            _ => {
                value.push(b'$');
                self.at += 1;
            }
        }
        if value.len() > VALUE_LIMIT_BYTES { self.error("has a value longer than any") } else { Ok(()) }
    }
}

fn unquoted(name: &[u8]) -> &[u8] {
    match name {
        [open @ (b'"' | b'\''), inner @ .., close] if open == close => inner,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::{KnownEnvironment, NoEnvironment};
    use proptest::prelude::*;

    fn value(source: &str, name: &str) -> Option<String> {
        let values = parse(source.as_bytes(), &NoEnvironment).unwrap();
        values.get(name.as_bytes()).map(|value| String::from_utf8(value.clone()).unwrap())
    }

    #[test]
    fn the_lines_that_were_tried_on_the_real_reader() {
        for (source, name, expected) in [
            ("A=one\nA=two", "A", "two"),
            ("export E=x", "E", "x"),
            ("D = spaced", "D", "spaced"),
            ("B=abc#def", "B", "abc"),
            ("C=abc #def", "C", "abc"),
            (r##"F="p4 ss#\"\$bag""##, "F", "p4 ss#\"$bag"),
            ("G='a b'", "G", "a b"),
            ("G='${A} \\n'", "G", "${A} \\n"),
            ("A=one\nH=\"${A}/x\"", "H", "one/x"),
            ("A=one\nH=${A}/x", "H", "one/x"),
            ("H=\"${NONE}/x $A\"", "H", "${NONE}/x $A"),
            ("I=\"l1\nl2\"\nZ=z", "I", "l1\nl2"),
            ("I=\"l1\nl2\"\nZ=z", "Z", "z"),
            ("J=", "J", ""),
            ("J=\nK=k", "J", ""),
            ("#DB=old\n  # DB=older\nDB=new\r\n", "DB", "new"),
            ("\u{feff}A=marked", "A", "marked"),
            ("A=\"x\" # comment", "A", "x"),
            ("A=a'b", "A", "a'b"),
            ("A=with=equals==", "A", "with=equals=="),
        ] {
            assert_eq!(value(source, name).as_deref(), Some(expected), "{source}");
        }
    }

    #[test]
    fn what_the_real_reader_refuses_is_refused_with_its_line() {
        for source in
            ["A=1\nK=a b", "A=1\nK='x' y", "A=1\nK=\"\\q\"", "A=1\nK='open", "A=1\nK=\"open", "A=1\nb-d=x"]
        {
            let error = parse(source.as_bytes(), &NoEnvironment).unwrap_err();
            assert!(error.starts_with("line 2"), "{source}: {error}");
        }
    }

    #[test]
    fn the_real_environment_beats_the_file_in_substitutions() {
        let environment = KnownEnvironment(BTreeMap::from([(b"A".to_vec(), b"real".to_vec())]));
        let values = parse(b"A=file\nB=${A}", &environment).unwrap();
        assert_eq!(values[&b"B"[..]], b"real");
    }

    #[test]
    fn doubling_values_end_at_the_limit() {
        let mut source = String::from("A0=xxxxxxxxxxxxxxxx\n");
        for number in 1..100 {
            source.push_str(&format!("A{number}=${{A{0}}}${{A{0}}}\n", number - 1));
        }
        assert!(parse(source.as_bytes(), &NoEnvironment).unwrap_err().contains("longer"));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(source in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&source, &NoEnvironment);
        }

        #[test]
        fn single_quoted_values_come_back(text in "[^'\u{0}]{0,40}") {
            let source = format!("A='{text}'\nB=b");
            prop_assert_eq!(value(&source, "A"), Some(text));
            prop_assert_eq!(value(&source, "B"), Some("b".to_owned()));
        }
    }
}
