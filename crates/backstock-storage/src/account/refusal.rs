//! What a cloud refuses with an object `error` in JSON: a word for programs, a sentence for people.

use reqwest::StatusCode;
use serde_json::Value;

use super::Told;
use crate::http::{Act, Http};
use crate::{Cause, Error};

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The word with which it says why; empty where it says none.
    pub(crate) word: String,
    /// What it means for us.
    pub(crate) cause: Cause,
    message: String,
    retry_after_seconds: Option<u64>,
}

impl Refusal {
    /// Finds the word in the object `error`, and the cause in word and status.
    pub(crate) fn of(
        told: Told,
        word: impl FnOnce(&Value) -> &Value,
        cause: impl FnOnce(&str, StatusCode) -> Cause,
    ) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = told.json.as_ref().map_or(&Value::Null, |json| &json["error"]);
        let word = text(word(error));
        let message = if told.json.is_some() { text(&error["message"]) } else { told.text };
        let cause = cause(&word, told.status);
        Self { status: told.status, word, cause, message, retry_after_seconds: told.retry_after_seconds }
    }

    /// Whether what was asked for is not there: a file, a folder, or an upload that was begun.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::GONE)
    }

    /// It as one of our errors.
    pub(crate) fn into_error(self, http: &Http, act: Act<'_>) -> Error {
        let status = self.status.as_u16();
        let answer = match (self.word.as_str(), self.message.as_str()) {
            ("", "") => format!("status {status}"),
            ("", message) => format!("status {status}: {message}"),
            (word, message) => format!("{word}: {message}"),
        };
        http.refused(act, self.cause, &answer, self.retry_after_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::cause_of;

    #[test]
    fn words_without_json_are_repeated() {
        let text = "upstream is gone".to_owned();
        let told = Told { status: StatusCode::BAD_GATEWAY, retry_after_seconds: Some(3), json: None, text };
        let refusal = Refusal::of(told, |error| &error["code"], |_, status| cause_of(status));
        assert_eq!((refusal.cause, refusal.message.as_str()), (Cause::Busy, "upstream is gone"));
        assert_eq!((refusal.word.as_str(), refusal.retry_after_seconds), ("", Some(3)));
    }
}
