//! The language in which Drive is asked for files (guide "Search query terms and operators"), as far as it concerns names,
//! types, folders and the trash.

/// A condition.
#[derive(Debug, PartialEq, Eq)]
enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    /// Capital letters are not told from small ones.
    Name(String),
    Type {
        is: bool,
        word: String,
    },
    Trashed(bool),
    Parent(String),
}

/// A query that can be understood.
#[derive(Debug)]
pub(super) struct Query(Condition);

impl Query {
    /// None where it cannot be understood.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { words: words(text)?, next: 0 };
        let condition = reader.any_of()?;
        (reader.next == reader.words.len()).then_some(Self(condition))
    }

    pub(super) fn matches(
        &self,
        name: &str,
        mime_type: &str,
        trashed: bool,
        is_in: &dyn Fn(&str) -> bool,
    ) -> bool {
        fn holds(
            condition: &Condition,
            name: &str,
            mime_type: &str,
            trashed: bool,
            is_in: &dyn Fn(&str) -> bool,
        ) -> bool {
            let holds = |condition: &Condition| holds(condition, name, mime_type, trashed, is_in);
            match condition {
                Condition::And(all) => all.iter().all(holds),
                Condition::Or(some) => some.iter().any(holds),
                Condition::Not(condition) => !holds(condition),
                Condition::Name(wanted) => wanted.to_lowercase() == name.to_lowercase(),
                Condition::Type { is, word } => (word == mime_type) == *is,
                Condition::Trashed(wanted) => trashed == *wanted,
                Condition::Parent(id) => is_in(id),
            }
        }
        holds(&self.0, name, mime_type, trashed, is_in)
    }

    /// The ids of the folders that it asks about.
    pub(super) fn parents(&self) -> Vec<&str> {
        fn collect<'a>(condition: &'a Condition, found: &mut Vec<&'a str>) {
            match condition {
                Condition::And(several) | Condition::Or(several) => {
                    several.iter().for_each(|condition| collect(condition, found));
                }
                Condition::Not(condition) => collect(condition, found),
                Condition::Parent(id) => found.push(id),
                _ => {}
            }
        }
        let mut found = Vec::new();
        collect(&self.0, &mut found);
        found
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Plain(String),
    Quoted(String),
}

fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => {}
            '\'' => {
                let mut quoted = String::new();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        '\\' => quoted.push(letters.next().filter(|letter| matches!(letter, '\\' | '\''))?),
                        other => quoted.push(other),
                    }
                }
                words.push(Word::Quoted(quoted));
            }
            '(' | ')' => words.push(Word::Plain(letter.to_string())),
            '=' => words.push(Word::Plain("=".to_owned())),
            '!' => {
                letters.next_if_eq(&'=')?;
                words.push(Word::Plain("!=".to_owned()));
            }
            letter if letter.is_ascii_alphabetic() => {
                let mut plain = letter.to_string();
                while let Some(letter) = letters.next_if(char::is_ascii_alphanumeric) {
                    plain.push(letter);
                }
                words.push(Word::Plain(plain));
            }
            _ => return None,
        }
    }
    Some(words)
}

struct Reader {
    words: Vec<Word>,
    next: usize,
}

impl Reader {
    fn take(&mut self) -> Option<Word> {
        self.next += 1;
        self.words.get(self.next - 1).cloned()
    }

    fn take_plain(&mut self, wanted: &str) -> bool {
        let is_next = matches!(self.words.get(self.next), Some(Word::Plain(word)) if word == wanted);
        self.next += usize::from(is_next);
        is_next
    }

    fn quoted(&mut self) -> Option<String> {
        match self.take()? {
            Word::Quoted(text) => Some(text),
            Word::Plain(_) => None,
        }
    }

    fn any_of(&mut self) -> Option<Condition> {
        let mut some = vec![self.all_of()?];
        while self.take_plain("or") {
            some.push(self.all_of()?);
        }
        Some(Condition::Or(some))
    }

    fn all_of(&mut self) -> Option<Condition> {
        let mut all = vec![self.one()?];
        while self.take_plain("and") {
            all.push(self.one()?);
        }
        Some(Condition::And(all))
    }

    fn one(&mut self) -> Option<Condition> {
        if self.take_plain("not") {
            return Some(Condition::Not(Box::new(self.one()?)));
        }
        if self.take_plain("(") {
            let inner = self.any_of()?;
            return self.take_plain(")").then_some(inner);
        }
        match self.take()? {
            Word::Quoted(id) => {
                (self.take_plain("in") && self.take_plain("parents")).then_some(Condition::Parent(id))
            }
            Word::Plain(term) => {
                let is = self.take_plain("=");
                if !is && !self.take_plain("!=") {
                    return None;
                }
                match term.as_str() {
                    "name" => {
                        let name = Condition::Name(self.quoted()?);
                        Some(if is { name } else { Condition::Not(Box::new(name)) })
                    }
                    "mimeType" => Some(Condition::Type { is, word: self.quoted()? }),
                    "trashed" if self.take_plain("true") => Some(Condition::Trashed(is)),
                    "trashed" if self.take_plain("false") => Some(Condition::Trashed(!is)),
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_understood_or_refused() {
        let text = "('a' in parents or 'b' in parents) and name = 'it\\'s a\\\\b' and mimeType != 'x/y' and trashed = false";
        let query = Query::parse(text).unwrap();
        assert_eq!(query.parents(), ["a", "b"]);
        let matches = |name, mime_type, trashed, parent: &str| {
            query.matches(name, mime_type, trashed, &|id| id == parent)
        };
        assert!(matches("it's a\\b", "z", false, "b"));
        assert!(matches("IT'S a\\b", "z", false, "a"));
        assert!(!matches("it's a\\b", "x/y", false, "a"));
        assert!(!matches("it's a\\b", "z", true, "a"));
        assert!(!matches("it's a\\b", "z", false, "c"));
        assert!(!matches("its a\\b", "z", false, "a"));
        for text in
            ["", "name = it's", "name = 'it's'", "'a' in", "(trashed = false", "size = '1'", "name = 'a\\b'"]
        {
            assert!(Query::parse(text).is_none(), "{text}");
        }
    }
}
