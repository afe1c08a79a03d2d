//! One point in time for several connections: every table is locked for reading by a control connection for about a
//! millisecond, in which the others begin their snapshots. A lock that is not to be had at once is given up, so that
//! the shop never waits for it.

use std::time::{Duration, Instant};

use super::connection::{Connection, Vendor};
use super::sql::quote_name;
use crate::error::{Error, Result};
use crate::raw_text::RawText;

/// Begins a transaction whose reads all show this moment.
pub(crate) const BEGIN: &[u8] = b"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// The locks are dropped after this time, whatever has been reached.
const LOCK_LIMIT: Duration = Duration::from_millis(1500);

/// More tables than this are not locked together: to get the lock on each takes up to 0.2 ms (MySQL), and those that
/// are locked first keep their writers waiting meanwhile.
const LOCKED_TABLES_LIMIT: usize = 2000;

/// Pauses between tries. MariaDB gives a lock at once or refuses, so its tries cost the shop nothing; a try on MySQL
/// may hold up writers of tables already locked for up to a second.
const MARIADB_PAUSES: [u64; 12] = [50, 70, 100, 130, 170, 210, 270, 340, 420, 530, 670, 840];
const MYSQL_PAUSES: [u64; 5] = [700, 1500, 3000, 5000, 8000];

/// How the connections came to one point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Point {
    /// All of them share it.
    Shared,
    /// The account may not lock tables.
    NotAllowed,
    /// The tables were never free, or locking failed otherwise.
    NotReached(String),
}

/// Begins the snapshots of all readers at one moment. `while_locked` runs in between, on the connection that holds
/// the locks, and must take far less than a second.
pub(crate) fn share(
    control: &mut Connection,
    readers: &mut [Connection],
    tables: &[RawText],
    mut while_locked: impl FnMut(&mut Connection, &mut [Connection]) -> Result<()>,
) -> Result<Point> {
    if tables.is_empty() {
        readers.iter_mut().try_for_each(|reader| reader.execute(BEGIN).map(drop))?;
        return Ok(Point::Shared);
    }
    if tables.len() > LOCKED_TABLES_LIMIT {
        return Ok(Point::NotReached(format!("too many tables to lock at once: {}", tables.len())));
    }
    let (sql, pauses) = lock_statement(control.vendor(), tables);
    control.execute(b"SET lock_wait_timeout=1")?;
    let mut why = String::new();
    for pause_ms in pauses {
        match control.execute(&sql) {
            Ok(_) => {
                let locked = Instant::now();
                let begun = begin_all(readers, locked).and_then(|()| while_locked(control, readers));
                control.execute(b"UNLOCK TABLES")?;
                begun?;
                if locked.elapsed() < LOCK_LIMIT {
                    control.execute(b"SET lock_wait_timeout=10")?;
                    return Ok(Point::Shared);
                }
                why = "the snapshots took too long to begin".to_owned();
                for reader in readers.iter_mut() {
                    reader.execute(b"ROLLBACK")?;
                }
            }
            Err(Error::Statement { source, .. }) if matches!(source.code, 1044 | 1142) => {
                return Ok(Point::NotAllowed);
            }
            Err(Error::Statement { source, .. })
                if matches!(source.code, 1205 | 1213 | 1317 | 1969 | 3024) =>
            {
                why = "the tables were in use by transactions all the time".to_owned();
            }
            Err(Error::Statement { source, .. }) => return Ok(Point::NotReached(source.to_string())),
            Err(error) => return Err(error),
        }
        std::thread::sleep(Duration::from_millis(*pause_ms));
    }
    Ok(Point::NotReached(why))
}

fn begin_all(readers: &mut [Connection], locked: Instant) -> Result<()> {
    for reader in readers {
        // A reader that hangs must not keep the tables locked.
        reader
            .set_timeout(Some(LOCK_LIMIT.saturating_sub(locked.elapsed()).max(Duration::from_millis(10))))?;
        reader.execute(BEGIN)?;
        reader.set_timeout(None)?;
    }
    Ok(())
}

fn lock_statement(vendor: Vendor, tables: &[RawText]) -> (Vec<u8>, &'static [u64]) {
    let names: Vec<Vec<u8>> =
        tables.iter().map(|name| [quote_name(name).as_slice(), b" READ"].concat()).collect();
    let list = [b"LOCK TABLES ".as_slice(), &names.join(&b", "[..])].concat();
    match vendor {
        Vendor::MariaDb => ([list.as_slice(), b" NOWAIT"].concat(), &MARIADB_PAUSES),
        Vendor::MySql => (list, &MYSQL_PAUSES),
    }
}
