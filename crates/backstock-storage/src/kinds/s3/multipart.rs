//! Long parts, put in pieces: begun, sent four at a time, confirmed, completed; gone on with after a cut. Data can be lost here.
//!
//! What a later try needs (the upload's id, its piece length, the etags of the first pieces) is handed to the upload after
//! every piece. A later try asks the service whether it still has them. An upload that failed is ended where no later try
//! can come of it; where the owner must do something first, or wanted it to stop, it waits.

use backstock_host::hex;
use backstock_vocabulary::ErrorClass;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, TryStreamExt, stream};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, Call};
use super::failure::Refusal;
use super::objects::etag_of;
use super::pieces::{Hashed, PIECES_LIMIT, SHORTEST_PIECE_BYTES, Spans, hash_batch};
use super::versions::version_of;
use crate::check::Check;
use crate::http::{Act, Piece, read_piece, with_file};
use crate::{Cause, Error, InOneGo, ObjectName, Result, ResumeState, SpooledPart, Upload, xml};

/// The longest part that is put in one request, in bytes.
pub(super) const SINGLE_LIMIT_BYTES: u64 = 100 << 20;
/// Pieces under way at once.
const IN_FLIGHT: usize = 4;
/// The longest answer to the beginning or end of an upload, in bytes.
const ANSWER_LIMIT_BYTES: usize = 64 << 10;

/// How far an upload got: what is kept between tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    key: String,
    sha256: String,
    upload_id: String,
    piece_bytes: u64,
    /// Of the first pieces, in order.
    etags: Vec<String>,
}

/// How one try to send all pieces ended.
enum Failed {
    /// The service knows nothing of the upload any more.
    Gone(Error),
    Otherwise(Error),
}

/// The version that an upload has become, where the service says so, or how it failed.
type Made = std::result::Result<Option<String>, Failed>;

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

/// One part on its way.
struct Sending<'a> {
    bucket: &'a Bucket,
    name: &'a ObjectName,
    key: &'a str,
    part: &'a SpooledPart<'a>,
    upload: &'a dyn Upload,
}

impl Bucket {
    /// Puts a part in pieces, and goes on with an earlier try where there is one; tells the version that it has become, where
    /// the service says so.
    pub(super) async fn put_in_parts(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
        upload: &dyn Upload,
    ) -> Result<Option<String>> {
        let key = self.key(name);
        let sending = Sending { bucket: self, name, key: &key, part, upload };
        if let Some(mut progress) = sending.earlier().await? {
            match sending.finish(&mut progress).await {
                Err(Failed::Gone(_)) => {}
                other => return sending.settle(other, &progress, waits_for_a_later_try).await,
            }
        }
        let mut progress = sending.begin().await?;
        let sent = sending.finish(&mut progress).await;
        sending.settle(sent, &progress, waits_for_a_later_try).await
    }

    /// The same from the beginning; what fails is ended, since nobody remembers it.
    pub(super) async fn put_in_parts_or_abort(
        &self,
        name: &ObjectName,
        part: &SpooledPart<'_>,
    ) -> Result<Option<String>> {
        let key = self.key(name);
        let sending = Sending { bucket: self, name, key: &key, part, upload: &InOneGo };
        let mut progress = sending.begin().await?;
        let sent = sending.finish(&mut progress).await;
        sending.settle(sent, &progress, |_| false).await
    }
}

/// What is left of a check at the end of a part: nothing, where all of it was right.
fn ended(name: &ObjectName, check: Check) -> Result<Option<Check>> {
    if check.end() {
        return Ok(None);
    }
    Err(Error::PartChanged { name: name.clone(), difference: "its hash differs" })
}

/// Whether a later try may go on: after what passes by itself, after what the owner mends (F88), and after a wanted stop.
fn waits_for_a_later_try(error: &Error) -> bool {
    error.class() != ErrorClass::Stop || matches!(error, Error::Stopped { .. })
}

