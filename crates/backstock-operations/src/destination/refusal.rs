//! What a storage does not let go of: for want of a right, or because it is locked.

use backstock_storage::{Cause, Error};
use serde::Serialize;

use crate::error::OperationError;

/// Why a storage does not let go of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// These credentials may not delete there.
    Denied,
    /// It is locked until a time that has not come.
    Locked,
}

impl Refusal {
    /// Whether a deletion failed because the storage does not let go, and not for any other reason.
    pub(crate) fn of(error: &OperationError) -> Option<Self> {
        let OperationError::Storage { source, .. } = error else { return None };
        match **source {
            Error::Refused { act: "delete", cause: Cause::Denied, .. } => Some(Self::Denied),
            Error::Refused { act: "delete", cause: Cause::Locked, .. } => Some(Self::Locked),
            _ => None,
        }
    }
}
