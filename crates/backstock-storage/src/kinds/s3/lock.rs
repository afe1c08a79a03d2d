//! Object Lock: until when a version may not be deleted. Amazon S3 API reference, "PutObjectRetention", "GetObjectRetention" and
//! "GetObjectLockConfiguration".
//!
//! What is locked is the version that is the object, by its id: a lock on a key without one would hold whatever was laid upon
//! it last. A lock is made longer and never shorter. No request of ours asks to get past one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, Unit};
use md5::{Digest, Md5};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;

use super::KIND;
use super::bucket::{Bucket, Call};
use super::failure::Refusal;
use crate::http::Act;
use crate::{Cause, Error, ObjectName, Result, xml};

/// The longest answer about a lock, in bytes.
const ANSWER_LIMIT_BYTES: usize = 64 << 10;
/// What a service says of a version that never had a lock.
const NO_RETENTION: &str = "NoSuchObjectLockConfiguration";

/// Who may delete what is locked before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LockMode {
    /// Keys with the right to bypass governance.
    Governance,
    /// Nobody, and not the owner of the account.
    Compliance,
}

impl LockMode {
    fn word(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|mode| mode.word() == word)
    }
}

/// The lock of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Retention {
    mode: LockMode,
    until: Timestamp,
}

/// What a service tells of the lock of a version: none where it never had one.
type Told = std::result::Result<Option<Retention>, Refusal>;

impl Bucket {
    /// Makes sure that the bucket can do what the settings ask for; says whether they ask for locks.
    pub(super) async fn expect_object_lock(&self) -> Result<bool> {
        if self.lock.is_none() {
            return Ok(false);
        }
        let act = Act { verb: "ask for the Object Lock of", name: "" };
        let is_on = match self.ask(act, Call::bucket(vec![("object-lock", String::new())])).await? {
            Ok(answer) => {
                let body = self.http.read(act, answer, ANSWER_LIMIT_BYTES).await?;
                let root = xml::read(&body, None, &[], &mut |_| Ok(()));
                let root = root.map_err(|problem| self.http.refused(act, Cause::Garbled, &problem, None))?;
                root.text_of("ObjectLockEnabled") == Some("Enabled")
            }
            Err(refusal) if refusal.is_missing_object() || refusal.cause() == Cause::Unexpected => false,
            Err(refusal) => return Err(refusal.into_error(&self.http, act)),
        };
        if is_on && self.has_versions().await? {
            return Ok(true);
        }
        let place = self.http.place();
        let problem = format!(
            "lock: {place} has no Object Lock. It is switched on when a bucket is made, at some services also later, together with \
             versions: make such a bucket and name it here, or leave lock away"
        );
        Err(Error::Settings { kind: KIND.name, problem })
    }

    /// Asks to lock an object that was never there: nothing is locked by it, and a service refuses it all the same where the
    /// right is missing.
    pub(super) async fn ask_to_lock(&self, name: &ObjectName) -> Result<()> {
        let act = Act { verb: "lock", name: name.as_str() };
        let until = Timestamp::from_second(self.http.now().as_second().saturating_add(24 * 60 * 60));
        let until = until.unwrap_or(Timestamp::MAX);
        let retention = Retention { mode: LockMode::Governance, until };
        match self.put_lock(act, &self.key(name), None, retention).await? {
            Err(refusal) if refusal.cause() == Cause::Denied => Err(refusal.into_error(&self.http, act)),
            // That there is no such object, in whatever words.
            _ => Ok(()),
        }
    }

    pub(super) async fn lock(&self, name: &ObjectName, until: Timestamp) -> Result<()> {
        let act = Act { verb: "lock", name: name.as_str() };
        let wanted = self.lock.ok_or_else(|| Error::Settings {
            kind: KIND.name,
            problem: "lock: it is not set, so nothing is locked".to_owned(),
        })?;
        // Locks end at whole seconds.
        let until = match until.round(Unit::Second) {
            Ok(round) if round >= until => round,
            _ => Timestamp::from_second(until.as_second().saturating_add(1)).unwrap_or(Timestamp::MAX),
        };
        let now = self.http.now();
        if until <= now {
            return Ok(());
        }
        let Some((id, told)) = self.lock_of(act, name).await? else { return Err(self.not_found(name)) };
        let there =
            told.map_err(|refusal| refusal.into_error(&self.http, act))?.filter(|there| there.until > now);
        if there.is_some_and(|there| there.until >= until) {
            return Ok(());
        }
        let key = self.key(name);
        let mut put = self.put_lock(act, &key, Some(&id), Retention { mode: wanted, until }).await?;
        if let (Err(refusal), Some(there)) = (&put, there.filter(|there| there.mode != wanted))
            && matches!(refusal.cause(), Cause::Denied | Cause::Unexpected)
        {
            // A lock of the other mode, by a default of the bucket: it is made longer as it is.
            put = self.put_lock(act, &key, Some(&id), Retention { mode: there.mode, until }).await?;
        }
        put.map_err(|refusal| refusal.into_error(&self.http, act))?;
        match self.retention(act, &key, &id).await? {
            Ok(Some(kept)) if kept.until >= until => Ok(()),
            Ok(_) => Err(Error::Unreliable {
                place: self.http.place().to_owned(),
                difference: "an object that was locked is not locked as long as it says",
            }),
            Err(refusal) => Err(refusal.into_error(&self.http, act)),
        }
    }

