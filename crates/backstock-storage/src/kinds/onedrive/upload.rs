//! What is put: short things in one request, long ones in a session; compared afterwards. Data can be lost here.

use backstock_vocabulary::Proof;
use reqwest::Method;

use super::OneDrive;
use super::failure::is_taken;
use super::folders::fault_of;
use super::graph::Item;
use super::quick_xor::QuickXor;
use crate::account::{Call, Refusal};
use crate::content::{Content, Hashed, ServiceHash};
use crate::http::Act;
use crate::session::{self, Errand};
use crate::{Cause, Error, InOneGo, ObjectName, Result, Upload};

/// The longest content that is put in one request, in bytes: OneDrive's own page names 4 MB.
const SIMPLE_LIMIT_BYTES: u64 = 4_000_000;

/// What is to be done where the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnConflict {
    Fail,
    Replace,
}

impl OnConflict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Replace => "replace",
        }
    }
}

/// How storing a content failed.
pub(super) enum Failed {
    /// The name has been taken meanwhile.
    Taken,
    /// The folder is not there (any more).
    Moved,
    Otherwise(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

/// A file that was stored, and the hash of what was sent.
struct Stored {
    item: Item,
    hash: String,
}

/// One content on its way to a path.
pub(super) struct Sending<'a> {
    pub(super) storage: &'a OneDrive,
    pub(super) errand: Errand<'a>,
    pub(super) path: &'a ObjectName,
    pub(super) on_conflict: OnConflict,
}

impl OneDrive {
    pub(super) async fn put_content(&self, content: &Content<'_>, upload: &dyn Upload) -> Result<Proof> {
        let act = Act { verb: "put", name: content.name.as_str() };
        let path = self.checked_path(act, content.name)?;
        if let Some(item) = self.look(act, &path).await? {
            return self.settle(content, &item).await;
        }
        let on_conflict = OnConflict::Fail;
        let errand = Errand { http: self.graph.http(), act, content, upload };
        let sending = Sending { storage: self, errand, path: &path, on_conflict };
        match sending.store().await {
            Ok(proof) => Ok(proof),
            // By an earlier try of ours whose answer got lost, or by somebody else.
            Err(Failed::Taken) => match self.look(act, &path).await? {
                Some(item) => self.settle(content, &item).await,
                None => Err(self.moved(act)),
            },
            Err(Failed::Moved) => Err(self.moved(act)),
            Err(Failed::Otherwise(error)) => Err(error),
        }
    }

    /// Lets a content take the place of whatever the name holds: OneDrive exchanges files in one step.
    pub(super) async fn replace_content(&self, content: &Content<'_>) -> Result<Proof> {
        let act = Act { verb: "replace", name: content.name.as_str() };
        let path = self.checked_path(act, content.name)?;
        let there = self.look(act, &path).await?;
        if there.is_some_and(|item| !item.is_file() || item.name != content.name.last_step()) {
            return Err(self.conflict(content.name));
        }
        let on_conflict = OnConflict::Replace;
        let errand = Errand { http: self.graph.http(), act, content, upload: &InOneGo };
        let sending = Sending { storage: self, errand, path: &path, on_conflict };
        match sending.store().await {
            Ok(proof) => Ok(proof),
            Err(Failed::Taken) => Err(self.conflict(content.name)),
            Err(Failed::Moved) => Err(self.moved(act)),
            Err(Failed::Otherwise(error)) => Err(error),
        }
    }

    fn checked_path(&self, act: Act<'_>, name: &ObjectName) -> Result<ObjectName> {
        let path = self.path(Some(name))?;
        match fault_of(&path) {
            None => Ok(path),
            Some(fault) => Err(self.graph.http().refused(act, Cause::Denied, fault, None)),
        }
    }

    /// The name is taken: right if by these very bytes (an earlier try that was not recorded), else a conflict.
    async fn settle(&self, content: &Content<'_>, item: &Item) -> Result<Proof> {
        let is_ours = item.is_file() && item.name == content.name.last_step();
        if !is_ours || item.size_bytes() != content.size_bytes {
            return Err(self.conflict(content.name));
        }
        let hashed = Hashed::<QuickXor>::default();
        let hashed = content.hash_to(self.graph.http(), hashed, content.size_bytes).await?;
        match item.quick_xor() {
            Some(hash) if hash == hashed.service.finish() => Ok(Proof::ProviderHash),
            None if content.is_in(self).await? => Ok(Proof::ReadBack),
            _ => Err(self.conflict(content.name)),
        }
    }
}

impl Sending<'_> {
    /// Stores the content; once more where a folder that was there has gone.
    async fn store(&self) -> std::result::Result<Proof, Failed> {
        self.storage.make_folders(self.errand.act, self.path).await?;
        let stored = match self.send().await {
            Err(Failed::Moved) => {
                self.storage.seen.forget_all();
                self.storage.make_folders(self.errand.act, self.path).await?;
                self.send().await?
            }
            other => other?,
        };
        Ok(self.compare(stored).await?)
    }

    async fn send(&self) -> std::result::Result<Stored, Failed> {
        if self.errand.content.size_bytes <= SIMPLE_LIMIT_BYTES {
            self.send_at_once().await
        } else {
            let (item, hash) = session::store(self).await?;
            Ok(Stored { item, hash: hash.finish() })
        }
    }

    async fn send_at_once(&self) -> std::result::Result<Stored, Failed> {
        let graph = &self.storage.graph;
        let bytes = self.errand.content.whole(graph.http(), self.errand.upload).await?;
        let mut hash = QuickXor::default();
        hash.see(&bytes);
        let query = [("@microsoft.graph.conflictBehavior", self.on_conflict.word())];
        let url = graph.path_url(Some(self.path), Some("content"), &query);
        let call = Call::new(Method::PUT, url).body("application/octet-stream", bytes);
        match graph.account.ask(self.errand.act, &call).await? {
            Ok(answer) => {
                Ok(Stored { item: graph.account.json(self.errand.act, answer).await?, hash: hash.finish() })
            }
            Err(refusal) => Err(self.failed(refusal)),
        }
    }

    pub(super) fn failed(&self, refusal: Refusal) -> Failed {
        if is_taken(&refusal) {
            Failed::Taken
        } else if refusal.is_missing() {
            Failed::Moved
        } else {
            Failed::Otherwise(self.storage.graph.account.fail(self.errand.act, refusal))
        }
    }

    /// Compares what OneDrive says of a file with what was sent. Its hash may come later than the file.
    async fn compare(&self, stored: Stored) -> Result<Proof> {
        let graph = &self.storage.graph;
        let mut item = stored.item;
        if item.quick_xor().is_none() {
            let again = graph.by_id(self.errand.act, &item.id).await?;
            item = again.ok_or_else(|| self.storage.moved(self.errand.act))?;
        }
        let is_whole = item.size_bytes() == self.errand.content.size_bytes;
        let problem = match item.quick_xor() {
            Some(hash) if is_whole && hash == stored.hash => return Ok(Proof::ProviderHash),
            None if is_whole => return Ok(Proof::Size),
            _ if is_whole => "what it has stored has another hash than what was sent".to_owned(),
            _ => format!(
                "{} bytes were sent, and it has {}",
                self.errand.content.size_bytes,
                item.size_bytes()
            ),
        };
        if self.on_conflict == OnConflict::Fail {
            // Nobody shall take it for what was meant. The first error tells more than one from cleaning up.
            let _ = graph.delete(self.errand.act, &item.id).await;
        }
        Err(graph.http().refused(self.errand.act, Cause::Garbled, &problem, None))
    }
}
