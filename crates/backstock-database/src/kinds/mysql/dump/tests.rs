//! The dump against real servers: what it writes is loaded by the stock client and compared through another client.

mod accounts;
mod changes;
mod limits;
mod random_changes;
mod round_trip;
mod sessions;
mod unguarded;

use std::io;
use std::sync::Mutex;

use backstock_host::Host;
use backstock_testbed::{Server, ServerKind, ServerOptions};

use super::{checksum_table, dump};
use crate::Unwatched;
use crate::dump::{DumpReport, DumpRequest, DumpSink, DumpTarget};
use crate::error::Result;
use crate::record::{Contents, DumpedObject, TableRecord};
use crate::settings::{Address, Secret, ServerSettings, Tls};

/// A dump in memory, attempt by attempt.
#[derive(Debug, Default)]
pub(crate) struct MemoryTarget {
    pub(crate) frames: Mutex<Vec<Vec<u8>>>,
}

impl DumpTarget for MemoryTarget {
    fn begin(&self, _: u32) -> io::Result<Box<dyn DumpSink + '_>> {
        self.frames.lock().unwrap().clear();
        Ok(Box::new(MemorySink(self)))
    }
}

impl MemoryTarget {
    pub(crate) fn text(&self) -> Vec<u8> {
        self.frames.lock().unwrap().concat()
    }
}

struct MemorySink<'a>(&'a MemoryTarget);

impl DumpSink for MemorySink<'_> {
    fn buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
        let mut frames = self.0.frames.lock().unwrap();
        frames.push(text);
        Ok(frames.len() as u64 - 1)
    }
}

/// Root over the socket.
pub(crate) fn settings(server: &Server) -> ServerSettings {
    ServerSettings {
        address: Address::Socket(server.socket()),
        user: "root".to_owned(),
        password: Secret::default(),
        tls: Tls::Off,
    }
}

/// Another account over the socket.
pub(crate) fn settings_of(server: &Server, user: &str, password: &str) -> ServerSettings {
    ServerSettings { user: user.to_owned(), password: Secret::new(password), ..settings(server) }
}

pub(crate) fn dump_with(
    settings: &ServerSettings,
    request: &DumpRequest,
) -> Result<(DumpReport, MemoryTarget)> {
    let target = MemoryTarget::default();
    let report = dump(&Host::real(), settings, request, &target, &Unwatched)?;
    Ok((report, target))
}

/// The three servers, each started once, one after the other.
pub(crate) fn for_each_server(options: &ServerOptions, test: impl Fn(&Server)) {
    for kind in ServerKind::KINDS {
        if let Some(server) = Server::for_test(kind, options) {
            test(&server);
        }
    }
}

pub(crate) fn tables(report: &DumpReport) -> impl Iterator<Item = &TableRecord> {
    report.objects.iter().filter_map(|object| match object {
        DumpedObject::Table(table) => Some(table),
        _ => None,
    })
}

/// What must be equal in two dumps of the same database: all but the numbers of the frames.
pub(crate) fn essence(report: &DumpReport) -> Vec<TableRecord> {
    tables(report)
        .cloned()
        .map(|mut table| {
            table.frames.clear();
            table.estimated_bytes = 0;
            table
        })
        .collect()
}

pub(crate) fn table<'a>(report: &'a DumpReport, name: &str) -> &'a TableRecord {
    tables(report).find(|table| table.name.as_bytes() == name.as_bytes()).unwrap()
}

/// Every frame's text gives the count and checksum that the record of its table has, and so does the table itself
/// when it is read again.
pub(crate) fn check_records(server: &Server, database: &str, report: &DumpReport, target: &MemoryTarget) {
    let mut connection = crate::Connection::open(&settings(server), Some(database.as_bytes())).unwrap();
    super::prepare_to_read(&mut connection).unwrap();
    let frames = target.frames.lock().unwrap();
    for table in tables(report).filter(|table| table.contents == Contents::Included) {
        for frame in &table.frames {
            let text = &frames[usize::try_from(frame.frame).unwrap()];
            let facts = super::super::sql::check_rows_frame(text, frame.checksum.row_hash()).unwrap();
            assert_eq!(
                (facts.row_count, facts.checksum),
                (frame.row_count, frame.checksum),
                "{}",
                table.name
            );
        }
        let again = checksum_table(&mut connection, table, None).unwrap();
        assert_eq!(again, (table.row_count, table.checksum), "table {} read again", table.name);
    }
}
