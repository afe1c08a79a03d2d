//! What Dropbox refuses: by the words of its errors, by the status where there are none.

use reqwest::StatusCode;
use serde_json::Value;

use crate::http::{Act, Answer, Http, cause_of};
use crate::{Cause, Error};

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    /// The words of the error, outermost first, such as `path`, `conflict`, `file`; none where the body is a plain text.
    words: Vec<String>,
    /// The text as it came, where it is one for people.
    message: String,
    /// Up to where an upload session has its data, where that is what it is about.
    pub(super) correct_offset: Option<u64>,
    retry_after_seconds: Option<u64>,
}

impl Refusal {
    /// What the head of an answer tells.
    pub(super) fn of_head(http: &Http, answer: &Answer) -> Self {
        Self {
            status: answer.status(),
            words: Vec::new(),
            message: String::new(),
            correct_offset: None,
            retry_after_seconds: http.retry_after_seconds(answer),
        }
    }

    /// The same with what its body tells. The summary is the chain of tags of the error, with some dots behind it.
    pub(super) fn with_body(mut self, body: &[u8]) -> Self {
        let Ok(told) = serde_json::from_slice::<Value>(body) else {
            let message = String::from_utf8_lossy(body);
            // Proxies and load balancers speak HTML; their words help nobody.
            if !message.trim_start().starts_with('<') {
                self.message = message.into_owned();
            }
            return self;
        };
        let summary = told["error_summary"].as_str().unwrap_or_default();
        let words = summary.split('/').map(|word| word.trim_matches('.')).filter(|word| !word.is_empty());
        self.words = words.map(str::to_owned).collect();
        let error = &told["error"];
        self.correct_offset =
            [error, &error["lookup_failed"]].into_iter().find_map(|error| error["correct_offset"].as_u64());
        self.retry_after_seconds = self.retry_after_seconds.or_else(|| error["retry_after"].as_u64());
        let texts = [&told["user_message"]["text"], &error["required_scope"], &told["error_description"]];
        if let Some(text) = texts.into_iter().find_map(Value::as_str) {
            self.message = text.to_owned();
        }
        self
    }

    /// Whether one of the words of the error is this one.
    pub(super) fn says(&self, word: &str) -> bool {
        self.words.iter().any(|said| said == word)
    }

    /// Whether there is nothing at the path, or something that is no file (F91).
    pub(super) fn is_missing_file(&self) -> bool {
        self.is_about_a_path() && ["not_found", "not_file"].into_iter().any(|word| self.says(word))
    }

    /// Whether there is no such folder.
    pub(super) fn is_missing_folder(&self) -> bool {
        self.is_about_a_path() && ["not_found", "not_folder"].into_iter().any(|word| self.says(word))
    }

    /// Whether a range begins behind the end of its file.
    pub(super) fn is_behind_the_end(&self) -> bool {
        self.status == StatusCode::RANGE_NOT_SATISFIABLE
    }

    /// Whether the name is taken by something else.
    pub(super) fn is_conflict(&self) -> bool {
        self.is_about_a_path() && self.says("conflict")
    }

    /// Whether an upload session is no more.
    pub(super) fn is_missing_session(&self) -> bool {
        self.status == StatusCode::CONFLICT
            && !self.is_about_a_path()
            && ["not_found", "closed"].into_iter().any(|word| self.says(word))
    }

    fn is_about_a_path(&self) -> bool {
        self.status == StatusCode::CONFLICT
            && ["path", "path_lookup", "path_write"]
                .iter()
                .any(|word| self.words.first().is_some_and(|first| first == word))
    }

