//! What a service refuses, by the codes of the S3 API reference ("Error responses") and those of the services that follow it.

use jiff::Timestamp;
use reqwest::StatusCode;

use crate::http::{Act, Answer, Http, cause_of};
use crate::{Cause, Error, xml};

/// What the clock of this machine may differ from the server's, in seconds, before it is named as a cause.
pub(super) const CLOCK_TOLERANCE_SECONDS: i64 = 5 * 60;

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The word with which the service says why; empty where it says none.
    pub(super) code: String,
    message: String,
    /// What it names instead of what it was asked with: a region, an endpoint.
    instead: Option<String>,
    retry_after_seconds: Option<u64>,
    /// How far our clock is ahead of the server's, in seconds.
    ahead_seconds: Option<i64>,
    /// By how much the signature was set ahead of our clock, in seconds (F87).
    pub(super) signed_ahead_seconds: i64,
    /// Whether the server's time was learned from it, by which the next request is signed (F87).
    pub(super) has_taught_time: bool,
}

impl Refusal {
    /// What the head of an answer tells.
    pub(super) fn of_head(http: &Http, answer: &Answer) -> Self {
        Self {
            status: answer.status(),
            code: String::new(),
            message: String::new(),
            instead: answer.header("x-amz-bucket-region").map(|region| format!("region {region}")),
            retry_after_seconds: http.retry_after_seconds(answer),
            ahead_seconds: answer.header("date").and_then(|date| ahead_seconds(date, http.now())),
            signed_ahead_seconds: 0,
            has_taught_time: false,
        }
    }

    /// The same with what its body tells.
    pub(super) fn with_body(mut self, body: &[u8]) -> Self {
        match xml::read(body, None, &[], &mut |_| Ok(())) {
            Ok(root) if root.name == "Error" => {
                self.code = root.text_of("Code").unwrap_or_default().to_owned();
                self.message = root.text_of("Message").unwrap_or_default().to_owned();
                let named =
                    ["Region", "Endpoint"].map(|name| Some((name.to_lowercase(), root.text_of(name)?)));
                let named = named.into_iter().flatten().find(|(_, text)| !text.is_empty());
                self.instead = named.map(|(name, text)| format!("{name} {text}")).or(self.instead);
            }
            // Proxies and load balancers speak HTML; their words help nobody.
            _ if body.first() == Some(&b'<') => {}
            _ => self.message = String::from_utf8_lossy(body).into_owned(),
        }
        self
    }

    /// What it means for us.
    pub(super) fn cause(&self) -> Cause {
        if self.is_about_the_clock() {
            return if self.has_taught_time { Cause::Busy } else { Cause::SignIn };
        }
        match self.code.as_str() {
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "AuthorizationHeaderMalformed"
            | "AuthorizationQueryParametersError"
            | "InvalidSecurity"
            | "NotSignedUp"
            | "Unauthorized" => Cause::SignIn,
            "NoSuchBucket"
            | "InvalidBucketName"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "IllegalLocationConstraintException" => Cause::NoPlace,
            "SlowDown"
            | "InternalError"
            | "ServiceUnavailable"
            | "RequestTimeout"
            | "OperationAborted"
            | "TooManyRequests"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException" => Cause::Busy,
            "BadDigest"
            | "InvalidDigest"
            | "IncompleteBody"
            | "XAmzContentSHA256Mismatch"
            | "MissingContentLength" => Cause::Garbled,
            "QuotaExceeded"
            | "InsufficientStorage"
            | "XMinioStorageFull"
            | "XMinioAdminBucketQuotaExceeded"
            | "StorageCapExceeded"
            | "BucketQuotaExceeded" => Cause::Full,
            "AccessDenied" if self.message.to_lowercase().contains("cap exceeded") => Cause::Full,
            "NoSuchUpload" => Cause::Garbled,
            _ if self.status.is_redirection() => Cause::NoPlace,
            // A success whose body says otherwise: the service failed in the middle of its work.
            _ if self.status.is_success() => Cause::Busy,
            _ => cause_of(self.status),
        }
    }

    /// Whether there is no such object (F91: not whether there is no such bucket).
    pub(super) fn is_missing_object(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.cause() == Cause::NoPlace && self.code != "NoSuchBucket"
    }

    /// Whether an unfinished upload is no more.
    pub(super) fn is_missing_upload(&self) -> bool {
        self.code == "NoSuchUpload"
    }

