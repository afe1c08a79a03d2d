//! `backstock catalog` and `backstock recover`: the catalog made anew from what is stored.

mod recovered;

use backstock_operations::{
    Environment, Fingerprint, FoundSettings, RebuildReport, SealedSet, SettingsWish, StorageSecret,
    give_secrets, rebuild_catalog, recover_from, storage_client,
};

use super::storage::define;
use super::{Document, Result};
use crate::arguments::{AddStorageArguments, RebuildArguments, RecoverArguments};
use crate::exit::{Code, CommandError};
use crate::session::Session;
use crate::terminal::{count_text, printable};

pub(super) fn rebuild(session: &Session, arguments: &RebuildArguments) -> Result {
    let fingerprint = arguments.fingerprint.as_deref().map(fingerprint).transpose()?;
    let environment = session.open_for_rebuild()?;
    let progress = session.progress();
    let folder = std::path::absolute(&arguments.folder).unwrap_or_else(|_| arguments.folder.clone());
    let result = rebuild_catalog(&environment, &folder, fingerprint.as_ref(), &progress);
    progress.close();
    Ok(show(session, "backstock.catalog-rebuild/1", &result?))
}

/// `backstock recover`: the storage is defined as by `storage add`, without a test that would write into it.
pub(super) fn recover(session: &Session, arguments: &RecoverArguments) -> Result {
    let fingerprint = arguments.fingerprint.as_deref().map(fingerprint).transpose()?;
    let environment = session.open_for_rebuild()?;
    if let Some(kind) = &arguments.kind {
        let defined = AddStorageArguments {
            title: arguments.title.clone(),
            kind: kind.clone(),
            settings: arguments.settings.clone(),
            secret_files: arguments.secret_files.clone(),
            no_test: true,
            link: arguments.link.clone(),
        };
        define(session, &environment, &defined)?;
    }
    let progress = session.progress();
    let is_right = |found: &FoundSettings| arguments.trust_settings || trusts(session, found);
    let wish = if arguments.without_settings { SettingsWish::Skip } else { SettingsWish::Ask(&is_right) };
    let result = recover_from(&environment, &arguments.title, fingerprint.as_ref(), &wish, &progress);
    progress.close();
    let mut report = result?;
    ask_for_secrets(session, &environment, &mut report)?;
    let code = show(session, "backstock.recover/1", &report);
    if report.backups == 0 && report.unreadable.is_empty() {
        let title = printable(&arguments.title);
        return Err(match storage_client(&environment, &arguments.title)? {
            Some(client) => {
                let what = printable(&client.sees_nothing(&format!("at {title}")));
                CommandError::not_found(what).with_hint(client.why_nothing())
            }
            None => CommandError::not_found(format!(
                "nothing that Backstock made is to be seen at {title} with these settings and credentials"
            )),
        });
    }
    if !session.terminal.json() {
        session
            .terminal
            .say("`backstock list` shows them; `backstock restore`, `open` and `verify` take any of them");
    }
    Ok(code)
}

/// Whether a person says that settings are right for which nothing vouches.
fn trusts(session: &Session, found: &FoundSettings) -> bool {
    let terminal = session.terminal;
    let (folder, machine) = (printable(&found.set_folder), printable(&found.machine));
    terminal.warn(&format!(
        "{folder}: its settings of {:.0} are UNAUTHENTICATED: no identity vouches for the key {} of the machine {machine} that signed \
         them; they name the storages {}",
        found.made,
        found.signer,
        printable(&found.storages.join(", "))
    ));
    match terminal.ask("Bring them back all the same?") {
        Some(answer) => answer,
        None => {
            terminal.warn("they are left alone; --trust-settings brings them back all the same");
            false
        }
    }
}

/// Secrets that an export does not tell are asked for, where there is somebody to ask.
fn ask_for_secrets(
    session: &Session,
    environment: &Environment,
    report: &mut RebuildReport,
) -> std::result::Result<(), CommandError> {
    for storage in report.settings.iter_mut().flat_map(|settings| &mut settings.storages) {
        if storage.missing_secrets.is_empty() || storage.problem.is_some() {
            continue;
        }
        let mut secrets = std::collections::BTreeMap::new();
        for name in &storage.missing_secrets {
            let question = format!("{name} of the storage {}: ", printable(&storage.title));
            let Some(secret) = session.terminal.secret(&question, StorageSecret::new) else { break };
            secrets.insert(name.clone(), secret);
        }
        if secrets.len() == storage.missing_secrets.len() {
            give_secrets(environment, &storage.title, secrets)?;
            storage.missing_secrets.clear();
        }
    }
    Ok(())
}

fn show(session: &Session, schema: &'static str, report: &RebuildReport) -> Code {
    let terminal = &session.terminal;
    if terminal.json() {
        terminal.document(&Document::new(schema, report));
    } else {
        terminal.data(&format!("{} backups in {} sets are on record", report.backups, report.set_folders));
        report.sealed_sets.iter().for_each(|set| say_whose(session, set));
        if report.strangers > 0 {
            let count = count_text(report.strangers, "backup");
            terminal.warn(&format!(
                "{count} signed by somebody whom nobody vouches for: never counted, never latest"
            ));
        }
        for line in &report.unreadable {
            terminal.data(&format!("cannot be read: {}", printable(line)));
        }
        for found in &report.irregularities {
            let (folder, what) = (printable(&found.set_folder), printable(&found.irregularity.to_string()));
            terminal.warn(&format!("{folder}: {what}"));
        }
        for folder in &report.without_manifest {
            terminal.say(&format!("note: {} has no manifest: it is no backup", printable(folder)));
        }
        recovered::show(*terminal, report);
    }
    let is_forked = report.heads.iter().any(backstock_operations::SetHeads::is_forked);
    let is_right = report.unreadable.is_empty() && report.irregularities.is_empty() && !is_forked;
    if is_right { Code::Done } else { Code::Partial }
}

fn fingerprint(text: &str) -> std::result::Result<Fingerprint, CommandError> {
    Fingerprint::parse(text).ok_or_else(|| {
        let hint = "give the 64 digits that `backstock key kit` or `backstock key show` prints";
        CommandError::usage(format!("{text} is no fingerprint of an identity"), hint)
    })
}

/// Whether it was shown whose backups a sealed set's are.
fn say_whose(session: &Session, set: &SealedSet) {
    let folder = printable(&set.set_folder);
    if set.vouched.is_empty() {
        session.terminal.warn(&format!(
            "{folder}: whose backups these are was not shown; a passphrase, a key file, or --fingerprint of the recovery kit does"
        ));
        return;
    }
    let ids: Vec<String> = set.vouched.iter().map(backstock_vocabulary::IdentityId::short).collect();
    session
        .terminal
        .data(&format!("{folder}: the identity {} vouches for who signed its backups", ids.join(" and ")));
}
