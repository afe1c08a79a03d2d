//! What is put: short things in one request, long ones in a session; compared afterwards. Data can be lost here.

use backstock_host::hex;
use backstock_vocabulary::Proof;
use md5::{Digest, Md5};
use reqwest::Method;
use serde_json::json;

use super::GoogleDrive;
use super::file::File;
use super::session::Sending;
use crate::account::Call;
use crate::content::{Content, Hashed, ServiceHash};
use crate::http::Act;
use crate::session::{self, Errand};
use crate::{Cause, Error, InOneGo, Result, Upload};

/// The longest content that is put in one request, in bytes. Drive takes 5 MB.
pub(super) const SIMPLE_LIMIT_BYTES: u64 = 4 << 20;

impl ServiceHash for Md5 {
    fn see(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

/// What the bytes become.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// A new file in the folder of this id.
    New(String),
    /// New bytes of the file of this id.
    Over(String),
}

impl Target {
    pub(super) fn method(&self) -> Method {
        if matches!(self, Self::New(_)) { Method::POST } else { Method::PATCH }
    }

    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::New(_) => None,
            Self::Over(id) => Some(id),
        }
    }

    pub(super) fn described(&self, content: &Content<'_>) -> serde_json::Value {
        match self {
            Self::New(folder) => json!({
                "name": content.name.last_step(),
                "mimeType": "application/octet-stream",
                "parents": [folder],
            }),
            Self::Over(_) => json!({}),
        }
    }
}

