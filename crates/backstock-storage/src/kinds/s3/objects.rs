//! Objects of a bucket: put in one request, looked at, read, deleted. Data can be lost here.
//!
//! A part is read twice: once for its SHA-256, which must be the promised one before a byte is sent, and its MD5, which goes
//! along so that the service refuses what arrives changed; then once to be sent. The second reading comes from memory mostly.

use std::sync::atomic::Ordering;

use backstock_host::hex;
use backstock_vocabulary::Proof;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use reqwest::{Method, StatusCode};
use ring::digest::{Context, SHA256};

use super::bucket::{Bucket, Call};
use super::multipart;
use super::versions::{Version, version_of};
use crate::http::{Act, Answer, Piece, read_piece};
use crate::{
    Cause, Error, InOneGo, ObjectName, PutReceipt, RANGE_LIMIT_BYTES, Result, SMALL_LIMIT_BYTES, SpooledPart,
    Upload,
};

/// The header that carries the SHA-256 of an object, in hexadecimal digits.
pub(super) const SHA256_HEADER: &str = "x-amz-meta-sha256";

/// What a HEAD tells, or a list of versions.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) size_bytes: u64,
    sha256: Option<String>,
    etag: Option<String>,
    /// The version whose HEAD would tell more.
    version: Option<String>,
}

/// A part that was put, before anybody has looked whether it is there.
struct Put {
    /// The version that it has become, where the service says so.
    version: Option<String>,
    /// Its MD5, where it went in one request.
    md5: Option<[u8; 16]>,
}

impl Put {
    /// What its being there rests on. The etag of what was put in pieces is no hash of its bytes: nothing but their number is
    /// proven then.
    fn receipt(&self, head: &Head) -> PutReceipt {
        let is_proven = self.md5.is_some_and(|md5| head.has_md5(md5));
        PutReceipt::new(if is_proven { Proof::ProviderHash } else { Proof::Size })
    }
}

/// The two hashes of what goes into one request.
pub(super) struct Hashes {
    pub(super) sha256: Context,
    pub(super) md5: Md5,
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self { sha256: Context::new(&SHA256), md5: Md5::new() }
    }

    pub(super) fn see(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
    }
}

impl Bucket {
    pub(super) async fn put(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        self.look_at_spool(name, part).await?;
        if let Some(head) = self.head("look at", name).await? {
            return self.compare_with_part(name, part, &head).await;
        }
        let put = if part.size_bytes <= multipart::SINGLE_LIMIT_BYTES {
            self.put_at_once(name, part, upload).await?
        } else {
            Put { version: self.put_in_parts(name, part, upload).await?, md5: None }
        };
        let head = self.confirm(name, part.size_bytes, put.version.as_deref()).await?;
        Ok(put.receipt(&head))
    }

    /// Lets a part take the place of whatever the name holds: S3 exchanges objects in one step. Where there are versions, the
    /// one that stood there is the object until it is deleted.
    pub(super) async fn replace(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        self.look_at_spool(name, part).await?;
        let has_versions = self.has_versions().await?;
        if has_versions {
            self.expect_replaceable(name).await?;
        }
        let put = if part.size_bytes <= multipart::SINGLE_LIMIT_BYTES {
            self.put_at_once(name, part, &InOneGo).await?
        } else {
            Put { version: self.put_in_parts_or_abort(name, part).await?, md5: None }
        };
        let head = self.take_its_place(name, part.size_bytes, put.version.as_deref(), has_versions).await?;
        Ok(put.receipt(&head))
    }

