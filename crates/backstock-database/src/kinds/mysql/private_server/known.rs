//! What a dump's code names and a new server does not know: accounts and time zones.

use std::collections::BTreeSet;

use super::super::connection::Connection;
use super::super::sql::quote_text;
use crate::RawText;
use crate::error::{Error, Result};
use crate::record::{DumpedObject, SessionContext};

/// The first number of a time zone that is made; none of those that a server brings along.
const FIRST_ZONE: usize = 900_001;

fn context(object: &DumpedObject) -> Option<&SessionContext> {
    match object {
        DumpedObject::Routine(record) => Some(&record.context),
        DumpedObject::Trigger(record) => Some(&record.context),
        DumpedObject::View(record) => Some(&record.context),
        DumpedObject::Event(record) => Some(&record.context),
        DumpedObject::Table(_) | DumpedObject::Sequence(_) => None,
    }
}

/// Makes every account that defines something. One that the server does not take is left: what it defines then tells.
pub(super) fn accounts(connection: &mut Connection, objects: &[DumpedObject]) -> Result<()> {
    let definers: BTreeSet<&RawText> =
        objects.iter().filter_map(|object| context(object)?.definer.as_ref()).collect();
    for definer in definers.into_iter().filter(|definer| is_account(definer)) {
        let make = [b"CREATE USER IF NOT EXISTS ".as_slice(), definer].concat();
        let grant = [b"GRANT ALL ON *.* TO ".as_slice(), definer].concat();
        for statement in [make, grant] {
            match connection.execute(&statement) {
                Ok(_) | Err(Error::Statement { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Whether a definer's text is two quoted names with an @ between them, and nothing else.
fn is_account(text: &[u8]) -> bool {
    let name = |text: &[u8]| -> Option<usize> {
        let quote = *text.first().filter(|byte| matches!(byte, b'`' | b'\'' | b'"'))?;
        let mut at = 1;
        loop {
            match text.get(at)? {
                b'\\' if quote != b'`' => return None,
                byte if *byte == quote && text.get(at + 1) == Some(&quote) => at += 2,
                byte if *byte == quote => return Some(at + 1),
                _ => at += 1,
            }
        }
    };
    let Some(user) = name(text) else { return false };
    let Some(host) = text[user..].strip_prefix(b"@") else { return false };
    name(host) == Some(host.len())
}

/// Makes every named zone that the server does not know.
pub(super) fn time_zones(connection: &mut Connection, objects: &[DumpedObject]) -> Result<()> {
    let zones: BTreeSet<&str> =
        objects.iter().filter_map(|object| context(object)?.time_zone.as_deref()).collect();
    for (number, zone) in (FIRST_ZONE..).zip(zones) {
        let text = quote_text(zone.as_bytes());
        let set = [b"SET time_zone=".as_slice(), &text].concat();
        match connection.execute(&set) {
            Ok(_) => continue,
            Err(Error::Statement { .. }) => {}
            Err(error) => return Err(error),
        }
        let made = [
            format!("INSERT INTO mysql.time_zone VALUES ({number}, 'N')").into_bytes(),
            format!("INSERT INTO mysql.time_zone_transition_type VALUES ({number}, 0, 0, 0, 'UTC')")
                .into_bytes(),
            [
                b"INSERT INTO mysql.time_zone_name VALUES (".as_slice(),
                &text,
                format!(", {number})").as_bytes(),
            ]
            .concat(),
        ];
        for statement in made {
            connection.execute(&statement)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_is_taken_for_one() {
        for account in ["`owner`@`%`", "'a''b'@'localhost'", "\"x\"@`10.0.%`"] {
            assert!(is_account(account.as_bytes()), "{account}");
        }
        for other in ["", "`role`", "`a`@`b` IDENTIFIED BY 'x'", "`a`@`b", "a@b", "'a\\'@'b'", "CURRENT_USER"]
        {
            assert!(!is_account(other.as_bytes()), "{other}");
        }
    }
}
