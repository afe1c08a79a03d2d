//! The torture database through dump, load aside and swap: onto itself and back, and into a database of another name.

use backstock_testbed::torture_database::{self, Survives};

use super::ways::Notes;
use super::*;

/// Loads with a watch on how: every row of every table must fit the way in bulk.
fn load_in_bulk(server: &Server, plan: &LoadPlan, target: &MemoryTarget) {
    let notes = Notes::default();
    load_aside(&Host::real(), &settings(server), plan, target, &notes).unwrap();
    assert_eq!(notes.taken(), Vec::<String>::new(), "{}", server.kind().name());
}

#[test]
fn the_torture_database_comes_back_through_our_own_load() {
    for_each_server(&ServerOptions::default(), |server| {
        torture_database::build(server, "torture", Survives::OwnRestore).unwrap();
        let before = picture(server, "torture");
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("torture")).unwrap();
        let mut connection = connect(server);
        let plan = plan_load(&settings(server), &request(&report, "torture")).unwrap();
        load_in_bulk(server, &plan, &target);
        assert_same(&picture(server, "torture"), &before);
        forward(&mut connection, &plan).unwrap();
        assert_same(&unaccepted(&picture(server, "torture")), &unaccepted(&before));
        backward(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "torture"), &before);
        forward(&mut connection, &plan).unwrap();
        accept(&mut connection, &plan).unwrap();
        assert_same(&picture(server, "torture"), &before);
    });
}

#[test]
fn the_torture_database_comes_back_where_nothing_goes_in_bulk() {
    for_each_server(&ServerOptions::default(), |server| {
        torture_database::build(server, "torture", Survives::OwnRestore).unwrap();
        // Rows whose literals are larger than a packet have no other way in.
        let large = "SET GLOBAL local_infile=0; DROP TABLE c19_large, c20_hex, c21_row";
        server.client("torture", large).unwrap();
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("torture")).unwrap();
        let plan = plan_load(&settings(server), &request(&report, "torture")).unwrap();
        let before = ways::loads(server);
        let loaded = load(&settings(server), &plan, &target).unwrap();
        let tables = super::super::super::dump::tests::tables(&report).count();
        assert_eq!((loaded.tables.len(), ways::loads(server) - before), (tables, 0));
    });
}
