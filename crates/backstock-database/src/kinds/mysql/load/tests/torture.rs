//! The torture database through dump, load aside and swap: onto itself and back, and into a database of another name.

use backstock_testbed::torture_database::{self, Survives};

use super::*;

#[test]
fn the_torture_database_comes_back_through_our_own_load() {
    for_each_server(&ServerOptions::default(), |server| {
        torture_database::build(server, "torture", Survives::OwnRestore).unwrap();
        let before = picture(server, "torture");
        let (report, target) = dump_with(&settings(server), &DumpRequest::whole("torture")).unwrap();
        let mut connection = connect(server);
        let plan = plan_load(&settings(server), &request(&report, "torture")).unwrap();
        load(&settings(server), &plan, &target).unwrap();
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