impl<'a> Sending<'a> {
    fn act(&self, verb: &'static str) -> Act<'a> {
        Act { verb, name: self.name.as_str() }
    }

    fn fail(&self, act: Act<'_>, refusal: Refusal) -> Failed {
        let is_gone = refusal.is_missing_upload();
        let error = refusal.into_error(&self.bucket.http, act);
        if is_gone { Failed::Gone(error) } else { Failed::Otherwise(error) }
    }

    /// An earlier try of these very bytes that the service still knows, as far as it has it.
    async fn earlier(&self) -> Result<Option<Progress>> {
        let Some(ResumeState(state)) = self.upload.resume() else { return Ok(None) };
        let Ok(mut progress) = Progress::deserialize(state) else { return Ok(None) };
        let is_ours = progress.key == self.key && progress.sha256 == hex::encode(&self.part.sha256);
        let is_sound = progress.piece_bytes >= SHORTEST_PIECE_BYTES
            && progress.etags.len() as u64 <= self.part.size_bytes.div_ceil(progress.piece_bytes);
        if !is_ours || !is_sound {
            return Ok(None);
        }
        Ok(match self.known_pieces(&progress).await? {
            Known::Nothing => None,
            Known::Untold => Some(progress),
            Known::Pieces(pieces) => {
                let spans = Spans { size_bytes: self.part.size_bytes, piece_bytes: progress.piece_bytes };
                let whole = (1..).zip(&progress.etags).take_while(|(number, etag)| {
                    let (_, length_bytes) = spans.of(*number);
                    pieces.iter().any(|piece| piece.is(*number, length_bytes, etag))
                });
                let whole = whole.count();
                progress.etags.truncate(whole);
                Some(progress)
            }
        })
    }

    /// Asks which pieces the service has. Some cannot tell, or tell it in a form of their own: then our own word counts, and
    /// the completion shows whether it was right.
    async fn known_pieces(&self, progress: &Progress) -> Result<Known> {
        let act = self.act("ask how far the upload got of");
        let (mut pieces, mut marker) = (Vec::new(), 0);
        while (pieces.len() as u64) < PIECES_LIMIT {
            let call = Call::object(Method::GET, self.key)
                .query("uploadId", &progress.upload_id)
                .query("max-parts", "1000")
                .query("part-number-marker", u64::to_string(&marker));
            let answer = match self.bucket.ask(act, call).await? {
                Ok(answer) => answer,
                Err(refusal) if refusal.is_missing_upload() => return Ok(Known::Nothing),
                Err(refusal) => {
                    let error = refusal.into_error(&self.bucket.http, act);
                    return if error.class() == ErrorClass::Retry { Err(error) } else { Ok(Known::Untold) };
                }
            };
            let body = self.bucket.http.read(act, answer, 1 << 20).await?;
            let before = pieces.len();
            let read = xml::read(&body, None, &["Part"], &mut |entry| {
                let number = entry.text_of("PartNumber").and_then(|text| text.parse().ok());
                let size = entry.text_of("Size").and_then(|text| text.parse().ok());
                pieces.push(KnownPiece {
                    number: number.ok_or("a piece has no number")?,
                    size_bytes: size.ok_or("a piece has no size")?,
                    etag: entry.text_of("ETag").filter(|etag| !etag.is_empty()).map(str::to_owned),
                });
                Ok(())
            });
            let Ok(root) = read else { return Ok(Known::Untold) };
            let next =
                super::listing::next_of(&root, "NextPartNumberMarker").and_then(|next| next.parse().ok());
            match next {
                Some(next) if next > marker && pieces.len() > before => marker = next,
                _ => break,
            }
        }
        Ok(Known::Pieces(pieces))
    }

    /// Begins an upload, and says so before the first byte is sent.
    async fn begin(&self) -> Result<Progress> {
        let act = self.act("begin the upload of");
        let call = Call::object(Method::POST, self.key).query("uploads", "");
        let call = self.bucket.described(call, &self.part.sha256);
        let http = &self.bucket.http;
        let answer = http.send(act, self.bucket.signed(call).header("content-length", 0)).await?;
        let answer = self.bucket.sort_out(act, answer).await?;
        let answer = answer.map_err(|refusal| refusal.into_error(http, act))?;
        let body = http.read(act, answer, ANSWER_LIMIT_BYTES).await?;
        let root = xml::read(&body, None, &[], &mut |_| Ok(()));
        let upload_id = root.ok().and_then(|root| root.text_of("UploadId").map(str::to_owned));
        let upload_id = upload_id.filter(|id| !id.is_empty()).ok_or_else(|| {
            http.refused(act, Cause::Garbled, "it does not tell the id of the upload", None)
        })?;
        let progress = Progress {
            key: self.key.to_owned(),
            sha256: hex::encode(&self.part.sha256),
            upload_id,
            piece_bytes: Spans::of_part(self.part.size_bytes).piece_bytes,
            etags: Vec::new(),
        };
        self.reached(&progress)?;
        Ok(progress)
    }

    fn reached(&self, progress: &Progress) -> Result<()> {
        let confirmed = (progress.etags.len() as u64).saturating_mul(progress.piece_bytes);
        let state = serde_json::to_value(progress).unwrap_or_default();
        self.upload.reached(confirmed.min(self.part.size_bytes), &ResumeState(state))
    }

    /// Sends what is missing and completes the upload.
    async fn finish(&self, progress: &mut Progress) -> Made {
        let hashed = self.hashed_pieces(progress).await?;
        let upload_id = progress.upload_id.clone();
        let mut sent = std::pin::pin!(
            hashed.map_err(Failed::from).map_ok(|piece| self.send(&upload_id, piece)).try_buffered(IN_FLIGHT)
        );
        while let Some(etag) = sent.try_next().await? {
            progress.etags.push(etag);
            self.reached(progress)?;
        }
        self.complete(progress).await
    }

    /// The pieces that are missing, each when it is hashed. The last one comes only when the whole part is what was promised.
    async fn hashed_pieces(
        &self,
        progress: &Progress,
    ) -> Result<impl Stream<Item = Result<Hashed>> + use<'_, 'a>> {
        let spans = Spans { size_bytes: self.part.size_bytes, piece_bytes: progress.piece_bytes };
        let (http, name, part) = (&self.bucket.http, self.name, self.part);
        let done = progress.etags.len() as u64;
        let mut check = Check::new(part.sha256, part.blocks);
        let done_bytes = spans.bytes_before(done + 1);
        let from = check.begin_before(done_bytes);
        let before = Piece { name, path: part.path, offset_bytes: from, length_bytes: done_bytes - from };
        let check = read_piece(http, before, check, Check::see).await?;
        let check = if done_bytes == spans.size_bytes { ended(name, check)? } else { Some(check) };
        let batches = stream::try_unfold((check, done + 1), move |(check, first)| async move {
            let Some(check) = check.filter(|_| spans.of(first).1 > 0) else { return Ok::<_, Error>(None) };
            let hashing = with_file(http, name, part.path, move |file| hash_batch(file, spans, first, check));
            let (check, batch) = hashing.await?;
            let next = first + batch.len() as u64;
            let is_last = spans.bytes_before(next) == spans.size_bytes;
            let check = if is_last { ended(name, check)? } else { Some(check) };
            Ok(Some((stream::iter(batch.into_iter().map(Ok)), (check, next))))
        });
        Ok(batches.try_flatten())
    }

    async fn send(&self, upload_id: &str, hashed: Hashed) -> std::result::Result<String, Failed> {
        let act = self.act("put a piece of");
        let call = Call::object(Method::PUT, self.key)
            .query("partNumber", hashed.number.to_string())
            .query("uploadId", upload_id)
            .header("content-md5", STANDARD.encode(hashed.md5));
        let piece = Piece {
            name: self.name,
            path: self.part.path,
            offset_bytes: hashed.offset_bytes,
            length_bytes: hashed.length_bytes,
        };
        let http = &self.bucket.http;
        let answer = http.send_piece(act, self.bucket.signed(call), piece, self.upload).await?;
        let answer = self.bucket.sort_out(act, answer).await?.map_err(|refusal| self.fail(act, refusal))?;
        let etag = etag_of(&answer);
        etag.ok_or_else(|| http.refused(act, Cause::Garbled, "it gives no etag for a piece", None).into())
    }

    /// Makes the object of its pieces. A success may carry a failure in its body, since it begins before the work is done
    /// (F89).
    async fn complete(&self, progress: &Progress) -> Made {
        let act = self.act("complete the upload of");
        let pieces = (1..).zip(&progress.etags).map(|(number, etag): (u64, _)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>", xml::escape(etag))
        });
        let body =
            format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", pieces.collect::<String>());
        let call = Call::object(Method::POST, self.key).query("uploadId", &progress.upload_id);
        let http = &self.bucket.http;
        let request = self.bucket.signed(call).header("content-type", "application/xml").body(body);
        let answer = http.send_patiently(act, request).await?;
        let answer = self.bucket.sort_out(act, answer).await?.map_err(|refusal| self.fail(act, refusal))?;
        let (told, version) = (Refusal::of_head(http, &answer), version_of(&answer));
        let body = http.read(act, answer, ANSWER_LIMIT_BYTES).await?;
        match xml::read(&body, None, &[], &mut |_| Ok(())) {
            Ok(root) if root.name == "CompleteMultipartUploadResult" => Ok(version),
            Ok(root) if root.name == "Error" => Err(self.fail(act, told.with_body(&body))),
            _ => Err(http.refused(act, Cause::Garbled, "its answer is cut off", None).into()),
        }
    }

