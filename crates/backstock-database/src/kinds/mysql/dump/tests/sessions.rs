//! Servers that are set up in awkward ways, sessions that are cut short, and a slow place to write to.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backstock_host::Host;
use backstock_testbed::torture_database::{self, Survives};
use backstock_testbed::{Server, ServerKind, ServerOptions, assert_same, database};

use super::{MemoryTarget, check_records, dump, dump_with, essence, settings, settings_of, table};
use crate::Connection;
use crate::dump::{DumpPhase, DumpRequest, DumpSink, DumpTarget};
use crate::monitor::{DatabaseMonitor, Unwatched};
use crate::raw_text::RawText;
use crate::settings::{Address, ServerIdentity, ServerSettings, Tls};

/// Global settings that change what an unprepared session reads, each with the cases that it would damage.
const CONFIGURATIONS: &[&[&str]] = &[
    &["sql_mode='ANSI,PAD_CHAR_TO_FULL_LENGTH'", "sql_select_limit=2", "time_zone='+05:30'"],
    &["sql_mode='NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE'", "init_connect='SET sql_select_limit=1'"],
    &["sql_mode='TRADITIONAL'", "sql_quote_show_create=0", "autocommit=0", "max_join_size=3"],
];

#[test]
fn the_settings_of_a_server_change_nothing() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        let quick = |case: &torture_database::Case| {
            case.survives == Survives::StockClient && !["C23", "C24"].contains(&case.number)
        };
        torture_database::build_cases(&server, "torture", quick).unwrap();
        server.client("", "CREATE USER plain IDENTIFIED BY 'p'; GRANT ALL ON torture.* TO plain;").unwrap();
        let before = database::read(&mut server.connect("").unwrap(), "torture").unwrap();
        let (expected, _) = dump_with(&settings(&server), &DumpRequest::whole("torture")).unwrap();
        for configuration in CONFIGURATIONS {
            for assignment in *configuration {
                server.client("", format!("SET GLOBAL {assignment};")).unwrap();
            }
            // `init_connect` does not run for root.
            let plain = settings_of(&server, "plain", "p");
            let (report, _) = dump_with(&plain, &DumpRequest::whole("torture")).unwrap();
            assert_eq!(report.rows, expected.rows, "{kind:?} {configuration:?}");
            assert_eq!(essence(&report), essence(&expected), "{kind:?} {configuration:?}");
            let reset = "SET GLOBAL sql_mode=DEFAULT, sql_select_limit=DEFAULT, time_zone=DEFAULT, init_connect='', \
                         sql_quote_show_create=1, autocommit=1, max_join_size=DEFAULT;";
            server.client("", format!("SET sql_select_limit=DEFAULT; {reset}")).unwrap();
        }
        let after = database::read(&mut server.connect("").unwrap(), "torture").unwrap();
        assert_same(&before, &after);
    }
}

/// Kills the reading connection of the first attempt in the middle of a table (F33).
struct Killer<'a> {
    server: &'a Server,
    attempts: AtomicU32,
    killed: AtomicU32,
}

impl DatabaseMonitor<DumpPhase> for Killer<'_> {
    fn phase(&self, phase: DumpPhase) {
        if phase == DumpPhase::Prepare {
            self.attempts.fetch_add(1, Ordering::SeqCst);
        }
    }
    fn expected(&self, _: u64, _: u64, _: u64) {}
    fn table_started(&self, _: &RawText, _: u64) {}
    fn rows(&self, name: &RawText, _: u64, _: u64) {
        if self.attempts.load(Ordering::SeqCst) == 1
            && name.as_bytes() == b"big"
            && self.killed.fetch_add(1, Ordering::SeqCst) == 1
        {
            let mut admin = Connection::open(&settings(self.server), None).unwrap();
            let list = admin.query(b"SHOW FULL PROCESSLIST").unwrap();
            for row in 0..list.rows.len() {
                if list.get(row, "Info").is_some_and(|sql| sql.windows(10).any(|part| part == b"FROM `big`"))
                {
                    let id = String::from_utf8(list.get(row, "Id").unwrap().to_vec()).unwrap();
                    admin.execute(format!("KILL {id}").as_bytes()).unwrap();
                }
            }
        }
    }
    fn table_finished(&self, _: &RawText, _: u64) {}
    fn note(&self, _: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn big_table(server: &Server) {
    server
        .client(
            "",
            "CREATE DATABASE shop; USE shop;\n\
             CREATE TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(1000));\n\
             INSERT INTO big (v) VALUES (REPEAT('abcdefghij', 90)), (REPEAT('klmnopqrst', 90));\n\
             INSERT INTO big (v) SELECT a.v FROM big a, big b, big c, big d, big e, big f;\n\
             INSERT INTO big (v) SELECT a.v FROM big a, big b, big c LIMIT 40000;\n",
        )
        .unwrap();
}

#[test]
fn a_killed_connection_starts_the_dump_anew_and_never_mixes_snapshots() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let Some(server) = Server::for_test(kind, &ServerOptions::default()) else { continue };
        big_table(&server);
        let monitor = Killer { server: &server, attempts: AtomicU32::new(0), killed: AtomicU32::new(0) };
        let target = MemoryTarget::default();
        let report =
            dump(&Host::real(), &settings(&server), &DumpRequest::whole("shop"), &target, &monitor).unwrap();
        assert!(monitor.killed.load(Ordering::SeqCst) > 1, "the kill came too late");
        assert_eq!(report.attempts, 2, "{kind:?}");
        assert_eq!(report.rows, table(&report, "big").row_count);
        check_records(&server, "shop", &report, &target);
    }
}

