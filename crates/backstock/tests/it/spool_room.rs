//! A set that keeps nothing on this machine: its database lies in the state folder whole, and is refused before it is read where there
//! is no room. A mount of its own needs root.

use std::process::Command;

use backstock_testbed::ServerKind;
use mysql::prelude::Queryable;

use super::away::Away;
use super::harness::{Place, Run};
use super::part_of_backup::noise;
use super::plain_shop::PlainShop;
use super::sealed::every_file;

/// Runs it with a state folder on a disk of so many MiB. What changes there is gone afterwards.
fn with_state_of(place: &Place, mib: u32, arguments: &[&str]) -> Run {
    let script = r#"cp -a "$STATE" "$STATE.aside" && mount -t tmpfs -o "size=${MIB}m" none "$STATE" &&
        cp -a "$STATE.aside"/. "$STATE"/ && rm -r "$STATE.aside" || exit 99
        exec "$@""#;
    let mut through = Command::new("unshare");
    through.args(["-m", "sh", "-c", script, "sh"]).env("STATE", place.state()).env("MIB", mib.to_string());
    place.run_through(through, arguments)
}

/// A table with so many rows of 1 MiB that nothing makes shorter, or that are one byte over and over.
fn fill(shop: &PlainShop, rows: u64, is_noise: bool) {
    let mut connection = shop.server.connect("plain").unwrap();
    connection.query_drop("CREATE TABLE large (id INT PRIMARY KEY, content LONGBLOB) ENGINE=InnoDB").unwrap();
    for id in 0..rows {
        let content = if is_noise { noise(id, 1 << 20) } else { vec![b'x'; 1 << 20] };
        connection.exec_drop("INSERT INTO large VALUES (?, ?)", (id, content)).unwrap();
    }
    connection.query_drop("ANALYZE TABLE large").unwrap();
}

/// The shop, whose backups go to a storage and nowhere else.
fn shop() -> Option<(PlainShop, Away)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let (shop, ssh) = (PlainShop::new(ServerKind::MariaDb)?, Away::sftp()?);
    let root = shop.root().to_str().unwrap().to_owned();
    ssh.add(&shop.place, &root, &[]);
    shop.place.run(&["set", "local", &root, "--off"]).expect(0);
    Some((shop, ssh))
}

fn is_refused(run: Run, by: &str) {
    let words = ["the database would not fit", "bytes are needed", "are free and", by, "hint: ", "--state"];
    run.expect_error(15, &words);
}

#[test]
fn a_database_that_does_not_fit_into_the_spool_is_refused_before_it_is_read() {
    let Some((shop, ssh)) = shop() else { return };
    // What the server says of its tables is all that is known: 80 MiB, of which the dump takes at least a tenth or so.
    fill(&shop, 80, false);
    let arguments = shop.backup_arguments(&[]);
    is_refused(with_state_of(&shop.place, 70, &arguments), "by what the server says of its tables");
    assert!(shop.place.list().is_empty());
    assert!(!ssh.objects.exists() || every_file(&ssh.objects).is_empty(), "nothing was begun there");
    // Files alone need no such room, and with room it is made.
    with_state_of(&shop.place, 70, &shop.backup_arguments(&["--only", "files"])).expect(0);
    with_state_of(&shop.place, 160, &arguments).expect(0);
}

#[test]
fn what_the_last_backup_took_tells_more_than_the_server_does() {
    let Some((shop, _ssh)) = shop() else { return };
    fill(&shop, 12, true);
    let arguments = shop.backup_arguments(&[]);
    shop.back_up();
    // An eighth of the tables would fit; what the last one took does not.
    is_refused(with_state_of(&shop.place, 72, &arguments), "as the last one took");
    with_state_of(&shop.place, 120, &arguments).expect(0);
}
