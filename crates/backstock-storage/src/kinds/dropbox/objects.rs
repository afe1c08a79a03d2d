//! Files of the account: put in one request, compared, read, deleted. Data can be lost here.
//!
//! A part is read twice: once for its SHA-256, which must be the promised one before a byte is sent, and the hash that
//! Dropbox knows it by; then once to be sent. The second reading comes from memory mostly.

use backstock_vocabulary::Proof;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::Dropbox;
use super::account::{Content, Metadata};
use super::content_hash::{ContentHash, content_hash};
use super::session::SINGLE_LIMIT_BYTES;
use crate::http::{Act, Piece, read_piece};
use crate::{
    Cause, Error, InOneGo, ObjectName, PutReceipt, RANGE_LIMIT_BYTES, Result, SMALL_LIMIT_BYTES, SpooledPart,
    Upload,
};

/// What becomes of a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It stays, and what is put is refused unless it is the same.
    Add,
    /// It is exchanged, in one step.
    Overwrite,
}

/// A file that is there.
#[derive(Debug)]
pub(super) struct File {
    pub(super) size_bytes: u64,
    content_hash: Option<String>,
    rev: Option<String>,
}

/// The hashes of what was read of a part.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) sha256: Context,
    pub(super) whole: ContentHash,
    /// Of the last piece alone.
    pub(super) piece: ContentHash,
}

impl Seen {
    pub(super) fn nothing() -> Self {
        Self { sha256: Context::new(&SHA256), whole: ContentHash::new(), piece: ContentHash::new() }
    }

    pub(super) fn see(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.whole.see(bytes);
        self.piece.see(bytes);
    }
}

/// What is to become of bytes that were sent.
pub(super) fn commit(path: &str, mode: Mode) -> Value {
    let mode = if mode == Mode::Add { "add" } else { "overwrite" };
    // Muted: nobody wants a message on every device for each part.
    json!({ "path": path, "mode": mode, "autorename": false, "mute": true, "strict_conflict": false })
}

impl Dropbox {
    /// What is at a name, in that very spelling: a file, a folder, a name in other letters.
    async fn look(&self, verb: &'static str, name: &ObjectName) -> Result<Option<Metadata>> {
        let act = Act { verb, name: name.as_str() };
        let arguments = json!({ "path": self.path(name) });
        match self.account.call(act, "files/get_metadata", &arguments).await? {
            Ok(metadata) => Ok(Some(metadata)),
            Err(refusal) if refusal.is_missing_file() => Ok(None),
            Err(refusal) => Err(refusal.into_error(&self.account.http, act)),
        }
    }

    /// The file of a name.
    pub(super) async fn file(&self, verb: &'static str, name: &ObjectName) -> Result<Option<File>> {
        Ok(self.look(verb, name).await?.and_then(|metadata| file_of(name, metadata)))
    }

