//! One upload as its storage sees it: where an earlier try got to, how far this one is, how fast it may go.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// How far an upload got that was cut off. Its content belongs to the kind that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResumeState(pub serde_json::Value);

/// What goes along with [`crate::Storage::put`]. Kinds call it; whoever orders the upload implements it.
#[async_trait]
pub trait Upload: Send + Sync + Debug {
    /// How far an earlier try of these very bytes under this name got, if one was cut off. A kind asks the place whether
    /// that is so still, and begins anew when it is not.
    fn resume(&self) -> Option<ResumeState>;

    /// The place has confirmed the first `confirmed_bytes` of the part; `state` is what a later try needs to go on from there.
    /// After `Ok` the state is durable. Called after each piece, at least once for each 64 MiB.
    fn reached(&self, confirmed_bytes: u64, state: &ResumeState) -> Result<()>;

    /// Returns when so many bytes more may be sent. An error ends the upload: someone wants it to stop.
    async fn before_sending(&self, bytes: u64) -> Result<()>;
}

/// An upload from the beginning, in one go, as fast as can be.
#[derive(Debug, Clone, Copy, Default)]
pub struct InOneGo;

#[async_trait]
impl Upload for InOneGo {
    fn resume(&self) -> Option<ResumeState> {
        None
    }

    fn reached(&self, _confirmed_bytes: u64, _state: &ResumeState) -> Result<()> {
        Ok(())
    }

    async fn before_sending(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }
}
