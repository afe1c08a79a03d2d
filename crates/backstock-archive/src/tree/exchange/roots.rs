//! The roots of an exchange: where they really lie, and where things can lie aside of them.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::facts::Facts;
use super::super::request::TreeRoot;
use super::request::{ExchangePlan, ExchangeRequest, PlannedRoot};
use crate::{Error, Result};

/// Finds the roots and their staging folders.
pub(crate) fn plan_roots(request: &ExchangeRequest) -> Result<Vec<PlannedRoot>> {
    let refuse = |what: String| Error::Tree { act: "exchange the files", what };
    if request.tag.is_empty() || !request.tag.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(refuse(format!("\"{}\" cannot be an exchange's tag", request.tag)));
    }
    let mut planned: Vec<PlannedRoot> = Vec::new();
    for root in &request.roots {
        let path = std::fs::canonicalize(&root.path).map_err(|error| Error::io("open", &root.path, error))?;
        let facts = look(&path)?;
        let parent = path.parent().ok_or_else(|| refuse("a root cannot be /".to_owned()))?;
        planned.push(PlannedRoot {
            prefix_base64: STANDARD.encode(&root.prefix),
            staging: parent.to_owned(),
            device: facts.device,
            inode: facts.inode,
            needed_bytes: 0,
            path,
        });
    }
    for number in 0..planned.len() {
        planned[number].staging = staging_folder(&planned, number, request)?;
    }
    Ok(planned)
}

/// Beside the root, and outside every root: a folder outside the shop's root may lie inside another one.
fn staging_folder(planned: &[PlannedRoot], number: usize, request: &ExchangeRequest) -> Result<PathBuf> {
    let root = &planned[number];
    let aside = match &request.aside {
        Some(aside) => Some(std::fs::canonicalize(aside).map_err(|error| Error::io("open", aside, error))?),
        None => None,
    };
    let mut parent = aside.as_deref().or(root.path.parent()).unwrap_or(Path::new("/"));
    while let Some(around) = planned.iter().find(|other| parent.starts_with(&other.path)) {
        parent = around.path.parent().unwrap_or(Path::new("/"));
    }
    if look(parent)?.device != root.device {
        return Err(Error::Tree {
            act: "exchange the files",
            what: format!(
                "nothing can lie aside of {} on its own file system: {} is on another one",
                root.path.display(),
                parent.display()
            ),
        });
    }
    Ok(parent.join(format!(".backstock-{}-{number}", request.tag)))
}

fn look(path: &Path) -> Result<Facts> {
    let stat = rustix::fs::stat(path).map_err(|error| Error::io("open", path, error.into()))?;
    Ok(Facts::of(&stat))
}

/// A root's place in the backup.
pub(crate) fn place_of(root: &PlannedRoot) -> Vec<u8> {
    STANDARD.decode(&root.prefix_base64).unwrap_or_default()
}

/// The roots of a plan as walks take them.
pub(crate) fn tree_roots(plan: &ExchangePlan) -> Vec<TreeRoot> {
    plan.roots.iter().map(|root| TreeRoot { prefix: place_of(root), path: root.path.clone() }).collect()
}
