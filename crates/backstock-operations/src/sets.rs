//! Sets: where their backups go besides the first place.

mod written;

use backstock_catalog::{Destination, Set, Shop};
use backstock_storage::ObjectName;
use backstock_vocabulary::{DestinationId, ReplicaState};
use serde::Serialize;

use crate::backup::{DEFAULT_SET, default_set, known_shop, set_folder_of};
use crate::environment::Environment;
use crate::error::{Doing, ErrorKind, OperationError, Result};
use crate::replicate::{ByteRate, Hours, Limits, is_owed, read_limits};
use crate::storages::{self, ListedLink};
use crate::subject::Subject;

pub use written::{follow_written, written_elsewhere};

/// A destination as somebody defines it.
#[derive(Debug, Clone, Default)]
pub struct NewDestination {
    /// The title of its storage.
    pub storage: String,
    /// The folder in that storage below which the set has its own; empty: at the top.
    pub path: String,
    /// How many backups are kept there, if not what the policy says.
    pub copies: Option<u32>,
    /// How fast and when it may be sent to.
    pub limits: Limits,
}

/// What is to be another way about a destination.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChangedDestination {
    /// How many backups are kept there; `Some(None)`: what the policy says.
    pub copies: Option<Option<u32>>,
    /// Whether new backups go there.
    pub is_on: Option<bool>,
    /// The most bytes in a second; `Some(None)`: as fast as can be.
    pub bytes_per_second: Option<Option<ByteRate>>,
    /// The hours in which it may be sent to; `Some(None)`: every hour.
    pub hours: Option<Option<Hours>>,
}

/// A set as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct ListedSet {
    /// The shop.
    pub shop: String,
    /// The set.
    pub set: String,
    /// The set's folder at every place.
    pub folder: String,
    /// Whether its backups are kept on this machine, besides the destinations.
    pub keeps_local: bool,
    /// Where its backups go besides the first place.
    pub destinations: Vec<ListedDestination>,
}

/// A destination as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct ListedDestination {
    /// The title of its storage.
    pub storage: String,
    /// The kind of its storage.
    pub kind: String,
    /// The folder in that storage.
    pub path: String,
    /// How many backups are kept there, if not what the policy says.
    pub copies: Option<u32>,
    /// Whether new backups go there.
    pub is_on: bool,
    /// How fast and when it may be sent to.
    pub limits: Limits,
    /// How many backups are there.
    pub held: u64,
    /// How many are still to be brought there.
    pub owed: u64,
    /// How the link of its storage with an account is, where it has one that was ever tried.
    pub link: Option<ListedLink>,
}

/// The set of a shop that may be new: both go on record.
pub fn known_set(environment: &Environment, subject: &Subject) -> Result<(Shop, Set)> {
    let shop = known_shop(environment, subject)?;
    let shop =
        environment.wait(environment.catalog.upsert_shop_by_root(&shop)).doing("recording the shop")?;
    let set = default_set(environment, shop.id)?;
    let set = environment.wait(environment.catalog.find_or_add_set(&set)).doing("recording the set")?;
    Ok((shop, set))
}

/// The set of a shop, if it is on record.
pub(crate) fn default_set_of(environment: &Environment, shop: &Shop) -> Result<Option<Set>> {
    let act = format!("looking for the set of {}", shop.title);
    environment.wait(environment.catalog.find_set_by_title(shop.id, DEFAULT_SET)).doing(act)
}

/// The set of a shop that is on record.
pub fn find_set(environment: &Environment, shop: &Shop) -> Result<Set> {
    default_set_of(environment, shop)?.ok_or_else(|| {
        OperationError::plain(ErrorKind::NotFound, format!("{} has no set on record", shop.title))
    })
}

/// A set with its destinations.
pub fn listed_set(environment: &Environment, shop: &Shop, set: &Set) -> Result<ListedSet> {
    let act = || format!("listing the destinations of {}", shop.title);
    let catalog = &environment.catalog;
    let backups = environment.wait(catalog.list_backups(Some(shop.id))).doing(act())?;
    let replicas = environment.wait(catalog.list_replicas()).doing(act())?;
    let mut destinations = Vec::new();
    for destination in environment.wait(catalog.destinations(set.id)).doing(act())? {
        let storage = environment.wait(catalog.find_storage(destination.storage)).doing(act())?;
        let of_set = |replica: &&backstock_catalog::Replica| {
            replica.storage == destination.storage
                && backups.iter().any(|backup| backup.id == replica.backup && backup.set == set.id)
        };
        let count = |is_counted: fn(ReplicaState) -> bool| {
            replicas.iter().filter(of_set).filter(|replica| is_counted(replica.state)).count() as u64
        };
        destinations.push(ListedDestination {
            storage: storage.as_ref().map(|storage| storage.title.clone()).unwrap_or_default(),
            kind: storage.map(|storage| storage.kind).unwrap_or_default(),
            path: destination.path.clone(),
            copies: destination.copies,
            is_on: destination.is_on,
            limits: read_limits(&destination.settings)?,
            held: count(ReplicaState::is_there),
            owed: count(is_owed),
            link: storages::find_link(environment, destination.storage)?,
        });
    }
    let folder = set_folder_of(shop, set);
    let keeps_local = keeps_local(set);
    Ok(ListedSet { shop: shop.title.clone(), set: set.title.clone(), folder, keeps_local, destinations })
}

