//! What no dump can do without: reading every row from the socket and hashing it, and compressing and hashing the text.

use std::error::Error;
use std::io;
use std::sync::Mutex;
use std::time::Instant;

use backstock_archive::artifact::{ArtifactWriter, Storing};
use backstock_database::{
    Checksum, Connection, DumpRequest, DumpSink, DumpTarget, RowHash, Unwatched, list_tables,
    prepare_to_read, quote_name,
};
use backstock_host::Host;
use tempfile::TempDir;

use super::sink::Totals;
use super::{Arguments, cpu_s, tell};

/// Keeps every frame.
#[derive(Default)]
struct Kept(Mutex<Vec<Vec<u8>>>);

struct KeptSink<'a>(&'a Kept);

impl DumpTarget for Kept {
    fn begin(&self, _attempt: u32) -> io::Result<Box<dyn DumpSink + '_>> {
        Ok(Box::new(KeptSink(self)))
    }
}

impl DumpSink for KeptSink<'_> {
    fn buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    fn frame(&self, text: Vec<u8>) -> io::Result<u64> {
        let mut frames = self.0.0.lock().map_err(|_| io::ErrorKind::Other)?;
        frames.push(text);
        Ok(frames.len() as u64 - 1)
    }
}

/// Tells both halves one after the other. The text is kept in memory between them.
pub(super) fn measure(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let kept = Kept::default();
    let request = DumpRequest::whole(arguments.database.clone());
    backstock_database::dump(&Host::real(), &arguments.settings(), &request, &kept, &Unwatched)?;
    let frames = kept.0.into_inner()?;
    let now = || (Instant::now(), cpu_s(std::process::id()), arguments.server.map_or(0.0, cpu_s));
    let since = now();
    let totals = read(arguments)?;
    tell("floor: read and hash rows", arguments, &totals, since);
    let Some(options) = arguments.options() else { return Ok(()) };
    let folder = TempDir::new()?;
    let since = now();
    let writer = ArtifactWriter::create(&Host::real(), folder.path(), "db.sql", &options)?;
    for frame in frames {
        writer.frame(frame, Storing::Compress)?;
    }
    let artifact = writer.finish()?;
    let totals =
        Totals { rows: 0, text_bytes: artifact.plaintext_bytes, stored_bytes: artifact.stored_bytes };
    tell("floor: compress and hash", arguments, &totals, since);
    Ok(())
}

/// Reads every row of every table over one connection and hashes it as it lies there, since the format wants a checksum of
/// each table's rows; looks at nothing else.
fn read(arguments: &Arguments) -> Result<Totals, Box<dyn Error>> {
    let settings = arguments.settings();
    let mut connection = Connection::open(&settings, Some(arguments.database.as_bytes()))?;
    prepare_to_read(&mut connection)?;
    let mut totals = Totals::default();
    let mut checksum = Checksum::of_none(RowHash::default());
    for table in list_tables(&settings, arguments.database.as_bytes())? {
        if table.engine.is_empty() {
            continue;
        }
        let sql = [b"SELECT * FROM ".as_slice(), &quote_name(table.name.as_bytes())].concat();
        let mut rows = connection.query_streaming(&sql)?;
        while let Some(row) = rows.next()? {
            totals.rows += 1;
            totals.text_bytes += row.bytes().len() as u64;
            checksum.add_row(row.bytes());
        }
    }
    std::hint::black_box(checksum);
    Ok(totals)
}
