//! Dumps made by others: the splitter of statements, the list of what may stand in a file, rows value by value.

use std::io::{self, Read};

use backstock_database::{
    ForeignRequest, ForeignSource, ForeignTrust, Vendor, Version, scan_foreign_offline,
};

/// A file in memory, given out in pieces.
struct Pieces<'a> {
    rest: &'a [u8],
    piece_bytes: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.rest.len().min(buffer.len()).min(self.piece_bytes);
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

struct File<'a> {
    text: &'a [u8],
    piece_bytes: usize,
}

impl ForeignSource for File<'_> {
    fn files(&self) -> Vec<String> {
        vec!["dump.sql".to_owned()]
    }

    fn open(&self, _: usize) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(Pieces { rest: self.text, piece_bytes: self.piece_bytes }))
    }
}

/// Any text as a dump, behind a byte that chooses the server and how far the file is trusted. Whatever its pieces, it is
/// read alike; what a stranger's file may hold, the owner's may too.
pub(crate) fn dump(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    let (vendor, version) = match choice & 1 {
        0 => (Vendor::MariaDb, Version(10, 11, 6)),
        _ => (Vendor::MySql, Version(9, 7, 0)),
    };
    let read = |trust, piece_bytes| {
        let request = ForeignRequest { database: b"shop".to_vec(), trust, from_database: None };
        scan_foreign_offline(vendor, version, &request, &File { text, piece_bytes })
    };
    let trust = if choice & 2 == 0 { ForeignTrust::ChosenByOwner } else { ForeignTrust::Uploaded };
    let whole = read(trust, usize::MAX);
    if let Ok(plan) = &whole {
        let limit = text.len() as u64;
        assert!(plan.rows <= limit && plan.statements <= limit, "more rows or statements than bytes");
    }
    let is_plain = whole.as_ref().is_ok_and(|plan| plan.skipped.is_empty());
    match (whole, read(trust, 7)) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(whole.objects, pieces.objects);
            assert_eq!(whole.skipped, pieces.skipped);
            assert_eq!((whole.rows, whole.statements), (pieces.rows, pieces.statements));
        }
        (Err(whole), Err(pieces)) => assert_eq!(whole.to_string(), pieces.to_string()),
        (whole, pieces) => panic!("whole: {whole:?}, in pieces: {pieces:?}"),
    }
    if trust == ForeignTrust::Uploaded && is_plain {
        assert!(read(ForeignTrust::ChosenByOwner, usize::MAX).is_ok(), "strangers may more than owners");
    }
}