    fn is_about_the_clock(&self) -> bool {
        // An address that is signed for an hour is refused as a matter of rights when the clock is further off.
        let speaks_of_time = ["expired", "not valid yet", "not yet valid", "skew"];
        let message = self.message.to_lowercase();
        // What was asked for by HEAD is refused without a word.
        let says_nothing = self.code.is_empty() && message.is_empty();
        self.code == "RequestTimeTooSkewed"
            || (self.status == StatusCode::FORBIDDEN
                && (says_nothing || speaks_of_time.iter().any(|words| message.contains(words)))
                && self
                    .ahead_seconds
                    .is_some_and(|ahead| (ahead + self.signed_ahead_seconds).abs() > CLOCK_TOLERANCE_SECONDS))
    }

    /// How far our clock is ahead of the server's, in seconds, where that is why it refuses.
    pub(super) fn clock_ahead_seconds(&self) -> Option<i64> {
        self.ahead_seconds.filter(|_| self.is_about_the_clock())
    }

    /// The same in words: so many seconds ahead of something, or behind it.
    pub(super) fn clock_difference(&self) -> String {
        let ahead = self.ahead_seconds.unwrap_or(0);
        format!("{} s {}", ahead.abs(), if ahead < 0 { "behind" } else { "ahead of" })
    }

    /// What the service says, in its own words.
    pub(super) fn words(&self) -> String {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => format!("status {}", self.status.as_u16()),
            ("", message) => format!("status {}: {message}", self.status.as_u16()),
            (code, message) => format!("{code}: {message}"),
        }
    }

    /// It as one of our errors.
    pub(super) fn into_error(self, http: &Http, act: Act<'_>) -> Error {
        let mut answer = self.words();
        if self.is_about_the_clock() {
            answer =
                format!("the clock of this machine is {} the server's ({answer})", self.clock_difference());
        } else if let Some(instead) = &self.instead {
            answer = format!("{answer} (the server names {instead})");
        }
        http.refused(act, self.cause(), &answer, self.retry_after_seconds)
    }
}

fn ahead_seconds(date: &str, now: Timestamp) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(date.trim()).ok()?.timestamp();
    Some(now.as_second() - date.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal {
            status: StatusCode::from_u16(status).unwrap(),
            code: String::new(),
            message: String::new(),
            instead: None,
            retry_after_seconds: None,
            ahead_seconds: None,
            signed_ahead_seconds: 0,
            has_taught_time: false,
        }
        .with_body(body.as_bytes())
    }

    #[test]
    fn every_refusal_has_its_cause() {
        for (status, code, cause) in [
            (403, "AccessDenied", Cause::Denied),
            (403, "InvalidAccessKeyId", Cause::SignIn),
            (403, "SignatureDoesNotMatch", Cause::SignIn),
            (400, "ExpiredToken", Cause::SignIn),
            (403, "RequestTimeTooSkewed", Cause::SignIn),
            (404, "NoSuchBucket", Cause::NoPlace),
            (301, "PermanentRedirect", Cause::NoPlace),
            (503, "SlowDown", Cause::Busy),
            (500, "InternalError", Cause::Busy),
            (200, "InternalError", Cause::Busy),
            (429, "", Cause::Busy),
            (400, "BadDigest", Cause::Garbled),
            (507, "", Cause::Full),
            (400, "XMinioStorageFull", Cause::Full),
            (501, "NotImplemented", Cause::Unexpected),
            (400, "InvalidPart", Cause::Unexpected),
        ] {
            let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
            assert_eq!(refusal(status, &body).cause(), cause, "{status} {code}");
        }
        assert!(refusal(404, "<Error><Code>NoSuchKey</Code></Error>").is_missing_object());
        assert!(!refusal(404, "<Error><Code>NoSuchBucket</Code></Error>").is_missing_object());
        assert_eq!(refusal(502, "<html><body>Bad gateway</body></html>").cause(), Cause::Busy);
    }

    #[test]
    fn a_wrong_clock_is_recognised() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(ahead_seconds("Sun, 22 Nov 2026 11:00:00 GMT", now), Some(-3600));
        let mut expired =
            refusal(403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>");
        assert_eq!(expired.cause(), Cause::Denied);
        expired.ahead_seconds = Some(-7200);
        assert_eq!(expired.cause(), Cause::SignIn);
        assert_eq!(expired.clock_difference(), "7200 s behind");
        expired.has_taught_time = true;
        assert_eq!(expired.cause(), Cause::Busy, "it may be tried again");
        // What HEAD is refused has no words.
        let silent = Refusal { ahead_seconds: Some(7200), ..refusal(403, "") };
        assert_eq!(silent.clock_ahead_seconds(), Some(7200));
        assert_eq!(Refusal { ahead_seconds: Some(10), ..refusal(403, "") }.clock_ahead_seconds(), None);
    }
}
