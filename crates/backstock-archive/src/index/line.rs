//! The kinds of lines in an index, as they are written and read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::artifact::FrameRow;
use crate::digest::FrameHash;

/// Bytes as JSON: text where they are UTF-8, else base64 (RFC 4648 section 4).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct TextOrBase64<'a> {
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) base64: Option<String>,
}

impl<'a> TextOrBase64<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { text: Some(Cow::Borrowed(text)), base64: None },
            Err(_) => Self { text: None, base64: Some(STANDARD.encode(bytes)) },
        }
    }

    pub(super) fn bytes(self) -> Result<Vec<u8>, String> {
        match (self.text, self.base64) {
            (Some(text), None) => Ok(text.into_owned().into_bytes()),
            (None, Some(base64)) => STANDARD.decode(base64).map_err(|error| format!("a key: {error}")),
            _ => Err("a line has no key or two".to_owned()),
        }
    }
}

/// The version of the form; unknown names in `critical` mean that this program must not read on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Format {
    pub(super) major: u32,
    pub(super) minor: u32,
    #[serde(default)]
    pub(super) critical: Vec<String>,
}

/// The first line, without the header itself.
#[derive(Debug, Deserialize)]
pub(super) struct FormatLine {
    pub(super) format: Format,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeaderLine<H> {
    pub(super) format: Format,
    pub(super) header: H,
}

/// A line for one key.
#[derive(Debug, Serialize)]
pub(super) struct EntryLineOut<'a, E: ?Sized> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_base64: Option<String>,
    pub(super) entry: &'a E,
}

/// A line for one key, read back.
#[derive(Debug, Deserialize)]
pub(super) struct EntryLine<'a, E> {
    #[serde(borrow, default)]
    pub(super) key: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) key_base64: Option<String>,
    pub(super) entry: E,
}

/// A stretch of the frame table.
#[derive(Debug, Serialize)]
pub(super) struct FramesLineOut<'a> {
    pub(super) frames: &'a [FrameRow],
}

/// A stretch of the frame table, read back.
#[derive(Debug, Deserialize)]
pub(super) struct FramesLine {
    pub(super) frames: Vec<FrameRow>,
}

/// The last line of the content.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SummaryLine<S> {
    pub(super) summary: S,
}

/// What a page holds. Pages of a kind stand together, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PageKind {
    Header,
    Entries,
    Frames,
    Summary,
}

/// A line of the directory.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PageLine<'a> {
    #[serde(borrow)]
    pub(super) page: PageFacts<'a>,
}

/// Where a page lies: behind the one before it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PageFacts<'a> {
    pub(super) kind: PageKind,
    pub(super) stored_bytes: u32,
    pub(super) plaintext_bytes: u32,
    pub(super) lines: u32,
    pub(super) blake3: FrameHash,
    /// The first key, of pages of entries.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key_base64: Option<String>,
}
