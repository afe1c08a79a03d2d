//! Load, swap, undo and acceptance against real servers, compared through another client.

mod configurations;
mod engines;
mod fixtures;
mod keys;
mod kills;
mod selections;
mod sessions;
mod torture;
mod vendors;
mod ways;

use std::io;

use backstock_host::Host;
use backstock_testbed::{Server, ServerOptions, Snapshot, assert_same, database};

use super::super::dump::tests::{MemoryTarget, dump_with, for_each_server, settings};
use super::super::swap::{accept, discard_aside, step_backward, step_forward, swap_steps};
use super::{load_aside, plan_load};
use crate::Unwatched;
use crate::dump::{DumpReport, DumpRequest};
use crate::error::Result;
use crate::load::{FrameSource, InPlace, LoadPlan, LoadReport, LoadRequest, LoadSelection};
use crate::{Connection, ServerSettings};

impl FrameSource for MemoryTarget {
    fn frame(&self, number: u64) -> io::Result<Vec<u8>> {
        let frames = self.frames.lock().unwrap();
        frames.get(usize::try_from(number).unwrap()).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn frame_bytes(&self, number: u64) -> u64 {
        let frames = self.frames.lock().unwrap();
        frames.get(usize::try_from(number).unwrap()).map_or(0, |frame| frame.len() as u64)
    }
}

/// Everything, exactly, into the database that it came from.
fn request(report: &DumpReport, database: &str) -> LoadRequest {
    // An index hands the objects over by name.
    let mut objects = report.objects.clone();
    objects.sort_by(|one, other| one.name().cmp(other.name()));
    LoadRequest {
        database: database.as_bytes().to_vec(),
        objects,
        source: report.database.clone(),
        source_server: report.server.clone(),
        selection: LoadSelection::Everything,
        tag: "0a1b2c".to_owned(),
        exact: true,
        in_place: InPlace::Never,
        invisible_keys: false,
        maintenance_value: None,
    }
}

fn load(settings: &ServerSettings, plan: &LoadPlan, target: &MemoryTarget) -> Result<LoadReport> {
    load_aside(&Host::real(), settings, plan, target, &Unwatched)
}

fn connect(server: &Server) -> Connection {
    Connection::open(&settings(server), None).unwrap()
}

fn forward(connection: &mut Connection, plan: &LoadPlan) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for step in swap_steps(plan) {
        notes.extend(step_forward(connection, plan, step)?.lines);
    }
    Ok(notes)
}

fn backward(connection: &mut Connection, plan: &LoadPlan) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for step in swap_steps(plan).into_iter().rev() {
        notes.extend(step_backward(connection, plan, step)?);
    }
    Ok(notes)
}

/// The database without what lies aside.
fn picture(server: &Server, name: &str) -> Snapshot {
    let mut connection = server.connect("").unwrap();
    let whole = database::read(&mut connection, name).unwrap();
    whole.without(|thing, _| thing.contains(" _bn0a1b2c_") || thing.contains(" _bo0a1b2c_"))
}

/// The same, with every event disabled as it is until acceptance.
fn unaccepted(picture: &Snapshot) -> Snapshot {
    picture.without(|thing, _| thing.starts_with("event "))
}

fn names(server: &Server, name: &str) -> Vec<String> {
    let listed = server.client(name, "SHOW TABLES").unwrap();
    String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect()
}

#[test]
fn a_restore_goes_forward_back_forward_and_ends() {
    for_each_server(&ServerOptions::default(), |server| {
        let shop = fixtures::two_states(server);
        let plan = plan_load(&settings(server), &request(&shop.report, "shop")).unwrap();
        let report = load(&settings(server), &plan, &shop.target).unwrap();
        assert_eq!(report.lines, Vec::<String>::new());
        assert_same(&picture(server, "shop"), &shop.old);
        // A second load finds everything there, and changes nothing.
        assert_eq!(load(&settings(server), &plan, &shop.target).unwrap().tables.len(), report.tables.len());
        let mut connection = connect(server);
        for _ in 0..2 {
            assert_eq!(forward(&mut connection, &plan).unwrap(), Vec::<String>::new());
            assert_same(&unaccepted(&picture(server, "shop")), &unaccepted(&shop.new));
            assert!(load(&settings(server), &plan, &shop.target).is_err(), "a load would hit the swap");
            assert_eq!(backward(&mut connection, &plan).unwrap(), Vec::<String>::new());
            assert_same(&picture(server, "shop"), &shop.old);
            assert_same(&picture(server, "other"), &shop.other);
        }
        forward(&mut connection, &plan).unwrap();
        accept(&mut connection, &plan).unwrap();
        accept(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "shop"), &shop.new);
        assert_same(&picture(server, "other"), &shop.other);
        assert!(!names(server, "shop").iter().any(|name| name.starts_with("_b")), "something lies aside");
        assert!(backward(&mut connection, &plan).is_err(), "an undo after acceptance");
        assert_same(&picture(server, "shop"), &shop.new);
    });
}

#[test]
fn a_load_that_is_given_up_leaves_nothing() {
    for_each_server(&ServerOptions::default(), |server| {
        let shop = fixtures::two_states(server);
        let plan = plan_load(&settings(server), &request(&shop.report, "shop")).unwrap();
        let broken = MemoryTarget { frames: shop.target.frames.lock().unwrap().clone().into() };
        let last =
            broken.frames.lock().unwrap().iter().rposition(|frame| frame.starts_with(b"INSERT")).unwrap();
        let cut = broken.frames.lock().unwrap()[last].len() / 2;
        broken.frames.lock().unwrap()[last].truncate(cut);
        load(&settings(server), &plan, &broken).unwrap_err();
        assert_same(&picture(server, "shop"), &shop.old);
        // The next attempt makes up for it, and then nothing is left.
        load(&settings(server), &plan, &shop.target).unwrap();
        discard_aside(&settings(server), &plan).unwrap();
        discard_aside(&settings(server), &plan).unwrap();
        assert_same(&picture(server, "shop"), &shop.old);
        assert!(!names(server, "shop").iter().any(|name| name.starts_with("_b")));
        let dumped = dump_with(&settings(server), &DumpRequest::whole("shop")).unwrap().0;
        assert_eq!(dumped.problems, []);
    });
}