/// How storing a content failed.
pub(super) enum Failed {
    /// The file or folder that it was meant for is no more.
    Moved,
    Otherwise(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

/// A file that was stored.
pub(super) struct Stored {
    pub(super) file: File,
    /// Where it was computed on the way.
    pub(super) md5: [u8; 16],
}

impl GoogleDrive {
    pub(super) async fn put_content(&self, content: &Content<'_>, upload: &dyn Upload) -> Result<Proof> {
        let act = Act { verb: "put", name: content.name.as_str() };
        if let Some(file) = self.find(act, content.name).await? {
            return self.settle(content, &file).await;
        }
        let (stored, proof) = self.put_new(act, content, upload).await?;
        self.yield_to_others(act, content, &stored).await?;
        Ok(proof)
    }

    /// Stores a content as a new file; once more in a new folder where the first went away under it.
    async fn put_new(
        &self,
        act: Act<'_>,
        content: &Content<'_>,
        upload: &dyn Upload,
    ) -> Result<(File, Proof)> {
        for _ in 0..2 {
            let target = Target::New(self.folder_for(act, content.name).await?);
            match self.store(act, content, upload, &target).await {
                Err(Failed::Otherwise(error)) => return Err(error),
                // Whoever threw the folder away did not mean what came into it meanwhile.
                Ok((file, _)) if file.trashed => self.drive.delete(act, &file.id).await?,
                Ok(stored) => return Ok(stored),
                Err(Failed::Moved) => {}
            }
            self.folders.forget();
        }
        Err(self.moved(act))
    }

    async fn store(
        &self,
        act: Act<'_>,
        content: &Content<'_>,
        upload: &dyn Upload,
        target: &Target,
    ) -> std::result::Result<(File, Proof), Failed> {
        let stored = if content.size_bytes <= SIMPLE_LIMIT_BYTES {
            self.store_at_once(act, content, upload, target).await?
        } else {
            let errand = Errand { http: self.drive.http(), act, content, upload };
            let (file, md5) = session::store(&Sending { storage: self, errand, target }).await?;
            Stored { file, md5: md5.finalize().into() }
        };
        let compared = self.compare(act, content, &stored);
        if compared.is_err() && target.id().is_none() {
            // Nobody shall take it for what was meant. The first error tells more than one from cleaning up.
            let _ = self.drive.delete(act, &stored.file.id).await;
        }
        Ok((stored.file, compared?))
    }

    /// One request of two parts (RFC 2387): what the file is called, and its bytes. So it never has another name, or none.
    async fn store_at_once(
        &self,
        act: Act<'_>,
        content: &Content<'_>,
        upload: &dyn Upload,
        target: &Target,
    ) -> std::result::Result<Stored, Failed> {
        let bytes = content.whole(self.drive.http(), upload).await?;
        let md5 = Md5::digest(&bytes).into();
        // What holds its own SHA-256 nobody can write.
        let boundary = format!("backstock-{}", hex::encode(&content.sha256));
        let described = target.described(content);
        let mut body = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{described}\r\n\
             --{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let url = self.drive.upload_url(target.id(), "multipart");
        let kind = format!("multipart/related; boundary={boundary}");
        match self.drive.account.ask(act, &Call::new(target.method(), url).body(&kind, body)).await? {
            Ok(answer) => Ok(Stored { file: self.drive.account.json(act, answer).await?, md5 }),
            Err(refusal) if refusal.is_missing() => Err(Failed::Moved),
            Err(refusal) => Err(self.drive.account.fail(act, refusal).into()),
        }
    }

    /// Compares what Drive says of a file with what was sent.
    fn compare(&self, act: Act<'_>, content: &Content<'_>, stored: &Stored) -> Result<Proof> {
        let file = &stored.file;
        let garbled = |problem: String| self.drive.http().refused(act, Cause::Garbled, &problem, None);
        if file.size_bytes() != content.size_bytes {
            let (sent, kept) = (content.size_bytes, file.size_bytes());
            return Err(garbled(format!("{sent} bytes were sent, and it has {kept}")));
        }
        match file.has_hash(&content.sha256, Some(stored.md5)) {
            Some(true) => Ok(Proof::ProviderHash),
            Some(false) => Err(garbled("what it has stored has another hash than what was sent".to_owned())),
            None => Ok(Proof::Size),
        }
    }

    /// The name is taken: right if by these very bytes (an earlier try that was not recorded), else a conflict.
    async fn settle(&self, content: &Content<'_>, file: &File) -> Result<Proof> {
        if file.size_bytes() != content.size_bytes {
            return Err(self.conflict(content.name));
        }
        let told = match file.has_hash(&content.sha256, None) {
            Some(told) => Some(told),
            None if file.md5_checksum.is_some() => {
                let hashed = Hashed::<Md5>::default();
                let hashed = content.hash_to(self.drive.http(), hashed, content.size_bytes).await?;
                file.has_hash(&content.sha256, Some(hashed.service.finalize().into()))
            }
            None => None,
        };
        match told {
            Some(true) => Ok(Proof::ProviderHash),
            None if content.is_in(self).await? => Ok(Proof::ReadBack),
            _ => Err(self.conflict(content.name)),
        }
    }

    /// Drive lets two of us put different bytes under one name at the same time. Whoever sees that afterwards takes its own
    /// away, so that never one of two is left by chance.
    async fn yield_to_others(&self, act: Act<'_>, content: &Content<'_>, stored: &File) -> Result<()> {
        let found = self.find_all(act, content.name).await?;
        if found.iter().all(|other| other.id == stored.id || other.has_bytes_of(stored)) {
            return Ok(());
        }
        self.drive.delete(act, &stored.id).await?;
        Err(self.conflict(content.name))
    }

    /// Lets a content take the place of whatever the name holds: Drive exchanges the bytes of a file in one step.
    pub(super) async fn replace_content(&self, content: &Content<'_>) -> Result<Proof> {
        let act = Act { verb: "replace", name: content.name.as_str() };
        let mut twins = self.find_all(act, content.name).await?;
        if twins.is_empty() {
            return self.put_new(act, content, &InOneGo).await.map(|(_, proof)| proof);
        }
        let oldest = twins.remove(0);
        let (same, others): (Vec<_>, Vec<_>) = twins.into_iter().partition(|twin| twin.has_bytes_of(&oldest));
        // Those of the same bytes go first: beside new bytes they would become a conflict. Others are one already.
        for twin in &same {
            self.drive.delete(act, &twin.id).await?;
        }
        let proof = match self.store(act, content, &InOneGo, &Target::Over(oldest.id)).await {
            Ok((file, _)) if file.trashed => return Err(self.moved(act)),
            Ok((_, proof)) => proof,
            Err(Failed::Moved) => return Err(self.moved(act)),
            Err(Failed::Otherwise(error)) => return Err(error),
        };
        for twin in &others {
            self.drive.delete(act, &twin.id).await?;
        }
        Ok(proof)
    }
}
