//! The exports beside a set's backups, the newest first, until one can be believed.

use backstock_archive::seal::{SealedHeader, open_settings};
use backstock_archive::{ExportedSettings, SettingsName};
use backstock_host::hex;
use backstock_vocabulary::{InstanceId, SetId};
use jiff::Timestamp;
use serde::Serialize;

use crate::destination::SetFolder;
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::export::{SetContent, sort_by_age};
use crate::keys::{IdentityStore, Signers};

/// An export as a person is asked about it.
#[derive(Debug, Clone, Serialize)]
pub struct FoundSettings {
    /// The set's folder.
    pub set_folder: String,
    /// Its path there.
    pub path: String,
    /// When it was made.
    pub made: Timestamp,
    /// The instance that made it.
    pub instance: InstanceId,
    /// The machine that it was made on.
    pub machine: String,
    /// The key that signed it, in hexadecimal digits.
    pub signer: String,
    /// Whether an identity vouches for that key.
    pub is_vouched: bool,
    /// The storages that it tells of.
    pub storages: Vec<String>,
    /// How many destinations it tells of.
    pub destinations: usize,
}

/// An export that was not used.
#[derive(Debug, Clone, Serialize)]
pub struct PassedOver {
    /// The set's folder.
    pub set_folder: String,
    /// Its path there.
    pub path: String,
    /// Why.
    pub why: String,
}

/// The export that is to be taken in.
pub(crate) struct Chosen {
    pub(crate) found: FoundSettings,
    pub(crate) settings: ExportedSettings<SetContent>,
}

/// The newest export of a set that an identity vouches for; else the newest whose signer counts there. Those that are passed over on
/// the way are named.
pub(crate) fn choose(
    environment: &Environment,
    folder: &SetFolder,
    sets: &[SetId],
    passed_over: &mut Vec<PassedOver>,
) -> Result<Option<Chosen>> {
    let mut names = folder.settings_names(environment)?;
    sort_by_age(&mut names, environment.host.clock.now());
    let signers = Signers::of(environment, folder)?;
    let mut certified = IdentityStore::of(environment).certified()?;
    certified.push(crate::keys::own(environment));
    let mut unvouched = None;
    for name in names.iter().rev() {
        let pass = |why: String| PassedOver { set_folder: folder.name.clone(), path: name.path(), why };
        let settings = match read(environment, folder, name, sets) {
            Ok(settings) => settings,
            Err(error) => {
                passed_over.push(pass(chain(&error)));
                continue;
            }
        };
        let is_vouched = certified.iter().any(|signer| signer.key == settings.signer);
        if !is_vouched && !signers.count(&settings.signer) {
            passed_over.push(pass("it is signed by a key that nobody vouches for".to_owned()));
            continue;
        }
        let chosen = Chosen { found: describe(folder, name, &settings, is_vouched), settings };
        if is_vouched {
            return Ok(Some(chosen));
        }
        unvouched.get_or_insert(chosen);
    }
    Ok(unvouched)
}

fn describe(
    folder: &SetFolder,
    name: &SettingsName,
    settings: &ExportedSettings<SetContent>,
    is_vouched: bool,
) -> FoundSettings {
    FoundSettings {
        set_folder: folder.name.clone(),
        path: name.path(),
        made: settings.made,
        instance: settings.instance,
        machine: settings.machine.clone(),
        signer: hex::encode(&settings.signer.0),
        is_vouched,
        storages: settings.content.storages.iter().map(|storage| storage.title.clone()).collect(),
        destinations: settings.content.destinations.len(),
    }
}

/// Reads one export, and opens it where it is sealed.
fn read(
    environment: &Environment,
    folder: &SetFolder,
    name: &SettingsName,
    sets: &[SetId],
) -> Result<ExportedSettings<SetContent>> {
    let path = name.path();
    let act = || format!("reading {path} of {}", folder.name);
    let bytes = folder.settings(environment, name)?;
    let bytes =
        bytes.ok_or_else(|| OperationError::plain(ErrorKind::NotFound, format!("{}: it is gone", act())))?;
    let settings = if name.is_sealed {
        let header = SealedHeader::read(&bytes, &path).doing(act())?;
        let key = environment.keys.data_key(environment, folder, &header, &path)?;
        let text = open_settings(bytes, &path, &header, &key).doing(act())?;
        let settings = ExportedSettings::<SetContent>::parse(&text, &path).doing(act())?;
        if settings.export != header.backup() {
            let message = format!("{}: what is sealed in it is another export", act());
            return Err(OperationError::plain(ErrorKind::Damaged, message));
        }
        settings
    } else {
        ExportedSettings::parse(&bytes, &path).doing(act())?
    };
    if !sets.contains(&settings.set) || settings.content.set.id != settings.set {
        let message = format!("{}: it is that of another set", act());
        return Err(OperationError::plain(ErrorKind::Damaged, message));
    }
    Ok(settings)
}
