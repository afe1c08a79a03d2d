//! The export of settings: what manifests cannot tell of a set, put beside its backups at every place once a day.
//!
//! It says what belongs to that one set, so that a place which a customer owns learns nothing of another's: its shop, its storages and
//! destinations, its policy and schedule, pins, what was confirmed, and its history. It is sealed where the newest backup is, for the same
//! identities; only then the secrets of storages stand in it. The new one is put before an older one goes.

mod content;
mod gather;

use backstock_archive::seal::{Recipient, seal_settings};
use backstock_archive::{Digest, ExportedSettings, SettingsName, Sha256};
use backstock_catalog::{Backup, Shop};
use backstock_host::hex;
use backstock_vocabulary::{BackupId, IdentityId, Reason};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use zeroize::Zeroizing;

pub(crate) use self::content::{Secrets, SetContent, StorageContent};
use crate::destination::{Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::keys::{IdentityStore, put_keys};
use crate::retention::RetentionPolicy;
use crate::show::sealed_for;
use crate::verify::VerifySchedule;

/// How long an export stands for settings that have not changed: history goes on, in hours.
const DUE_HOURS: i64 = 24;
/// So many of the newest exports stay at a place.
const KEPT_EXPORTS: usize = 3;
/// What is dated further ahead of now, in seconds, was made while the clock was wrong.
const AHEAD_LIMIT_SECONDS: i64 = 3600;
/// What the key of the instance signs for the digits in a name, before the hash of the settings.
const STAMP_LABEL: &str = "backstock settings stamp 1";

/// What the configuration says of a set, to stand beside what the catalog has.
#[derive(Debug, Clone, Copy)]
pub struct SetRules {
    /// Which backups are kept.
    pub policy: RetentionPolicy,
    /// How often they are checked.
    pub schedule: VerifySchedule,
}

/// What came of the export at one place.
#[derive(Debug, Clone, Serialize)]
pub struct SettingsExport {
    /// The storage.
    pub storage: String,
    /// The folder of the set there.
    pub folder: String,
    /// The path of the new export in it; none where the last one still stands.
    pub path: Option<String>,
    /// What went wrong, with its causes. The next run tries again.
    pub problem: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Puts the settings of a shop's sets beside their newest backups, wherever the last export is older than a day or says something
/// else. What goes wrong at a place stands in the report.
///
/// # Errors
/// When the catalog cannot be read.
pub fn export_settings(
    environment: &Environment,
    shop: &Shop,
    rules: SetRules,
) -> Result<Vec<SettingsExport>> {
    let act = || format!("exporting the settings of {}", shop.title);
    let mut exports = Vec::new();
    let backups = environment.wait(environment.catalog.list_backups(Some(shop.id))).doing(act())?;
    let strangers = environment.wait(environment.catalog.list_strangers()).doing(act())?;
    for set in environment.wait(environment.catalog.list_sets(shop.id)).doing(act())? {
        let counts = |backup: &&Backup| {
            backup.set == set.id && backup.reason != Reason::PreRestore && !strangers.contains(&backup.id)
        };
        let Some(newest) = backups.iter().filter(counts).max_by_key(|backup| backup.sequence) else {
            continue;
        };
        for replica in environment.wait(environment.catalog.replicas(newest.id)).doing(act())? {
            let Some((name, _)) = replica.folder.rsplit_once('/') else { continue };
            if !replica.state.is_there() {
                continue;
            }
            let record = environment.wait(environment.catalog.find_storage(replica.storage)).doing(act())?;
            let mut export = SettingsExport {
                storage: record.map(|record| record.title).unwrap_or_default(),
                folder: name.to_owned(),
                path: None,
                problem: None,
                hint: None,
            };
            let exported = Place::of_record(environment, replica.storage).and_then(|place| {
                let folder = SetFolder { place, name: name.to_owned() };
                export_to(environment, &folder, newest, rules)
            });
            match exported {
                Ok(path) => export.path = path,
                Err(error) => (export.problem, export.hint) = (Some(chain(&error)), error.hint()),
            }
            exports.push(export);
        }
    }
    Ok(exports)
}

/// Puts an export beside the backups of a set at one place, if one is due there. Gives its path.
fn export_to(
    environment: &Environment,
    folder: &SetFolder,
    newest: &Backup,
    rules: SetRules,
) -> Result<Option<String>> {
    let recipients = recipients_of(environment, newest)?;
    let is_sealed = !recipients.is_empty();
    let mut content = gather::gather(environment, newest, rules, is_sealed)?;
    let stamp = stamp_of(environment, &content, &recipients)?;
    let now = environment.host.clock.now();
    let mut present = folder.settings_names(environment)?;
    sort_by_age(&mut present, now);
    if present.last().is_some_and(|last| !is_due(last, &stamp, is_sealed, now)) {
        return Ok(None);
    }
    folder.require_own(environment)?;
    gather::add_history(environment, newest, &mut content)?;
    let export = environment.host.new_id(BackupId::from_parts);
    let settings = ExportedSettings {
        format: ExportedSettings::<SetContent>::format(),
        signer: Digest([0; 32]),
        instance: environment.instance,
        machine: environment.machine_id(),
        set: newest.set,
        export,
        storage: folder.place.record.id,
        made: later_than(present.last(), now),
        stamp,
        is_sealed,
        content,
    };
    let name = settings.name();
    let act = || format!("exporting the settings to {}", folder.place.record.title);
    let mut bytes = settings.sign(&environment.key).doing(act())?;
    if is_sealed {
        put_keys(environment, folder)?;
        let random = environment.host.random.as_ref();
        bytes = Zeroizing::new(seal_settings(random, export, &recipients, &bytes).doing(act())?);
    }
    folder.put_settings(environment, &name, &bytes)?;
    let surplus = (present.len() + 1).saturating_sub(KEPT_EXPORTS);
    for older in present.iter().take(surplus) {
        if let Err(error) = folder.delete_settings(environment, older) {
            // A place that lets nothing be deleted keeps them all.
            tracing::info!(path = older.path(), error = chain(&error), "an older export of settings stays");
        }
    }
    Ok(Some(name.path()))
}

/// Sorts exports, the newest last. One that is dated ahead of now is older than all: a clock that was wrong once would hide every later
/// one.
pub(crate) fn sort_by_age(names: &mut [SettingsName], now: Timestamp) {
    names.sort_by(|one, other| (!is_ahead(one, now), one).cmp(&(!is_ahead(other, now), other)));
}

fn is_ahead(name: &SettingsName, now: Timestamp) -> bool {
    name.made.as_second() > now.as_second().saturating_add(AHEAD_LIMIT_SECONDS)
}

/// Now in whole seconds, or the second after the last export: names tell which of two is the newer one.
fn later_than(last: Option<&SettingsName>, now: Timestamp) -> Timestamp {
    let last = last.filter(|last| !is_ahead(last, now)).map(|last| last.made.as_second().saturating_add(1));
    Timestamp::from_second(last.unwrap_or(i64::MIN).max(now.as_second())).unwrap_or(now)
}

fn is_due(last: &SettingsName, stamp: &str, is_sealed: bool, now: Timestamp) -> bool {
    let ends = last.made.checked_add(SignedDuration::from_hours(DUE_HOURS)).unwrap_or(Timestamp::MAX);
    last.stamp != stamp || last.is_sealed != is_sealed || is_ahead(last, now) || ends <= now
}

/// Whom the settings are sealed for: nobody, where the newest backup is not sealed.
fn recipients_of(environment: &Environment, newest: &Backup) -> Result<Vec<Recipient>> {
    let sealed_for: Vec<IdentityId> = sealed_for(newest);
    if sealed_for.is_empty() {
        return Ok(Vec::new());
    }
    let store = IdentityStore::of(environment);
    let mut recipients = store.recipients()?;
    if recipients.is_empty() {
        // An identity that was taken over, and that nobody has said to go on sealing for.
        let known = store.identities()?.into_iter();
        recipients = known
            .filter(|identity| sealed_for.contains(&identity.identity))
            .map(|identity| identity.recipient())
            .collect();
    }
    if recipients.is_empty() {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            "the backups are sealed, and there is no identity here to seal the settings for",
            "`backstock key adopt` goes on sealing for the identity of the backups",
        ));
    }
    Ok(recipients)
}