/// What the definition of a set says where its backups are not kept on this machine.
const WITHOUT_LOCAL: &str = "without_local";

/// Whether the backups of a set are kept on this machine.
pub(crate) fn keeps_local(set: &Set) -> bool {
    set.definition[WITHOUT_LOCAL] != true
}

/// Keeps the backups of a set on this machine, or only passes them through its spool from now on. What lies here stays.
///
/// # Errors
/// [`ErrorKind::Refused`] where no destination would take them instead.
pub fn keep_local(environment: &Environment, set: &mut Set, is_on: bool) -> Result<()> {
    let act = || "changing where the backups of the set are kept";
    let destinations = environment.wait(environment.catalog.destinations(set.id)).doing(act())?;
    if !is_on && !destinations.iter().any(|destination| destination.is_on) {
        return Err(OperationError::hinted(
            ErrorKind::Refused,
            "its backups would go nowhere: no destination of the set is on",
            "`backstock set destination add` adds one",
        ));
    }
    let mut definition = set.definition.as_object().cloned().unwrap_or_default();
    definition.remove(WITHOUT_LOCAL);
    if !is_on {
        definition.insert(WITHOUT_LOCAL.to_owned(), true.into());
    }
    set.definition = definition.into();
    environment.wait(environment.catalog.save_set(set)).doing(act())
}

/// Adds a destination to a set. What the set has already stays where it is: new backups go there, with what they build on.
///
/// # Errors
/// [`ErrorKind::NotFound`] where there is no such storage; [`ErrorKind::Refused`] for a second row with the same storage, a path
/// that is none, or zero copies.
pub fn add_destination(environment: &Environment, set: &Set, new: &NewDestination) -> Result<()> {
    let storage = storages::find(environment, &new.storage)?;
    let act = || format!("adding {} to the destinations of the set", new.storage);
    let refused = |problem: String| {
        OperationError::plain(
            ErrorKind::Refused,
            format!("{} is not made a destination: {problem}", new.storage),
        )
    };
    let known = environment.wait(environment.catalog.destinations(set.id)).doing(act())?;
    if known.iter().any(|destination| destination.storage == storage.id) {
        return Err(refused("the set sends its backups there already".to_owned()));
    }
    let path = new.path.trim_matches('/').to_owned();
    if !path.is_empty() {
        ObjectName::new(&path).map_err(|error| refused(error.to_string()))?;
    }
    require_copies(new.copies)?;
    let destination = Destination {
        id: environment.host.new_id(DestinationId::from_parts),
        set: set.id,
        storage: storage.id,
        path,
        copies: new.copies,
        is_on: true,
        settings: serde_json::to_value(new.limits).doing(act())?,
        begun: None,
        created: environment.host.clock.now(),
    };
    environment.wait(environment.catalog.save_destination(&destination)).doing(act())
}

/// Changes a destination.
///
/// # Errors
/// As [`add_destination`].
pub fn change_destination(
    environment: &Environment,
    set: &Set,
    storage: &str,
    change: ChangedDestination,
) -> Result<()> {
    let act = || format!("changing the destination {storage}");
    let mut destination = destination_at(environment, set, storage)?;
    let mut limits = read_limits(&destination.settings)?;
    if let Some(copies) = change.copies {
        require_copies(copies)?;
        destination.copies = copies;
    }
    destination.is_on = change.is_on.unwrap_or(destination.is_on);
    limits.bytes_per_second = change.bytes_per_second.unwrap_or(limits.bytes_per_second);
    limits.hours = change.hours.unwrap_or(limits.hours);
    destination.settings = serde_json::to_value(limits).doing(act())?;
    environment.wait(environment.catalog.save_destination(&destination)).doing(act())
}

/// Takes a destination out of a set. What lies there stays, and stays on record.
pub fn remove_destination(environment: &Environment, set: &Set, storage: &str) -> Result<()> {
    let destination = destination_at(environment, set, storage)?;
    let act = format!("taking {storage} out of the destinations of the set");
    environment.wait(environment.catalog.remove_destination(&destination)).doing(act)
}

fn destination_at(environment: &Environment, set: &Set, title: &str) -> Result<Destination> {
    let storage = storages::find(environment, title)?;
    let act = "listing the destinations of the set";
    let known = environment.wait(environment.catalog.destinations(set.id)).doing(act)?;
    known.into_iter().find(|destination| destination.storage == storage.id).ok_or_else(|| {
        OperationError::hinted(
            ErrorKind::NotFound,
            format!("{title} is no destination of the set"),
            "`backstock set show` lists those that there are",
        )
    })
}

fn require_copies(copies: Option<u32>) -> Result<()> {
    match copies {
        Some(0) => Err(OperationError::hinted(
            ErrorKind::Refused,
            "keeping 0 copies would leave nothing there",
            "give 1 or more, or switch the destination off",
        )),
        _ => Ok(()),
    }
}
