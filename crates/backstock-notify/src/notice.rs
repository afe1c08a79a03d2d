//! What is told: a subject and plain sentences, safe to be put into any message.

use jiff::Timestamp;

/// The longest subject, in characters.
const SUBJECT_LIMIT_CHARACTERS: usize = 150;
/// The longest line of the text, in characters.
const LINE_LIMIT_CHARACTERS: usize = 2_000;
/// The most lines of the text.
const LINES_LIMIT: usize = 400;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It is over, or was only tried.
    Good,
    /// Somebody should do something before it becomes a problem.
    Warning,
    /// Something does not work.
    Problem,
}

/// Something that people are told. It holds no secrets, no control characters, and is of bounded length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    severity: Severity,
    subject: String,
    lines: Vec<String>,
    about: String,
    since: Timestamp,
}

impl Notice {
    /// A notice about something (a storage, a shop) since when it is so. What cannot stand in a line of text becomes a blank;
    /// what is too long is cut, which the text then says.
    pub fn new(severity: Severity, subject: &str, lines: &[String], about: &str, since: Timestamp) -> Self {
        let mut kept: Vec<String> =
            lines.iter().take(LINES_LIMIT).map(|line| plain(line, LINE_LIMIT_CHARACTERS)).collect();
        if lines.len() > LINES_LIMIT {
            kept.push(format!("… and {} more lines.", lines.len() - LINES_LIMIT));
        }
        let words = plain(subject, usize::MAX);
        let words: Vec<&str> = words.split_whitespace().collect();
        let subject = plain(&words.join(" "), SUBJECT_LIMIT_CHARACTERS);
        let about = plain(about, SUBJECT_LIMIT_CHARACTERS);
        Self { severity, subject, lines: kept, about, since }
    }

    /// The notice by which a notifier is tried.
    pub fn test(title: &str, now: Timestamp) -> Self {
        let lines = [
            format!("This is the test of the notifier {title} of Backstock."),
            "Nothing is wrong: whatever goes wrong later is told the same way.".to_owned(),
        ];
        Self::new(Severity::Good, "Backstock: test", &lines, title, now)
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What it is, in one line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it says, line by line.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// What it is about.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Since when it is so.
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

/// A text as one line: no control characters, nothing that turns the direction of writing, not too long.
fn plain(text: &str, limit_characters: usize) -> String {
    let is_odd = |character: char| {
        character.is_control()
            || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut kept: String = text
        .chars()
        .map(|character| if is_odd(character) { ' ' } else { character })
        .take(limit_characters)
        .collect();
    if text.chars().nth(limit_characters).is_some() {
        kept.pop();
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_begin_a_header_or_run_on_is_made_harmless() {
        let now = Timestamp::UNIX_EPOCH;
        let lines = vec!["one\r\n.\r\nRCPT TO:<x@y>".to_owned(); LINES_LIMIT + 2];
        let subject = format!("a\r\nBcc: x@y\u{202e}{}", "é".repeat(400));
        let notice = Notice::new(Severity::Problem, &subject, &lines, "b\0c", now);
        assert!(notice.subject().starts_with("a Bcc: x@y é") && notice.subject().ends_with('…'));
        assert_eq!(notice.subject().chars().count(), SUBJECT_LIMIT_CHARACTERS);
        assert_eq!(notice.lines().len(), LINES_LIMIT + 1);
        assert_eq!(notice.lines()[0], "one  .  RCPT TO:<x@y>");
        assert_eq!(notice.lines()[LINES_LIMIT], "… and 2 more lines.");
        assert_eq!(notice.about(), "b c");
    }
}
