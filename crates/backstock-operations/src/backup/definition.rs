//! The definition of a backup: what it is asked to take and in which form. Only backups of one definition build on one another.

use backstock_archive::Sha256;
use backstock_archive::manifest::Manifest;
use backstock_archive::seal::Recipient;
use backstock_archive::tree::TreeRoot;
use backstock_database::Pattern;
use backstock_vocabulary::Scope;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::plan::{BackupRequest, DatabasePlan, FilesPlan};
use crate::error::{Doing, Result};
use crate::subject::Subject;

/// What a backup is asked for.
#[derive(Debug, Clone)]
pub struct Definition {
    /// SHA-256 of all inputs with their labels: what the manifest tells.
    pub sha256: [u8; 32],
    /// Each input by its label, with the first digits of its own hash, so that it can be told what differs.
    pub inputs: Vec<(String, String)>,
}

/// Everything that two backups of one chain must have in common: a list of inputs, each with its label.
pub(super) fn definition_of(
    scope: Scope,
    request: &BackupRequest,
    database: Option<&DatabasePlan>,
    files: Option<&FilesPlan>,
    subject: &Subject,
    recipients: &[Recipient],
) -> Result<Definition> {
    let texts = |patterns: &[Pattern]| -> Vec<String> {
        patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
    };
    let selection = database.map(|database| &database.selection).cloned().unwrap_or_default();
    let layout = subject.layout.as_ref();
    // A path need not be text.
    let raw = |root: &TreeRoot| {
        let path = root.path.as_os_str().as_encoded_bytes().to_vec();
        (root.prefix.clone(), backstock_database::RawText(path))
    };
    let roots: Vec<_> = files.map(|files| files.roots.iter().map(raw).collect()).unwrap_or_default();
    let inputs = [
        ("format", json(&Manifest::format())?),
        ("scope", json(&scope)?),
        ("codec", json(&request.codec)?),
        ("part_size_bytes", json(&request.part_size.bytes())?),
        ("platform", json(&layout.map_or("database", |layout| layout.platform))?),
        ("table_prefix", json(&layout.and_then(|layout| layout.table_prefix.as_deref()))?),
        ("roots", json(&roots)?),
        ("exclusions", json(&files.map(|files| &files.exclusions))?),
        ("only_tables", json(&texts(&selection.only))?),
        ("contents_excluded", json(&texts(&selection.contents_excluded))?),
        ("excluded_entirely", json(&texts(&selection.excluded_entirely))?),
        ("recipients", json(&recipients.iter().map(|recipient| recipient.identity).collect::<Vec<_>>())?),
    ];
    let bytes = serde_json::to_vec(&inputs).doing("describing what the backup takes")?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    let short = |(label, value): &(&str, serde_json::Value)| {
        let digits = Sha256::of(value.to_string().as_bytes()).to_string();
        ((*label).to_owned(), digits.chars().take(16).collect())
    };
    Ok(Definition { sha256: hash, inputs: inputs.iter().map(short).collect() })
}

fn json(value: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).doing("describing what the backup takes")
}
