//! What Drive refuses, by the reasons of its guide "Resolve errors".

use reqwest::StatusCode;

use crate::Cause;
use crate::account::{Refusal, Told};
use crate::http::cause_of;

/// Reads a refusal.
pub(super) fn refusal(told: Told) -> Refusal {
    Refusal::of(told, |error| &error["errors"][0]["reason"], cause)
}

/// What it means for us. Under status 403 Drive puts things that pass, things that need a person, and rights.
fn cause(reason: &str, status: StatusCode) -> Cause {
    match reason {
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
        "authError" | "required" if status == StatusCode::UNAUTHORIZED => Cause::SignIn,
        // The link was made with other rights than those that are needed.
        "insufficientPermissions" => Cause::SignIn,
        "insufficientFilePermissions"
        | "appNotAuthorizedToFile"
        | "appNotAuthorizedToChild"
        | "domainPolicy"
        | "accessNotConfigured"
        | "cannotDownloadAbusiveFile"
        | "forbidden" => Cause::Denied,
        _ => cause_of(status),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            let body =
                json!({ "error": { "code": status, "message": "m", "errors": [{ "reason": reason }] } });
            let status = StatusCode::from_u16(status).unwrap();
            let told = Told { status, retry_after_seconds: None, json: Some(body), text: String::new() };
            assert_eq!(refusal(told).cause, cause, "{status} {reason}");
        }
    }
}
