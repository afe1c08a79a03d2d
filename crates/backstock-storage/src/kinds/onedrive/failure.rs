//! What Graph refuses, by the codes of its page "Microsoft Graph error responses and resource types" and of OneDrive's.

use reqwest::StatusCode;
use serde_json::Value;

use crate::account::Told;
use crate::http::{Act, Http, cause_of};
use crate::{Cause, Error};

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The word with which it says why; empty where it says none.
    code: String,
    message: String,
    retry_after_seconds: Option<u64>,
}

impl Refusal {
    pub(super) fn of(told: Told) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = told.json.as_ref().map_or(&Value::Null, |json| &json["error"]);
        Self {
            status: told.status,
            code: text(&error["code"]),
            message: if told.json.is_some() { text(&error["message"]) } else { told.text },
            retry_after_seconds: told.retry_after_seconds,
        }
    }

    /// What it means for us.
    pub(super) fn cause(&self) -> Cause {
        match self.code.as_str() {
            "activityLimitReached"
            | "tooManyRequests"
            | "serviceNotAvailable"
            | "generalException"
            | "resourceLocked"
            | "lockConflict" => Cause::Busy,
            "quotaLimitReached" | "insufficientStorage" => Cause::Full,
            "InvalidAuthenticationToken" | "unauthenticated" | "expired_token" => Cause::SignIn,
            "accessDenied" | "notAllowed" | "malwareDetected" => Cause::Denied,
            _ => cause_of(self.status),
        }
    }

    /// Whether what was asked for is not there: an item, or an upload that was begun.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::GONE)
    }

    /// Whether the name has been taken.
    pub(super) fn is_taken(&self) -> bool {
        self.status == StatusCode::CONFLICT && matches!(self.code.as_str(), "nameAlreadyExists" | "")
    }

    /// It as one of our errors.
    pub(super) fn into_error(self, http: &Http, act: Act<'_>) -> Error {
        let status = self.status.as_u16();
        let answer = match (self.code.as_str(), self.message.as_str()) {
            ("", "") => format!("status {status}"),
            ("", message) => format!("status {status}: {message}"),
            (code, message) => format!("{code}: {message}"),
        };
        http.refused(act, self.cause(), &answer, self.retry_after_seconds)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_refusal_has_its_cause() {
        for (status, code, cause) in [
            (401, "InvalidAuthenticationToken", Cause::SignIn),
            (403, "accessDenied", Cause::Denied),
            (403, "quotaLimitReached", Cause::Full),
            (404, "itemNotFound", Cause::NoPlace),
            (429, "activityLimitReached", Cause::Busy),
            (429, "", Cause::Busy),
            (500, "generalException", Cause::Busy),
            (503, "serviceNotAvailable", Cause::Busy),
            (507, "", Cause::Full),
            (509, "", Cause::Busy),
            (400, "invalidRequest", Cause::Unexpected),
        ] {
            let body = json!({ "error": { "code": code, "message": "m" } });
            let status = StatusCode::from_u16(status).unwrap();
            let told = Told { status, retry_after_seconds: None, json: Some(body), text: String::new() };
            assert_eq!(Refusal::of(told).cause(), cause, "{status} {code}");
        }
    }
}
