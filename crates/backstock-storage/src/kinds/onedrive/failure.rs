//! What Graph refuses, by the codes of its page "Microsoft Graph error responses and resource types" and of OneDrive's.

use reqwest::StatusCode;

use crate::Cause;
use crate::account::{Refusal, Told};
use crate::http::cause_of;

/// Reads a refusal.
pub(super) fn refusal(told: Told) -> Refusal {
    Refusal::of(told, |error| &error["code"], cause)
}

/// What it means for us.
fn cause(code: &str, status: StatusCode) -> Cause {
    match code {
        "activityLimitReached"
        | "tooManyRequests"
        | "serviceNotAvailable"
        | "generalException"
        | "resourceLocked"
        | "lockConflict" => Cause::Busy,
        "quotaLimitReached" | "insufficientStorage" => Cause::Full,
        "InvalidAuthenticationToken" | "unauthenticated" | "expired_token" => Cause::SignIn,
        "accessDenied" | "notAllowed" | "malwareDetected" => Cause::Denied,
        _ => cause_of(status),
    }
}

/// Whether the name has been taken.
pub(super) fn is_taken(refusal: &Refusal) -> bool {
    refusal.status == StatusCode::CONFLICT && matches!(refusal.word.as_str(), "nameAlreadyExists" | "")
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
            assert_eq!(refusal(told).cause, cause, "{status} {code}");
        }
    }
}