    pub(super) async fn locked_until(&self, name: &ObjectName) -> Result<Option<Timestamp>> {
        if !self.has_versions().await? {
            return Ok(None);
        }
        let act = Act { verb: "ask for the lock of", name: name.as_str() };
        let there = match self.lock_of(act, name).await? {
            None => None,
            Some((_, Ok(there))) => there,
            // The bucket has no Object Lock, or the service does not know it.
            Some((_, Err(refusal))) if refusal.cause() == Cause::Unexpected => None,
            Some((_, Err(refusal))) => return Err(refusal.into_error(&self.http, act)),
        };
        let now = self.http.now();
        Ok(there.map(|there| there.until).filter(|until| *until > now))
    }

    /// The id of the version that is the object, and its lock; none where there is no such object.
    async fn lock_of(&self, act: Act<'_>, name: &ObjectName) -> Result<Option<(String, Told)>> {
        let key = self.key(name);
        if let Some(id) = self.remembered(&key) {
            match self.retention(act, &key, &id).await? {
                Err(refusal) if refusal.is_missing_object() => self.forget(&key),
                told => return Ok(Some((id, told))),
            }
        }
        let Some(ours) = self.ours(act, name).await? else { return Ok(None) };
        let told = self.retention(act, &key, &ours.id).await?;
        Ok(Some((ours.id, told)))
    }

    async fn retention(&self, act: Act<'_>, key: &str, id: &str) -> Result<Told> {
        let call = Call::object(Method::GET, key).query("retention", "").query("versionId", id);
        let answer = match self.ask(act, call).await? {
            Ok(answer) => answer,
            Err(refusal) if refusal.code == NO_RETENTION => return Ok(Ok(None)),
            Err(refusal) => return Ok(Err(refusal)),
        };
        let body = self.http.read(act, answer, ANSWER_LIMIT_BYTES).await?;
        let garbled = |problem: &str| self.http.refused(act, Cause::Garbled, problem, None);
        let root = xml::read(&body, None, &[], &mut |_| Ok(())).map_err(|problem| garbled(&problem))?;
        let retention = root.text_of("Mode").and_then(LockMode::of).zip(root.text_of("RetainUntilDate"));
        let until = retention.and_then(|(mode, until)| Some(Retention { mode, until: until.parse().ok()? }));
        until.map(|retention| Ok(Some(retention))).ok_or_else(|| garbled("it does not tell the lock"))
    }

    async fn put_lock(
        &self,
        act: Act<'_>,
        key: &str,
        id: Option<&str>,
        retention: Retention,
    ) -> Result<std::result::Result<(), Refusal>> {
        let body = format!(
            "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>{}</Mode>\
             <RetainUntilDate>{}</RetainUntilDate></Retention>",
            retention.mode.word(),
            retention.until
        );
        let mut call = Call::object(Method::PUT, key).query("retention", "");
        if let Some(id) = id {
            call = call.query("versionId", id);
        }
        let call = call.header("content-md5", STANDARD.encode(Md5::digest(&body)));
        let request = self.signed(call).header("content-type", "application/xml").body(body);
        let answer = self.http.send(act, request).await?;
        Ok(self.sort_out(act, answer).await?.map(|_| ()))
    }

    /// Why a version was not deleted: S3 has one answer for a right that is missing and for a lock.
    pub(super) async fn why_kept(&self, act: Act<'_>, key: &str, id: &str, refusal: Refusal) -> Error {
        if matches!(refusal.cause(), Cause::Denied | Cause::Unexpected) {
            // Whatever goes wrong with this question, what was refused is told.
            if let Ok(Some(held)) = self.held(act, key, id).await {
                let answer = format!("{held} ({})", refusal.words());
                return self.http.refused(act, Cause::Locked, &answer, None);
            }
        }
        refusal.into_error(&self.http, act)
    }

    /// What holds a version, in words: a lock that has not ended, or a legal hold.
    pub(super) async fn held(&self, act: Act<'_>, key: &str, id: &str) -> Result<Option<String>> {
        let head = self.head_of_version(act, key, id).await?;
        let until = head.header("x-amz-object-lock-retain-until-date").and_then(|until| until.parse().ok());
        if let Some(until) = until.filter(|until: &Timestamp| *until > self.http.now()) {
            let mode = head.header("x-amz-object-lock-mode").unwrap_or_default().to_lowercase();
            return Ok(Some(format!("{mode} until {until}")));
        }
        let is_on_hold = head.header("x-amz-object-lock-legal-hold") == Some("ON");
        Ok(is_on_hold.then(|| "a legal hold without an end".to_owned()))
    }
}
