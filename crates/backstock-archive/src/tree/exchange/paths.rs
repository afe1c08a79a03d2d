//! The paths that a plan is about: what it replaces (for the safety snapshot), what was changed since (for an export).

use std::path::PathBuf;

use backstock_host::Host;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::entry::FileKind;
use super::super::report::TreeMonitor;
use super::super::request::as_path;
use super::discard::{FileChange, compare, visit_live};
use super::plan_file::StepReader;
use super::request::ExchangePlan;
use super::step::Act;
use crate::Result;

/// The paths, as a backup names them, of everything live that the exchange takes away or changes.
///
/// # Errors
/// When the plan cannot be read.
pub fn replaced_paths(host: &Host, plan: &ExchangePlan) -> Result<Vec<Vec<u8>>> {
    let prefixes: Vec<Vec<u8>> =
        plan.roots.iter().map(|root| STANDARD.decode(&root.prefix_base64).unwrap_or_default()).collect();
    let mut paths = Vec::new();
    StepReader::open(host, plan)?.forward(&mut |step| {
        // What changes of a folder that stays is in the plan itself; naming it here would mean everything below it.
        let is_folder = step.live.as_ref().is_some_and(|live| live.kind == FileKind::Folder);
        if step.live.is_some() && !(step.act == Act::Metadata && is_folder) {
            let mut path = prefixes.get(step.root).cloned().unwrap_or_default();
            if !path.is_empty() && !step.path().is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&step.path());
            paths.push(path);
        }
        Ok(())
    })?;
    Ok(paths)
}

/// What was put or written there since the exchange: the root's number, the path below it, where it lies.
///
/// # Errors
/// When the plan or a root cannot be read.
pub fn changed_paths(
    host: &Host,
    plan: &ExchangePlan,
    monitor: &dyn TreeMonitor,
) -> Result<Vec<(usize, Vec<u8>, PathBuf)>> {
    let mut paths = Vec::new();
    visit_live(host, plan, monitor, &mut |step, live, new_inode| {
        let mut change = FileChange::default();
        compare(step, live, new_inode, &mut change);
        if live.is_some() && !change.is_empty() {
            let path = step.path();
            let place = plan.roots[step.root].path.join(as_path(&path));
            paths.push((step.root, path, place));
        }
    })?;
    Ok(paths)
}