    /// What it means for us.
    pub(super) fn cause(&self) -> Cause {
        let says = |words: &[&str]| words.iter().any(|word| self.says(word));
        let is_of_another_revision = self.is_conflict() && self.words[0] == "path_write";
        if is_of_another_revision {
            // Somebody has written there meanwhile: a second look tells what.
            Cause::Busy
        } else if says(&["insufficient_space", "insufficient_quota"]) {
            Cause::Full
        } else if says(&["too_many_write_operations", "too_many_requests", "internal_error"]) {
            Cause::Busy
        } else if says(&["content_hash_mismatch"]) {
            Cause::Garbled
        } else if says(&[
            "missing_scope",
            "no_write_permission",
            "restricted_content",
            "team_folder",
            "access_denied",
            "email_unverified",
            "too_large",
            "payload_too_large",
            "disallowed_name",
        ]) {
            Cause::Denied
        } else if self.is_missing_session() {
            // The next try begins a new one.
            Cause::Garbled
        } else if self.is_missing_file() || self.is_missing_folder() {
            Cause::NoPlace
        } else {
            cause_of(self.status)
        }
    }

    /// It as one of our errors.
    pub(super) fn into_error(self, http: &Http, act: Act<'_>) -> Error {
        let words = if self.words.is_empty() {
            format!("status {}", self.status.as_u16())
        } else {
            self.words.join("/")
        };
        let message = self.message.trim();
        let answer = if message.is_empty() { words } else { format!("{words}: {message}") };
        http.refused(act, self.cause(), &answer, self.retry_after_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            words: Vec::new(),
            message: String::new(),
            correct_offset: None,
            retry_after_seconds: None,
        }
        .with_body(body.as_bytes())
    }

    #[test]
    fn every_refusal_has_its_cause() {
        for (status, summary, cause) in [
            (409, "path/insufficient_space/..", Cause::Full),
            (409, "path/too_many_write_operations/.", Cause::Busy),
            (409, "too_many_write_operations/", Cause::Busy),
            (429, "too_many_requests/..", Cause::Busy),
            (409, "content_hash_mismatch/", Cause::Garbled),
            (409, "path/no_write_permission/...", Cause::Denied),
            (401, "missing_scope/..", Cause::Denied),
            (401, "expired_access_token/.", Cause::SignIn),
            (401, "invalid_access_token/.", Cause::SignIn),
            (403, "", Cause::Denied),
            (409, "path/not_found/", Cause::NoPlace),
            (409, "not_found/", Cause::Garbled),
            (409, "lookup_failed/not_found/.", Cause::Garbled),
            (409, "path/malformed_path/.", Cause::Unexpected),
            (409, "path_write/conflict/file/.", Cause::Busy),
            (500, "", Cause::Busy),
            (503, "", Cause::Busy),
            (400, "", Cause::Unexpected),
        ] {
            let body = format!("{{\"error_summary\": \"{summary}\", \"error\": {{\".tag\": \"x\"}}}}");
            assert_eq!(refusal(status, &body).cause(), cause, "{status} {summary}");
        }
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        let said = |summary: &str| refusal(409, &format!("{{\"error_summary\": \"{summary}\"}}"));
        assert!(
            said("path/not_found/..").is_missing_file() && !said("path/not_found/..").is_missing_session()
        );
        assert!(said("lookup_failed/not_found/").is_missing_session());
        assert!(!said("lookup_failed/not_found/").is_missing_file());
        assert!(said("path/conflict/file/..").is_conflict());
        assert!(
            said("path/not_folder/.").is_missing_folder() && !said("path/not_folder/.").is_missing_file()
        );
    }

    #[test]
    fn offsets_and_pauses_are_read_and_plain_texts_are_words_for_people() {
        let appended = r#"{"error_summary": "incorrect_offset/.", "error": {".tag": "incorrect_offset", "correct_offset": 7}}"#;
        assert_eq!(refusal(409, appended).correct_offset, Some(7));
        let finished = r#"{"error_summary": "lookup_failed/incorrect_offset/", "error": {".tag": "lookup_failed",
            "lookup_failed": {".tag": "incorrect_offset", "correct_offset": 8}}}"#;
        assert_eq!(refusal(409, finished).correct_offset, Some(8));
        let busy = r#"{"error_summary": "too_many_requests/", "error": {"reason": {".tag": "too_many_requests"}, "retry_after": 9}}"#;
        assert_eq!(refusal(429, busy).retry_after_seconds, Some(9));
        assert_eq!(refusal(400, "Error in call: no such field").message, "Error in call: no such field");
        assert_eq!(refusal(502, "<html>Bad gateway</html>").message, "");
    }
}
