//! A private server of each vendor: it answers, and leaves nothing.

use backstock_testbed::programs::Programs;
use backstock_testbed::{ServerKind, TestbedError};

use super::*;
use crate::Version;

/// The folder with the programs of a server; `None` where it cannot be had.
fn folder_of(kind: ServerKind) -> Option<PathBuf> {
    match Programs::find(kind) {
        Ok(programs) => programs.server().parent().map(Path::to_owned),
        Err(TestbedError::ServerNotAvailable { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn running(folder: &Path) -> usize {
    let wanted = option("--datadir=", &folder.join("data"));
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| {
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            arguments.split(|byte| *byte == 0).any(|argument| argument == wanted.as_bytes())
        })
        .count()
}

#[test]
fn a_private_server_answers_and_leaves_no_process() {
    for kind in ServerKind::KINDS {
        let Some(programs) = folder_of(kind) else { continue };
        let vendor = if kind.is_mysql() { Vendor::MySql } else { Vendor::MariaDb };
        let programs = ServerPrograms::find(Some(&programs), vendor, Version(0, 0, 0)).unwrap();
        assert_eq!(programs.vendor, vendor);
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("server");
        let server = PrivateServer::start(programs.clone(), &folder, scratch.path(), 1, &|| false).unwrap();
        let mut connection = Connection::open(&server.settings(), None).unwrap();
        let asked =
            b"SELECT CONCAT_WS(' ', @@lower_case_table_names, @@event_scheduler, @@skip_networking + 0)";
        let told = connection.query(asked).unwrap();
        assert_eq!(crate::readable(told.single().unwrap()), "1 OFF 1");
        assert_eq!(running(&folder), 1);
        drop(server);
        assert_eq!(running(&folder), 0);
        assert!(connection.query(asked).is_err());
    }
}

#[test]
fn a_server_that_nobody_owns_any_more_is_found_by_its_folder() {
    let Some(programs) = folder_of(ServerKind::MariaDb) else { return };
    let programs = ServerPrograms::find(Some(&programs), Vendor::MariaDb, Version(0, 0, 0)).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    // Too long for a socket: it lies elsewhere then.
    let folder = scratch.path().join("x".repeat(120));
    let mut server = PrivateServer::start(programs, &folder, scratch.path(), 0, &|| false).unwrap();
    assert_eq!(server.settings().address, Address::Socket(scratch.path().join("s")));
    end_servers_of(scratch.path()).unwrap();
    assert_eq!(running(&folder), 1, "it is not that folder's");
    let child = server.child.take();
    drop(server);
    assert_eq!(running(&folder), 1);
    end_servers_of(&folder).unwrap();
    assert_eq!(running(&folder), 0);
    drop(child.map(|mut child| child.wait()));
}

#[test]
fn what_cannot_start_says_why() {
    let Some(programs) = folder_of(ServerKind::MariaDb) else { return };
    let programs = ServerPrograms::find(Some(&programs), Vendor::MariaDb, Version(0, 0, 0)).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let start = |programs: ServerPrograms, name: &str, cancelled: bool| {
        let folder = scratch.path().join(name);
        let error = PrivateServer::start(programs, &folder, scratch.path(), 0, &|| cancelled).unwrap_err();
        assert_eq!(running(&folder), 0);
        error
    };
    assert!(matches!(start(programs.clone(), "stopped", true), Error::LoadStopped { .. }));
    let without = ServerPrograms { install: None, ..programs.clone() };
    assert!(start(without, "without", false).to_string().contains("mariadb-install-db"));
    let refusing = ServerPrograms { install: Some("/bin/false".into()), ..programs };
    assert!(start(refusing, "refusing", false).to_string().contains("exit status: 1"));
}