/// Eight digits that are others when the settings are. Made with the key of the instance: what is sealed cannot be guessed by them.
fn stamp_of(environment: &Environment, content: &SetContent, recipients: &[Recipient]) -> Result<String> {
    let act = "telling whether the settings have changed";
    let settings = Zeroizing::new(serde_json::to_vec(content).doing(act)?);
    let mut told = format!("{STAMP_LABEL}\n{}\n", Sha256::of(&settings)).into_bytes();
    for recipient in recipients {
        told.extend_from_slice(recipient.identity.to_string().as_bytes());
    }
    let signature = environment.key.sign(&told);
    Ok(hex::encode(&Sha256::of(&signature).0[..4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(made: &str, stamp: &str) -> SettingsName {
        SettingsName { made: made.parse().unwrap(), stamp: stamp.to_owned(), is_sealed: true }
    }

    #[test]
    fn an_export_is_due_after_a_day_and_whenever_the_settings_changed() {
        let last = name("2026-11-20T03:00:00Z", "aaaaaaaa");
        let due = |stamp: &str, is_sealed, now: &str| is_due(&last, stamp, is_sealed, now.parse().unwrap());
        assert!(!due("aaaaaaaa", true, "2026-11-21T02:59:59Z"));
        assert!(due("aaaaaaaa", true, "2026-11-21T03:00:00Z"));
        assert!(due("bbbbbbbb", true, "2026-11-20T03:00:01Z"));
        assert!(due("aaaaaaaa", false, "2026-11-20T03:00:01Z"), "sealed no more");
        assert!(due("aaaaaaaa", true, "2026-11-20T01:00:00Z"), "the clock was set back");
    }

    #[test]
    fn each_export_is_later_than_the_one_before() {
        let now: Timestamp = "2026-11-20T03:00:00.5Z".parse().unwrap();
        let later = |last: &str| later_than(Some(&name(last, "aaaaaaaa")), now).to_string();
        assert_eq!(later("2026-11-20T03:00:00Z"), "2026-11-20T03:00:01Z");
        assert_eq!(later("2026-11-20T03:00:01Z"), "2026-11-20T03:00:02Z");
        assert_eq!(later("2026-11-19T03:00:00Z"), "2026-11-20T03:00:00Z");
        assert_eq!(later("2099-11-20T03:00:00Z"), "2026-11-20T03:00:00Z", "that clock was wrong");
        assert_eq!(later_than(None, now).to_string(), "2026-11-20T03:00:00Z");
    }

    #[test]
    fn one_that_is_dated_ahead_is_the_oldest() {
        let mut names = [
            name("2099-01-01T00:00:00Z", "aaaaaaaa"),
            name("2026-11-20T03:00:00Z", "bbbbbbbb"),
            name("2026-11-21T03:00:00Z", "cccccccc"),
        ];
        sort_by_age(&mut names, "2026-11-22T00:00:00Z".parse().unwrap());
        let stamps: Vec<&str> = names.iter().map(|name| name.stamp.as_str()).collect();
        assert_eq!(stamps, ["aaaaaaaa", "bbbbbbbb", "cccccccc"]);
    }
}
