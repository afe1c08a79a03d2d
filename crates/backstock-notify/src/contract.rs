//! What every kind of notifier must do, checked against a place where its messages arrive.

use jiff::Timestamp;

use crate::{Notice, Notifier, SEND_LIMIT, Severity, tell};

/// A message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Its subject, as people read it.
    pub subject: String,
    /// Its text, as people read it.
    pub text: String,
    /// Its bytes, as they came.
    pub raw: String,
}

/// Sends what is awkward, and looks at what arrives.
///
/// # Panics
///
/// When a promise is not kept.
pub async fn check(notifier: &dyn Notifier, arrived: &dyn Fn() -> Vec<Arrived>) {
    let before = arrived().len();
    let awkward = [
        "plain words".to_owned(),
        "Grüße, 日本語, emoji 🗄".to_owned(),
        ".".to_owned(),
        ".. two dots, From here on".to_owned(),
        "a\r\n.\r\nMAIL FROM:<intruder@example.com>".to_owned(),
        "<b>no markup</b> & \"quotes\"".to_owned(),
        "long ".repeat(300),
        String::new(),
        "the last line".to_owned(),
    ];
    let subject = "Störung: ☁\r\nBcc: intruder@example.com\r\n\r\nbody";
    let notice = Notice::new(Severity::Problem, subject, &awkward, "offsite", Timestamp::UNIX_EPOCH);
    let receipt = tell(notifier, &notice, SEND_LIMIT).await.expect("the notice is taken");
    assert_eq!(receipt.refused, Vec::<String>::new());
    let messages = arrived();
    assert_eq!(messages.len(), before + 1, "one notice is one message: {messages:?}");
    let message = &messages[before];
    assert_eq!(message.subject, notice.subject());
    let lines: Vec<&str> = message.text.lines().map(str::trim_end).collect();
    for line in notice.lines() {
        assert!(lines.contains(&line.trim_end()), "{line:?} is not in {lines:?}");
    }
    let test = Notice::test("offsite", Timestamp::UNIX_EPOCH);
    tell(notifier, &test, SEND_LIMIT).await.expect("the test is taken");
    assert_eq!(arrived().len(), before + 2);
}
