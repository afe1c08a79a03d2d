//! What Drive refuses, by the reasons of its guide "Resolve errors".

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
    reason: String,
    message: String,
    retry_after_seconds: Option<u64>,
}

impl Refusal {
    pub(super) fn of(told: Told) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = told.json.as_ref().map_or(&Value::Null, |json| &json["error"]);
        Self {
            status: told.status,
            reason: text(&error["errors"][0]["reason"]),
            message: if told.json.is_some() { text(&error["message"]) } else { told.text },
            retry_after_seconds: told.retry_after_seconds,
        }
    }

    /// What it means for us. Under status 403 Drive puts things that pass, things that need a person, and rights.
    pub(super) fn cause(&self) -> Cause {
        match self.reason.as_str() {
            "rateLimitExceeded"
            | "userRateLimitExceeded"
            | "dailyLimitExceeded"
            | "quotaExceeded"
            | "backendError"
            | "internalError"
            | "transientError" => Cause::Busy,
            "storageQuotaExceeded"
            | "teamDriveFileLimitExceeded"
            | "numChildrenInNonRootLimitExceeded"
            | "activeItemCreationLimitExceeded" => Cause::Full,
            "authError" | "required" if self.status == StatusCode::UNAUTHORIZED => Cause::SignIn,
            // The link was made with other rights than those that are needed.
            "insufficientPermissions" => Cause::SignIn,
            "insufficientFilePermissions"
            | "appNotAuthorizedToFile"
            | "appNotAuthorizedToChild"
            | "domainPolicy"
            | "accessNotConfigured"
            | "cannotDownloadAbusiveFile"
            | "forbidden" => Cause::Denied,
            _ => cause_of(self.status),
        }
    }

    /// Whether what was asked for is not there: a file, a folder, or an upload that was begun.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::GONE)
    }

    /// It as one of our errors.
    pub(super) fn into_error(self, http: &Http, act: Act<'_>) -> Error {
        let status = self.status.as_u16();
        let answer = match (self.reason.as_str(), self.message.as_str()) {
            ("", "") => format!("status {status}"),
            ("", message) => format!("status {status}: {message}"),
            (reason, message) => format!("{reason}: {message}"),
        };
        http.refused(act, self.cause(), &answer, self.retry_after_seconds)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(status: u16, reason: &str) -> Refusal {
        let body = json!({ "error": { "code": status, "message": "m", "errors": [{ "reason": reason }] } });
        let status = StatusCode::from_u16(status).unwrap();
        Refusal::of(Told { status, retry_after_seconds: None, json: Some(body), text: String::new() })
    }

    /// F98: what passes is told apart from what needs a person, though all of it is status 403.
    #[test]
    fn every_refusal_has_its_cause() {
        for (status, reason, cause) in [
            (403, "rateLimitExceeded", Cause::Busy),
            (403, "userRateLimitExceeded", Cause::Busy),
            (403, "storageQuotaExceeded", Cause::Full),
            (403, "teamDriveFileLimitExceeded", Cause::Full),
            (403, "insufficientFilePermissions", Cause::Denied),
            (403, "insufficientPermissions", Cause::SignIn),
            (403, "somethingNew", Cause::Denied),
            (401, "authError", Cause::SignIn),
            (404, "notFound", Cause::NoPlace),
            (429, "rateLimitExceeded", Cause::Busy),
            (500, "", Cause::Busy),
            (503, "backendError", Cause::Busy),
            (400, "invalid", Cause::Unexpected),
        ] {
            assert_eq!(refusal(status, reason).cause(), cause, "{status} {reason}");
        }
        assert!(refusal(404, "notFound").is_missing() && refusal(410, "").is_missing());
    }

    #[test]
    fn words_without_json_are_repeated() {
        let text = "upstream is gone".to_owned();
        let told = Told { status: StatusCode::BAD_GATEWAY, retry_after_seconds: Some(3), json: None, text };
        let refusal = Refusal::of(told);
        assert_eq!((refusal.cause(), refusal.message.as_str()), (Cause::Busy, "upstream is gone"));
    }
}
