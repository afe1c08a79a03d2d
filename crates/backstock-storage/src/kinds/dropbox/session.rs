//! Long parts, put by an upload session: begun, sent piece by piece, committed; gone on with after a cut. Data can be lost here.
//!
//! What a later try needs (the id of the session and how far it got) is handed to the upload before the first byte and after
//! every piece. A later try asks the service how far it is: an answer that was lost is made good that way. A session that
//! nobody goes on with is forgotten by the service after a week; there is no way to end it.

use backstock_host::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Dropbox;
use super::account::{Content, Metadata};
use super::objects::{Mode, Seen, commit, expect_sha256};
use super::refusal::Refusal;
use crate::http::{Act, Piece, read_piece};
use crate::{Cause, Error, ObjectName, PutReceipt, Result, ResumeState, SpooledPart, Upload};

/// The length of a piece, in bytes. The service takes up to 150 MiB and wants multiples of 4 MiB.
const PIECE_BYTES: u64 = 32 << 20;
/// The longest part that is put in one request, in bytes.
pub(super) const SINGLE_LIMIT_BYTES: u64 = PIECE_BYTES;
/// How often the service may correct us within one try.
const CORRECTIONS_LIMIT: u32 = 8;

/// How far a session got: what is kept between tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    path: String,
    sha256: String,
    session_id: String,
    offset_bytes: u64,
}

/// How one try to send everything ended.
enum Failed {
    /// The service knows nothing of the session any more.
    Gone(Error),
    Otherwise(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

/// What the service said to bytes at an offset.
enum Taken {
    Yes,
    /// It goes on elsewhere.
    GoesOnAt(u64),
}

#[derive(Debug, Deserialize)]
struct Started {
    session_id: String,
}

/// One part on its way.
struct Sending<'a> {
    dropbox: &'a Dropbox,
    name: &'a ObjectName,
    path: String,
    part: &'a SpooledPart<'a>,
    upload: &'a dyn Upload,
    mode: Mode,
}

impl Dropbox {
    /// Puts a part by an upload session, and goes on with an earlier one where there is one.
    pub(super) async fn put_in_pieces(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
        mode: Mode,
    ) -> Result<PutReceipt> {
        let sending = Sending { dropbox: self, name, path: self.path(name), part, upload, mode };
        if let Some(mut progress) = sending.earlier().await? {
            match sending.finish(&mut progress).await {
                Err(Failed::Gone(_)) => {}
                Err(Failed::Otherwise(error)) => return Err(error),
                Ok(receipt) => return Ok(receipt),
            }
        }
        let mut progress = sending.begin().await?;
        sending.finish(&mut progress).await.map_err(|failed| match failed {
            Failed::Gone(error) | Failed::Otherwise(error) => error,
        })
    }
}

impl<'a> Sending<'a> {
    fn act(&self, verb: &'static str) -> Act<'a> {
        Act { verb, name: self.name.as_str() }
    }

    fn fail(&self, act: Act<'_>, refusal: Refusal) -> Failed {
        let is_gone = refusal.is_missing_session();
        let error = refusal.into_error(&self.dropbox.account.http, act);
        if is_gone { Failed::Gone(error) } else { Failed::Otherwise(error) }
    }

    fn piece(&self, offset_bytes: u64, length_bytes: u64) -> Piece<'a> {
        Piece { name: self.name, path: self.part.path, offset_bytes, length_bytes }
    }

    /// An earlier try of these very bytes that the service still knows, as far as it has it.
    async fn earlier(&self) -> Result<Option<Progress>> {
        let Some(ResumeState(state)) = self.upload.resume() else { return Ok(None) };
        let Ok(mut progress) = Progress::deserialize(state) else { return Ok(None) };
        let is_ours = progress.path == self.path && progress.sha256 == hex::encode(&self.part.sha256);
        if !is_ours || progress.offset_bytes > self.part.size_bytes {
            return Ok(None);
        }
        let act = self.act("ask how far the upload got of");
        match self.append(act, &progress, Content::Bytes(&[]), None).await {
            Ok(Taken::Yes) => {}
            Ok(Taken::GoesOnAt(offset_bytes)) => progress.offset_bytes = offset_bytes,
            Err(Failed::Gone(_)) => return Ok(None),
            Err(Failed::Otherwise(error)) => return Err(error),
        }
        Ok(Some(progress))
    }

    /// Begins a session, and says so before the first byte is sent.
    async fn begin(&self) -> Result<Progress> {
        let act = self.act("begin the upload of");
        let account = &self.dropbox.account;
        let arguments = json!({ "close": false });
        let told = account.upload(act, "files/upload_session/start", &arguments, Content::Bytes(&[])).await?;
        let started: Started = told.map_err(|refusal| refusal.into_error(&account.http, act))?;
        let progress = Progress {
            path: self.path.clone(),
            sha256: hex::encode(&self.part.sha256),
            session_id: started.session_id,
            offset_bytes: 0,
        };
        self.reached(&progress)?;
        Ok(progress)
    }

    fn reached(&self, progress: &Progress) -> Result<()> {
        let state = serde_json::to_value(progress).unwrap_or_default();
        self.upload.reached(progress.offset_bytes, &ResumeState(state))
    }