    fn is_part_away(&self) -> bool {
        matches!(self.bucket.http.files().stat(self.part.path), Ok(None))
    }

    /// Ends an upload that failed and that nobody goes on with. The first error tells more than one from cleaning up.
    async fn settle(
        &self,
        sent: Made,
        progress: &Progress,
        waits: fn(&Error) -> bool,
    ) -> Result<Option<String>> {
        let error = match sent {
            Ok(version) => return Ok(version),
            Err(Failed::Gone(error) | Failed::Otherwise(error)) => error,
        };
        // Whoever has moved the part meanwhile goes on from where it lies now.
        let is_moved = matches!(error, Error::PartChanged { .. }) && self.is_part_away();
        if !waits(&error) && !is_moved {
            let _ = self.bucket.abort(self.key, &progress.upload_id).await;
        }
        Err(error)
    }
}

/// What a service tells about an unfinished upload.
enum Known {
    /// There is none of that id.
    Nothing,
    /// It does not tell.
    Untold,
    Pieces(Vec<KnownPiece>),
}

struct KnownPiece {
    number: u64,
    size_bytes: u64,
    etag: Option<String>,
}

impl KnownPiece {
    fn is(&self, number: u64, size_bytes: u64, etag: &str) -> bool {
        let bare = |etag: &str| etag.trim_matches('"').to_lowercase();
        self.number == number
            && self.size_bytes == size_bytes
            && self.etag.as_ref().is_none_or(|there| bare(there) == bare(etag))
    }
}