/// Takes its time, as a full disk queue would (F35).
struct SlowTarget(MemoryTarget, AtomicU32);

struct SlowSink<'a>(Box<dyn DumpSink + 'a>, &'a AtomicU32);

impl DumpTarget for SlowTarget {
    fn begin(&self, attempt: u32) -> io::Result<Box<dyn DumpSink + '_>> {
        Ok(Box::new(SlowSink(self.0.begin(attempt)?, &self.1)))
    }
}

impl DumpSink for SlowSink<'_> {
    fn buffer(&self) -> Vec<u8> {
        self.0.buffer()
    }
    fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
        if self.1.fetch_add(1, Ordering::SeqCst) == 3 {
            std::thread::sleep(Duration::from_secs(5));
        }
        self.0.frame(text)
    }
}

#[test]
fn a_slow_place_to_write_to_does_not_make_the_server_hang_up() {
    let options = ServerOptions::with(&["--net-write-timeout=2", "--max-allowed-packet=1M"]);
    let Some(server) = Server::for_test(ServerKind::MariaDb, &options) else { return };
    big_table(&server);
    let target = SlowTarget(MemoryTarget::default(), AtomicU32::new(0));
    let report =
        dump(&Host::real(), &settings(&server), &DumpRequest::whole("shop"), &target, &Unwatched).unwrap();
    assert_eq!((report.attempts, report.rows), (1, 40_066));
    // The same server's smallest usual packet takes every statement.
    server.client("", "CREATE DATABASE back").unwrap();
    server.client("back", target.0.text()).unwrap();
    let rows = server.client("back", "SELECT COUNT(*) FROM big").unwrap();
    assert!(String::from_utf8(rows).unwrap().contains("40066"));
}

/// Every way to log in that a shop may use, over the socket and over loopback TCP.
#[test]
fn accounts_log_in_by_each_method() {
    for kind in ServerKind::KINDS {
        let options = ServerOptions { tcp: true, ..ServerOptions::default() };
        let Some(server) = Server::for_test(kind, &options) else { continue };
        let methods: &[&str] = match kind {
            ServerKind::MySql => &["caching_sha2_password BY 'pä ss'", "sha256_password BY 'pä ss'"],
            _ => &["mysql_native_password USING PASSWORD('pä ss')", "ed25519 USING PASSWORD('pä ss')"],
        };
        let tcp = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port().unwrap() };
        for (number, method) in methods.iter().enumerate() {
            if method.starts_with("ed25519") && server.client("", "INSTALL SONAME 'auth_ed25519';").is_err() {
                continue;
            }
            let user = format!("user{number}");
            let create = if kind.is_mysql() {
                server.client("", format!("CREATE USER {user} IDENTIFIED WITH {method};"))
            } else {
                server.client("", format!("CREATE USER {user} IDENTIFIED VIA {method};"))
            };
            create.unwrap();
            let by_socket = settings_of(&server, &user, "pä ss");
            let by_tcp = ServerSettings { address: tcp.clone(), ..by_socket.clone() };
            // Twice: the second time the server may have the password in its cache.
            for settings in [&by_tcp, &by_socket, &by_tcp] {
                let mut connection = Connection::open(settings, None).unwrap();
                assert_eq!(connection.query(b"SELECT 1").unwrap().single(), Some(b"1".as_slice()));
            }
            let wrong = Connection::open(&settings_of(&server, &user, "wrong"), None).unwrap_err();
            assert_eq!(wrong.code(), Some(1045), "{kind:?} {method}: {wrong}");
        }
    }
}