    /// Sends what is missing and commits. Where the service says that it is elsewhere, we follow.
    async fn finish(&self, progress: &mut Progress) -> std::result::Result<PutReceipt, Failed> {
        let size_bytes = self.part.size_bytes;
        let mut seen = self.seen_to(progress.offset_bytes).await?;
        for _ in 0..=CORRECTIONS_LIMIT {
            let taken = if progress.offset_bytes < size_bytes {
                self.send_pieces(progress, &mut seen).await?
            } else {
                Taken::Yes
            };
            let taken = match taken {
                Taken::Yes => match self.commit(progress, &seen).await? {
                    Committed::Done(receipt) => return Ok(receipt),
                    Committed::GoesOnAt(offset_bytes) => offset_bytes,
                },
                Taken::GoesOnAt(offset_bytes) => offset_bytes,
            };
            progress.offset_bytes = taken;
            self.reached(progress)?;
            seen = self.seen_to(taken).await?;
        }
        let act = self.act("go on with the upload of");
        let problem = "it names another place to go on at each time";
        Err(self.dropbox.account.http.refused(act, Cause::Unexpected, problem, None).into())
    }

    /// The hashes of everything before an offset, which is never sent again.
    async fn seen_to(&self, offset_bytes: u64) -> Result<Seen> {
        let piece = self.piece(0, offset_bytes);
        read_piece(&self.dropbox.account.http, piece, Seen::nothing(), Seen::see).await
    }

    /// Sends pieces until there are no more, or until the service goes on elsewhere.
    async fn send_pieces(
        &self,
        progress: &mut Progress,
        seen: &mut Seen,
    ) -> std::result::Result<Taken, Failed> {
        let act = self.act("put a piece of");
        let http = &self.dropbox.account.http;
        loop {
            let piece = self.next_piece(progress.offset_bytes);
            if piece.length_bytes == 0 {
                return Ok(Taken::Yes);
            }
            let before = Seen { piece: super::content_hash::ContentHash::new(), ..seen.clone() };
            let after = read_piece(http, piece, before, Seen::see).await?;
            let end = piece.offset_bytes + piece.length_bytes;
            if end == self.part.size_bytes {
                expect_sha256(self.name, self.part, after.sha256.clone())?;
            }
            let hash = after.piece.clone().finish();
            let content = Content::Piece(piece, self.upload);
            match self.append(act, progress, content, Some(&hash)).await? {
                // An answer that was lost, and whose request has gone well.
                Taken::GoesOnAt(offset_bytes) if offset_bytes != end => {
                    return Ok(Taken::GoesOnAt(offset_bytes));
                }
                _ => {}
            }
            progress.offset_bytes = end;
            *seen = after;
            self.reached(progress)?;
        }
    }

    /// The piece at an offset: as far as the next multiple of the usual length.
    fn next_piece(&self, offset_bytes: u64) -> Piece<'a> {
        let end = (offset_bytes / PIECE_BYTES + 1) * PIECE_BYTES;
        self.piece(offset_bytes, end.min(self.part.size_bytes) - offset_bytes)
    }

    async fn append(
        &self,
        act: Act<'_>,
        progress: &Progress,
        content: Content<'_>,
        hash: Option<&str>,
    ) -> std::result::Result<Taken, Failed> {
        let mut arguments = json!({ "cursor": cursor(progress), "close": false });
        if let Some(hash) = hash {
            arguments["content_hash"] = hash.into();
        }
        let account = &self.dropbox.account;
        let told =
            account.upload::<Value>(act, "files/upload_session/append_v2", &arguments, content).await?;
        match told {
            Ok(_) => Ok(Taken::Yes),
            Err(refusal) => self.elsewhere(act, refusal).map(Taken::GoesOnAt),
        }
    }

    /// Where the service goes on, if that is what it refuses something for.
    fn elsewhere(&self, act: Act<'_>, refusal: Refusal) -> std::result::Result<u64, Failed> {
        match refusal.correct_offset {
            Some(offset_bytes) if offset_bytes <= self.part.size_bytes => Ok(offset_bytes),
            _ => Err(self.fail(act, refusal)),
        }
    }

    /// Makes the file of what was sent, once that is what was promised.
    async fn commit(&self, progress: &Progress, seen: &Seen) -> std::result::Result<Committed, Failed> {
        expect_sha256(self.name, self.part, seen.sha256.clone())?;
        let hash = seen.whole.clone().finish();
        let act = self.act("complete the upload of");
        let (dropbox, size_bytes) = (self.dropbox, self.part.size_bytes);
        let arguments = json!({ "cursor": cursor(progress), "commit": commit(&self.path, self.mode) });
        let told = {
            let _alone = dropbox.changing.lock().await;
            let route = "files/upload_session/finish";
            dropbox.account.upload::<Metadata>(act, route, &arguments, Content::Bytes(&[])).await?
        };
        let receipt = match told {
            Ok(metadata) => dropbox.confirm(self.name, &metadata, size_bytes, &hash).await?,
            Err(refusal) if refusal.is_conflict() => dropbox.settle(self.name, size_bytes, &hash).await?,
            Err(refusal) => return self.elsewhere(act, refusal).map(Committed::GoesOnAt),
        };
        Ok(Committed::Done(receipt))
    }
}

/// What came of a commit.
enum Committed {
    Done(PutReceipt),
    GoesOnAt(u64),
}

fn cursor(progress: &Progress) -> Value {
    json!({ "session_id": progress.session_id, "offset": progress.offset_bytes })
}