    /// The same with a small object.
    pub(super) async fn replace_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let size_bytes = bytes.len() as u64;
        Error::expect_at_most(name, size_bytes, SMALL_LIMIT_BYTES)?;
        let has_versions = self.has_versions().await?;
        if has_versions {
            self.expect_replaceable(name).await?;
        }
        let version = self.send_small(name, bytes).await?;
        self.take_its_place(name, size_bytes, version.as_deref(), has_versions).await.map(drop)
    }

    async fn take_its_place(
        &self,
        name: &ObjectName,
        size_bytes: u64,
        version: Option<&str>,
        has_versions: bool,
    ) -> Result<Head> {
        if has_versions {
            self.take_place(name, size_bytes, version).await.map(Head::from)
        } else {
            self.confirm(name, size_bytes, version).await
        }
    }

    /// Says so before anything is sent where what stands there is locked.
    async fn expect_replaceable(&self, name: &ObjectName) -> Result<()> {
        let act = Act { verb: "replace", name: name.as_str() };
        let Some(ours) = self.ours(act, name).await? else { return Ok(()) };
        match self.held(act, &self.key(name), &ours.id).await? {
            None => Ok(()),
            Some(held) => Err(self.http.refused(act, Cause::Locked, &held, None)),
        }
    }

    async fn look_at_spool(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<()> {
        let (files, path) = (self.http.files().clone(), part.path.to_owned());
        let stat = tokio::task::spawn_blocking(move || files.stat(&path)).await;
        let stat = stat.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let act = Act { verb: "look at the spooled part of", name: name.as_str() };
        let stat = stat.map_err(|error| self.http.io(act, error))?;
        if stat.filter(|stat| stat.is_file).map(|stat| stat.size_bytes) == Some(part.size_bytes) {
            return Ok(());
        }
        Err(Error::PartChanged { name: name.clone(), difference: "it is missing or has another length" })
    }

    /// The MD5 of a whole part, when its SHA-256 is the promised one.
    async fn hash(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<[u8; 16]> {
        let piece = Piece { name, path: part.path, offset_bytes: 0, length_bytes: part.size_bytes };
        let hashes = read_piece(&self.http, piece, Hashes::new(), Hashes::see).await?;
        expect_sha256(name, part, hashes.sha256)?;
        Ok(hashes.md5.finalize().into())
    }

    async fn put_at_once(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<Put> {
        let md5 = self.hash(name, part).await?;
        let act = Act { verb: "put", name: name.as_str() };
        let key = self.key(name);
        let call = self.described(Call::object(Method::PUT, &key), &part.sha256);
        let call = call.header("content-md5", STANDARD.encode(md5));
        let piece = Piece { name, path: part.path, offset_bytes: 0, length_bytes: part.size_bytes };
        let answer = self.http.send_piece(act, self.signed(call), piece, upload).await?;
        let answer = self.sort_out(act, answer).await?;
        let answer = answer.map_err(|refusal| refusal.into_error(&self.http, act))?;
        Ok(Put { version: version_of(&answer), md5: Some(md5) })
    }

    /// What is said about an object when it is made.
    pub(super) fn described<'a>(&self, call: Call<'a>, sha256: &[u8]) -> Call<'a> {
        let call = call.header(SHA256_HEADER, hex::encode(sha256));
        match &self.storage_class {
            Some(class) => call.header("x-amz-storage-class", class),
            None => call,
        }
    }

    /// Looks at what was just put, as the version that is named. An object of another length is taken away again.
    async fn confirm(&self, name: &ObjectName, size_bytes: u64, version: Option<&str>) -> Result<Head> {
        if self.has_versions().await? {
            return Ok(self.confirm_version(name, size_bytes, version).await?.into());
        }
        let head = self.head("confirm", name).await?;
        match head {
            Some(head) if head.size_bytes == size_bytes => Ok(head),
            seen => {
                let difference = match seen {
                    None => "an object that was written is missing",
                    Some(_) => "an object that was written has another length",
                };
                // Nobody shall take it for whole. Where it cannot be deleted, its length tells.
                let _ = self.delete(name).await;
                Err(Error::Unreliable { place: self.http.place().to_owned(), difference })
            }
        }
    }

    pub(super) async fn put_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let size_bytes = bytes.len() as u64;
        Error::expect_at_most(name, size_bytes, SMALL_LIMIT_BYTES)?;
        if let Some(head) = self.head("look at", name).await? {
            let is_same =
                head.size_bytes == size_bytes && self.read_range(name, 0, size_bytes).await? == bytes;
            return if is_same { Ok(()) } else { Err(self.conflict(name)) };
        }
        self.overwrite(name, bytes).await
    }

    async fn overwrite(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let version = self.send_small(name, bytes).await?;
        self.confirm(name, bytes.len() as u64, version.as_deref()).await.map(|_| ())
    }

    /// Sends bytes for a name, whatever it holds, and reads them back: as the version that they have become, where there are
    /// versions. What a test of a place does where nothing may be deleted.
    pub(super) async fn keeps(&self, name: &ObjectName, bytes: &[u8]) -> Result<bool> {
        let act = Act { verb: "read", name: name.as_str() };
        let version = self.send_small(name, bytes).await?;
        let length_bytes = bytes.len() as u64;
        Ok(self.read_version(act, name, version.as_deref(), 0, length_bytes).await? == bytes)
    }

    /// Sends bytes for a name; tells the version that they have become, where the service says so.
    async fn send_small(&self, name: &ObjectName, bytes: &[u8]) -> Result<Option<String>> {
        let act = Act { verb: "put", name: name.as_str() };
        let key = self.key(name);
        let mut hashes = Hashes::new();
        hashes.see(bytes);
        let call = self.described(Call::object(Method::PUT, &key), hashes.sha256.finish().as_ref());
        let call = call.header("content-md5", STANDARD.encode(hashes.md5.finalize()));
        let request = self.signed(call).header("content-length", bytes.len()).body(bytes.to_vec());
        let answer = self.http.send_patiently(act, request).await?;
        let answer = self.sort_out(act, answer).await?;
        let answer = answer.map_err(|refusal| refusal.into_error(&self.http, act))?;
        Ok(version_of(&answer))
    }

    /// The name is taken: by these very bytes, or it is a conflict.
    async fn compare_with_part(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        head: &Head,
    ) -> Result<PutReceipt> {
        if head.size_bytes != part.size_bytes {
            return Err(self.conflict(name));
        }
        let md5 = self.hash(name, part).await?;
        if head.has_md5(md5) {
            return Ok(PutReceipt::new(Proof::ProviderHash));
        }
        let (there, proof) = match self.sha256_of(name, head).await? {
            Some(sha256) => (sha256.to_lowercase(), Proof::Size),
            // It was put there by other means: only its bytes can tell.
            None => (self.read_and_hash(name, head.size_bytes).await?, Proof::ReadBack),
        };
        if there == hex::encode(&part.sha256) { Ok(PutReceipt::new(proof)) } else { Err(self.conflict(name)) }
    }

    /// The SHA-256 that an object carries beside it. A list of versions does not tell it.
    async fn sha256_of(&self, name: &ObjectName, head: &Head) -> Result<Option<String>> {
        let Some(version) = &head.version else { return Ok(head.sha256.clone()) };
        let act = Act { verb: "look at", name: name.as_str() };
        let answer = self.head_of_version(act, &self.key(name), version).await?;
        Ok(answer.header(SHA256_HEADER).map(str::to_owned))
    }

    async fn read_and_hash(&self, name: &ObjectName, size_bytes: u64) -> Result<String> {
        const BLOCK_BYTES: u64 = 8 << 20;
        let (mut context, mut offset) = (Context::new(&SHA256), 0);
        while offset < size_bytes {
            context.update(&self.read_range(name, offset, BLOCK_BYTES).await?);
            offset += BLOCK_BYTES;
        }
        Ok(hex::encode(context.finish().as_ref()))
    }

    fn conflict(&self, name: &ObjectName) -> Error {
        Error::Conflict { name: name.clone(), place: self.http.place().to_owned() }
    }

    /// What is under a name. A HEAD says nothing about why it failed: then the same is asked with a GET.
    pub(super) async fn head(&self, verb: &'static str, name: &ObjectName) -> Result<Option<Head>> {
        let act = Act { verb, name: name.as_str() };
        if self.has_versions().await? {
            return Ok(self.ours(act, name).await?.map(Head::from));
        }
        let key = self.key(name);
        let refusal = match self.ask(act, Call::object(Method::HEAD, &key)).await? {
            Ok(answer) => {
                self.was_seen.store(true, Ordering::Relaxed);
                let Some(size_bytes) = answer.stated_bytes() else {
                    let problem = "it does not tell the length of the object";
                    return Err(self.http.refused(act, Cause::Unexpected, problem, None));
                };
                let text = |name| answer.header(name).map(str::to_owned);
                let (sha256, etag) = (text(SHA256_HEADER), text("etag"));
                return Ok(Some(Head { size_bytes, sha256, etag, version: None }));
            }
            Err(refusal) => refusal,
        };
        if refusal.status == StatusCode::NOT_FOUND && self.was_seen.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let request = self.signed(Call::object(Method::GET, &key)).header("range", "bytes=0-0");
        let answer = self.http.send(act, request).await?;
        match self.sort_out(act, answer).await? {
            Err(told) if told.is_missing_object() => {
                self.was_seen.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Err(told) if told.status != StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(told.into_error(&self.http, act))
            }
            _ => Err(refusal.into_error(&self.http, act)),
        }
    }

    pub(super) async fn read_range(
        &self,
        name: &ObjectName,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>> {
        Error::expect_at_most(name, length_bytes, RANGE_LIMIT_BYTES)?;
        let act = Act { verb: "read", name: name.as_str() };
        if length_bytes == 0 {
            let head = self.head(act.verb, name).await?;
            return head.map(|_| Vec::new()).ok_or_else(|| self.not_found(name));
        }
        if !self.has_versions().await? {
            return self.read_version(act, name, None, offset_bytes, length_bytes).await;
        }
        let key = self.key(name);
        if let Some(id) = self.remembered(&key) {
            match self.read_version(act, name, Some(&id), offset_bytes, length_bytes).await {
                Err(Error::NotFound { .. }) => self.forget(&key),
                other => return other,
            }
        }
        let ours = self.ours(act, name).await?.ok_or_else(|| self.not_found(name))?;
        self.read_version(act, name, Some(&ours.id), offset_bytes, length_bytes).await
    }

    /// Reads from one version, or from the newest where none is named.
    async fn read_version(
        &self,
        act: Act<'_>,
        name: &ObjectName,
        version: Option<&str>,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>> {
        let key = self.key(name);
        let last = offset_bytes.saturating_add(length_bytes.saturating_sub(1));
        let mut call = Call::object(Method::GET, &key);
        if let Some(version) = version {
            call = call.query("versionId", version);
        }
        let request = self.signed(call);
        let answer =
            self.http.send(act, request.header("range", format!("bytes={offset_bytes}-{last}"))).await?;
        match self.sort_out(act, answer).await? {
            Ok(answer) => self.http.read_range_of(act, answer, offset_bytes, length_bytes).await,
            Err(refusal) if refusal.status == StatusCode::RANGE_NOT_SATISFIABLE => Ok(Vec::new()),
            Err(refusal) if refusal.is_missing_object() => Err(self.not_found(name)),
            Err(refusal) => Err(refusal.into_error(&self.http, act)),
        }
    }

    pub(super) fn not_found(&self, name: &ObjectName) -> Error {
        Error::NotFound { name: name.clone(), place: self.http.place().to_owned() }
    }

    pub(super) async fn delete(&self, name: &ObjectName) -> Result<()> {
        if self.has_versions().await? {
            return self.delete_versions(name).await;
        }
        let act = Act { verb: "delete", name: name.as_str() };
        let key = self.key(name);
        match self.ask(act, Call::object(Method::DELETE, &key)).await? {
            Err(refusal) if !refusal.is_missing_object() => Err(refusal.into_error(&self.http, act)),
            _ => Ok(()),
        }
    }
}

impl From<Version> for Head {
    fn from(version: Version) -> Self {
        let Version { id, size_bytes, etag } = version;
        Self { size_bytes, sha256: None, etag, version: Some(id) }
    }
}

impl Head {
    /// Whether the service says that the MD5 of what it stores is this one. Its etag need not be an MD5 at all.
    fn has_md5(&self, md5: [u8; 16]) -> bool {
        self.etag.as_ref().is_some_and(|etag| etag.trim_matches('"').to_lowercase() == hex::encode(&md5))
    }
}

/// The etag that an answer carries.
pub(super) fn etag_of(answer: &Answer) -> Option<String> {
    answer.header("etag").map(str::to_owned).filter(|etag| !etag.is_empty())
}

/// A part is what was promised, or nothing of it becomes visible.
pub(super) fn expect_sha256(name: &ObjectName, part: &SpooledPart<'_>, context: Context) -> Result<()> {
    if context.finish().as_ref() == part.sha256 {
        return Ok(());
    }
    Err(Error::PartChanged { name: name.clone(), difference: "its SHA-256 differs" })
}