    pub(super) async fn put_part(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<PutReceipt> {
        self.look_at_spool(name, part).await?;
        if let Some(there) = self.look("look at", name).await? {
            if there.size != Some(part.size_bytes) {
                return Err(self.conflict(name));
            }
            let hash = self.hash(name, part).await?;
            return self.compare(name, there, part.size_bytes, &hash);
        }
        if part.size_bytes <= SINGLE_LIMIT_BYTES {
            self.put_at_once(name, part, upload, Mode::Add).await
        } else {
            self.put_in_pieces(name, part, upload, Mode::Add).await
        }
    }

    pub(super) async fn replace_part(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<PutReceipt> {
        self.look_at_spool(name, part).await?;
        self.expect_replaceable(name).await?;
        if part.size_bytes <= SINGLE_LIMIT_BYTES {
            self.put_at_once(name, part, &InOneGo, Mode::Overwrite).await
        } else {
            self.put_in_pieces(name, part, &InOneGo, Mode::Overwrite).await
        }
    }

    pub(super) async fn replace_bytes(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let size_bytes = bytes.len() as u64;
        Error::expect_at_most(name, size_bytes, SMALL_LIMIT_BYTES)?;
        self.expect_replaceable(name).await?;
        let (content, hash) = (Content::Bytes(bytes), content_hash(bytes));
        self.send_whole(name, content, size_bytes, &hash, Mode::Overwrite).await.map(|_| ())
    }

    /// A name in other letters would be written over, too: that is another object.
    async fn expect_replaceable(&self, name: &ObjectName) -> Result<()> {
        let there = self.look("look at", name).await?;
        if there.is_some_and(|there| file_of(name, there).is_none()) {
            return Err(self.conflict(name));
        }
        Ok(())
    }

    async fn look_at_spool(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<()> {
        let (files, path) = (self.account.http.files().clone(), part.path.to_owned());
        let stat = tokio::task::spawn_blocking(move || files.stat(&path)).await;
        let stat = stat.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let act = Act { verb: "look at the spooled part of", name: name.as_str() };
        let stat = stat.map_err(|error| self.account.http.io(act, error))?;
        if stat.filter(|stat| stat.is_file).map(|stat| stat.size_bytes) == Some(part.size_bytes) {
            return Ok(());
        }
        Err(Error::PartChanged { name: name.clone(), difference: "it is missing or has another length" })
    }

    /// The content hash of a whole part, when its SHA-256 is the promised one.
    async fn hash(&self, name: &ObjectName, part: &SpooledPart<'_>) -> Result<String> {
        let piece = Piece { name, path: part.path, offset_bytes: 0, length_bytes: part.size_bytes };
        let seen = read_piece(&self.account.http, piece, Seen::nothing(), Seen::see).await?;
        expect_sha256(name, part, seen.sha256)?;
        Ok(seen.whole.finish())
    }

    async fn put_at_once(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
        mode: Mode,
    ) -> Result<PutReceipt> {
        let hash = self.hash(name, part).await?;
        let piece = Piece { name, path: part.path, offset_bytes: 0, length_bytes: part.size_bytes };
        self.send_whole(name, Content::Piece(piece, upload), part.size_bytes, &hash, mode).await
    }

    pub(super) async fn put_bytes(&self, name: &ObjectName, bytes: &[u8]) -> Result<()> {
        let size_bytes = bytes.len() as u64;
        Error::expect_at_most(name, size_bytes, SMALL_LIMIT_BYTES)?;
        let hash = content_hash(bytes);
        if let Some(there) = self.look("look at", name).await? {
            return self.compare(name, there, size_bytes, &hash).map(|_| ());
        }
        self.send_whole(name, Content::Bytes(bytes), size_bytes, &hash, Mode::Add).await.map(|_| ())
    }

    async fn send_whole(
        &self,
        name: &ObjectName,
        content: Content<'_>,
        size_bytes: u64,
        hash: &str,
        mode: Mode,
    ) -> Result<PutReceipt> {
        let act = Act { verb: "put", name: name.as_str() };
        let mut arguments = commit(&self.path(name), mode);
        arguments["content_hash"] = hash.into();
        let told = {
            let _alone = self.changing.lock().await;
            self.account.upload(act, "files/upload", &arguments, content).await?
        };
        match told {
            Ok(metadata) => self.confirm(name, &metadata, size_bytes, hash).await,
            Err(refusal) if refusal.is_conflict() => self.settle(name, size_bytes, hash).await,
            Err(refusal) => Err(refusal.into_error(&self.account.http, act)),
        }
    }

    /// Looks at what the service tells of a file that was just put. Another one is taken away again.
    pub(super) async fn confirm(
        &self,
        name: &ObjectName,
        metadata: &Metadata,
        size_bytes: u64,
        hash: &str,
    ) -> Result<PutReceipt> {
        let is_as_sent = metadata.size == Some(size_bytes) && metadata.content_hash.as_deref() == Some(hash);
        let is_named = metadata.name == name.last_step();
        if is_as_sent && is_named {
            return Ok(PutReceipt::new(Proof::ProviderHash));
        }
        if is_as_sent {
            // Somebody has put the same under a name in other letters meanwhile.
            return Err(self.conflict(name));
        }
        // Nobody shall take it for whole.
        if let Some(rev) = &metadata.rev {
            let _ = self.delete_rev(name, rev).await;
        }
        let difference = "a file that was written has another length or another hash";
        Err(Error::Unreliable { place: self.account.http.place().to_owned(), difference })
    }

    /// The name was taken in the meantime: right if by these very bytes.
    pub(super) async fn settle(&self, name: &ObjectName, size_bytes: u64, hash: &str) -> Result<PutReceipt> {
        match self.look("look at", name).await? {
            Some(there) => self.compare(name, there, size_bytes, hash),
            // Something that is in the way is not at the name itself: a file where a folder would have to be.
            None => Err(self.conflict(name)),
        }
    }

    /// The name is taken: by these very bytes, or it is a conflict.
    pub(super) fn compare(
        &self,
        name: &ObjectName,
        there: Metadata,
        size_bytes: u64,
        hash: &str,
    ) -> Result<PutReceipt> {
        let file = file_of(name, there);
        let is_same = file
            .is_some_and(|file| file.size_bytes == size_bytes && file.content_hash.as_deref() == Some(hash));
        if is_same { Ok(PutReceipt::new(Proof::ProviderHash)) } else { Err(self.conflict(name)) }
    }

    fn conflict(&self, name: &ObjectName) -> Error {
        Error::Conflict { name: name.clone(), place: self.account.http.place().to_owned() }
    }

    pub(super) async fn read(
        &self,
        name: &ObjectName,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<Vec<u8>> {
        Error::expect_at_most(name, length_bytes, RANGE_LIMIT_BYTES)?;
        let act = Act { verb: "read", name: name.as_str() };
        if length_bytes == 0 {
            let file = self.file(act.verb, name).await?;
            return file.map(|_| Vec::new()).ok_or_else(|| self.not_found(name));
        }
        let last = offset_bytes.saturating_add(length_bytes - 1);
        let range = format!("bytes={offset_bytes}-{last}");
        let (http, path) = (&self.account.http, self.path(name));
        match self.account.download(act, &path, &range).await? {
            Ok((_, metadata)) if metadata.name != name.last_step() => Err(self.not_found(name)),
            // A whole file in the place of a range is right where nothing of it is behind the range.
            Ok((_, metadata)) if metadata.size.is_some_and(|size| size <= offset_bytes) => Ok(Vec::new()),
            Ok((answer, _)) => http.read_range_of(act, answer, offset_bytes, length_bytes).await,
            Err(refusal) if refusal.is_behind_the_end() => Ok(Vec::new()),
            Err(refusal) if refusal.is_missing_file() => Err(self.not_found(name)),
            Err(refusal) => Err(refusal.into_error(http, act)),
        }
    }

    fn not_found(&self, name: &ObjectName) -> Error {
        Error::NotFound { name: name.clone(), place: self.account.http.place().to_owned() }
    }

    /// Deletes a file. The revision goes along, so that neither a folder nor what was put there since is deleted.
    pub(super) async fn delete_file(&self, name: &ObjectName) -> Result<()> {
        match self.file("delete", name).await?.map(|file| file.rev) {
            None => Ok(()),
            Some(Some(rev)) => self.delete_rev(name, &rev).await,
            Some(None) => {
                let act = Act { verb: "delete", name: name.as_str() };
                let problem = "it does not tell the revision of the file";
                Err(self.account.http.refused(act, Cause::Unexpected, problem, None))
            }
        }
    }

    async fn delete_rev(&self, name: &ObjectName, rev: &str) -> Result<()> {
        let act = Act { verb: "delete", name: name.as_str() };
        let arguments = json!({ "path": self.path(name), "parent_rev": rev });
        let _alone = self.changing.lock().await;
        match self.account.call::<Value>(act, "files/delete_v2", &arguments).await? {
            Err(refusal) if !refusal.is_missing_file() => Err(refusal.into_error(&self.account.http, act)),
            _ => Ok(()),
        }
    }
}

fn file_of(name: &ObjectName, metadata: Metadata) -> Option<File> {
    let is_file = metadata.tag.as_deref().unwrap_or("file") == "file" && metadata.name == name.last_step();
    let Metadata { size, content_hash, rev, .. } = metadata;
    size.filter(|_| is_file).map(|size_bytes| File { size_bytes, content_hash, rev })
}

/// A part is what was promised, or nothing of it becomes visible.
pub(super) fn expect_sha256(name: &ObjectName, part: &SpooledPart<'_>, context: Context) -> Result<()> {
    if context.finish().as_ref() == part.sha256 {
        return Ok(());
    }
    Err(Error::PartChanged { name: name.clone(), difference: "its SHA-256 differs" })
}