/// Encryption is used where it is offered, refused where the server is another one, and never left out when required.
#[test]
fn a_connection_is_encrypted_as_asked() {
    let options = ServerOptions { tcp: true, ..ServerOptions::default() };
    let Some(server) = Server::for_test(ServerKind::MySql, &options) else { return };
    server
        .client("", "CREATE DATABASE d; CREATE USER u IDENTIFIED BY 'p' REQUIRE SSL; GRANT ALL ON d.* TO u;")
        .unwrap();
    let address = Address::Tcp { host: "127.0.0.1".to_owned(), port: server.port().unwrap() };
    let open = |tls: Tls| {
        Connection::open(
            &ServerSettings { address: address.clone(), tls, ..settings_of(&server, "u", "p") },
            Some(b"d"),
        )
    };
    assert_eq!(open(Tls::Off).unwrap_err().code(), Some(1045));
    let mut connection = open(Tls::IfOffered).unwrap();
    assert!(connection.transport().contains("not checked"));
    // MySQL takes the database's flag from the request for encryption alone.
    assert_eq!(connection.query(b"SELECT DATABASE()").unwrap().single(), Some(b"d".as_slice()));
    let cipher = connection.query(b"SHOW STATUS LIKE 'Ssl_cipher'").unwrap();
    assert!(cipher.rows[0][1].as_ref().is_some_and(|name| !name.is_empty()));
    let pin = |pin| Tls::Require(ServerIdentity::CertificateSha256(pin));
    let refused = open(pin([7; 32])).unwrap_err().to_string();
    let hex = refused.rsplit("SHA-256 ").next().unwrap();
    let mut right = [0; 32];
    for (at, byte) in right.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    }
    assert_eq!(open(pin(right)).unwrap().transport(), "TLS");
    // The server's own authority did not sign for an address, so that it proves nothing about this one.
    let authority = ServerIdentity::CertificateAuthority(server.data_folder().join("ca.pem"));
    assert!(matches!(open(Tls::Require(authority)), Err(crate::Error::Encryption { .. })));
    let socket = ServerSettings { tls: pin(right), ..settings(&server) };
    assert_eq!(Connection::open(&socket, None).unwrap().transport(), "unix socket");
}

/// The owner of a schema, who is no root, can load a dump of his own with the stock client.
#[test]
fn a_plain_owner_loads_the_dump_with_the_stock_client() {
    for kind in [ServerKind::MariaDb, ServerKind::MySql] {
        let options = ServerOptions { binary_log: false, ..ServerOptions::default() };
        let Some(server) = Server::for_test(kind, &options) else { continue };
        let wanted = [
            "C01", "C06", "C08", "C10", "C15", "C23", "C35", "C37", "C39", "C43", "C48", "C50", "C58", "C60",
        ];
        torture_database::build_cases(&server, "shop", |case| wanted.contains(&case.number)).unwrap();
        server
            .client(
                "",
                "CREATE DATABASE back; CREATE USER owner IDENTIFIED BY 'p';\n\
                 GRANT ALL ON shop.* TO owner; GRANT ALL ON back.* TO owner;\n",
            )
            .unwrap();
        let own_code = "CREATE VIEW own_view AS SELECT 1 AS one;\n\
                        CREATE PROCEDURE own_procedure() SELECT ';;';\n\
                        CREATE TABLE own_table (a INT);\n\
                        CREATE TRIGGER own_trigger BEFORE INSERT ON own_table FOR EACH ROW SET NEW.a = 1;\n\
                        CREATE EVENT own_event ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1;\n";
        as_owner(&server, "shop", own_code.as_bytes());
        let before = database::read(&mut server.connect("").unwrap(), "shop").unwrap();
        let (report, target) =
            dump_with(&settings_of(&server, "owner", "p"), &DumpRequest::whole("shop")).unwrap();
        assert!(report.problems.is_empty(), "{kind:?}: {:#?}", report.problems);
        as_owner(&server, "back", &target.text());
        let after = database::read(&mut server.connect("").unwrap(), "back").unwrap();
        assert_same(&before, &after);
    }
}

fn as_owner(server: &Server, database: &str, sql: &[u8]) {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, sql).unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let output =
        server.client_command(database).args(["--user=owner", "--password=p"]).stdin(file).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {}", server.kind(), why.chars().take(2000).collect::<String>());
}

/// On a server that folds the case of names, a database is found by the name in any case.
#[test]
fn a_server_that_folds_names_gives_every_table() {
    let options = ServerOptions::with(&["--lower-case-table-names=1"]);
    let Some(server) = Server::for_test(ServerKind::MariaDb, &options) else { return };
    server
        .client("", "CREATE DATABASE Shop; USE Shop; CREATE TABLE Orders (a INT); INSERT INTO Orders VALUES (1);\n\
                     CREATE TRIGGER Tr BEFORE INSERT ON Orders FOR EACH ROW SET @a=1; CREATE VIEW Vw AS SELECT 1 AS x;\n\
                     CREATE PROCEDURE Pr() SELECT 1;\n")
        .unwrap();
    for name in ["Shop", "shop", "SHOP"] {
        let (report, _) = dump_with(&settings(&server), &DumpRequest::whole(name)).unwrap();
        assert_eq!((report.objects.len(), report.rows), (4, 1), "{name}");
    }
}

/// A server that is killed in the middle and comes back: the dump starts anew (F34).
#[test]
fn a_server_that_dies_and_comes_back_is_read_again() {
    let Some(server) = Server::for_test(ServerKind::MariaDb, &ServerOptions::default()) else { return };
    big_table(&server);
    let target = SlowTarget(MemoryTarget::default(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let dumping = scope.spawn(|| {
            dump(&Host::real(), &settings(&server), &DumpRequest::whole("shop"), &target, &Unwatched)
        });
        while target.1.load(Ordering::SeqCst) < 4 {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.kill9();
        server.restart().unwrap();
        let report = dumping.join().unwrap().unwrap();
        assert!(report.attempts > 1);
        assert_eq!(report.rows, 40_066);
        check_records(&server, "shop", &report, &target.0);
    });
}
