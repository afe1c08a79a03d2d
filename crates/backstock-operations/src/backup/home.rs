//! Where a backup is made: in a folder of this machine, or, where a set keeps nothing here, at the first of its destinations that
//! answers. The others get it from there.

use backstock_catalog::{Destination, Set};
use backstock_vocabulary::{Reason, SetId};

use super::{BackupPlan, BackupRequest};
use crate::destination::{Place, SetFolder};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result, chain};
use crate::replicate::{is_open_now, set_folder_at};
use crate::sets::keeps_local;

/// The first place of a backup.
pub(super) struct Home {
    pub(super) place: Place,
    /// The row of the set that it is, where it is no folder of this machine.
    pub(super) destination: Option<Destination>,
}

/// Where a backup is to be made, as far as that can be told without asking anybody. What protects a restore is always made here.
///
/// # Errors
/// [`ErrorKind::Storage`] where a set keeps nothing here and none of its destinations can be sent to now.
pub(super) fn home_of(environment: &Environment, set: &Set, request: &BackupRequest) -> Result<Home> {
    if keeps_local(set) || request.reason == Reason::PreRestore {
        return Ok(Home { place: Place::local(environment, &request.backups)?, destination: None });
    }
    first(environment, set.id, |_| Ok(()))
}

/// Where it is made: the first destination that takes what is put there.
///
/// # Errors
/// As [`home_of`], with what each of them says.
pub(super) fn answering_home(environment: &Environment, set: SetId, set_folder: &str) -> Result<Home> {
    first(environment, set, |home| {
        let Some(destination) = &home.destination else { return Ok(()) };
        let name = set_folder_at(destination, set_folder);
        SetFolder { place: home.place.clone(), name }.probe(environment).map(drop)
    })
}

fn first(environment: &Environment, set: SetId, is_right: impl Fn(&Home) -> Result<()>) -> Result<Home> {
    let act = "listing the destinations of the set";
    let mut problems = Vec::new();
    for destination in environment.wait(environment.catalog.destinations(set)).doing(act)? {
        if !destination.is_on {
            continue;
        }
        let home = open_home(environment, destination);
        match home.and_then(|home| is_right(&home).map(|()| home)) {
            Ok(home) => return Ok(home),
            Err(error) => problems.push(chain(&error)),
        }
    }
    Err(OperationError::hinted(
        ErrorKind::Storage,
        match problems.is_empty() {
            true => "the set keeps nothing on this machine, and no destination of it is on".to_owned(),
            false => format!(
                "the set keeps nothing on this machine, and none of its destinations can be sent to: {}",
                problems.join("; ")
            ),
        },
        "`backstock set show` lists them, `backstock set local … --on` keeps backups on this machine too",
    ))
}

/// The place of a destination that may be sent to at this hour.
fn open_home(environment: &Environment, destination: Destination) -> Result<Home> {
    let place = Place::of_record(environment, destination.storage)?;
    if !is_open_now(environment, &destination)? {
        let message = format!("{} may not be sent to at this hour", place.record.title);
        return Err(OperationError::plain(ErrorKind::Refused, message));
    }
    Ok(Home { place, destination: Some(destination) })
}

impl BackupPlan {
    /// Where it is made: the folder of backups, or the title of a storage.
    pub fn made_at(&self) -> String {
        match &self.home {
            Some(_) => self.place.record.title.clone(),
            None => self.backups.display().to_string(),
        }
    }

    /// The set's folder at the place that the backup is made at.
    pub fn folder_at_place(&self) -> String {
        match &self.home {
            Some(home) => set_folder_at(home, &self.set_folder),
            None => self.set_folder.clone(),
        }
    }
}
