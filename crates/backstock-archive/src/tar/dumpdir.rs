//! The names in a folder, in the form in which GNU tar's incremental archives list them (GNU tar manual, "Dumpdir").
//!
//! Each name is one letter, the name and a zero byte; one more zero byte ends the list. `D` is a folder, `Y` anything else that
//! an archive holds. GNU tar writes `N` for what an earlier archive of the chain holds; we write `Y` for that too, since on
//! extraction the letter only decides whether a folder that is in the way of something else must go, and that has to happen
//! whatever the clock said.

use super::Malformed;

/// The keyword of the record that holds a list.
pub const KEYWORD: &[u8] = b"GNU.dumpdir";
/// The type of a member whose body is a list that is too long for a record.
pub const TYPE: u8 = b'D';
/// A longer list becomes the body of its member: readers need not take longer records.
const RECORD_LIMIT_BYTES: usize = 512 << 10;
/// A longer list is refused when it is read: some five million names.
pub const LIMIT_BYTES: u64 = 1 << 30;

/// Whether a list goes into the extended header.
pub fn fits_into_records(list: &[u8]) -> bool {
    list.len() < RECORD_LIMIT_BYTES
}

/// Appends one name.
pub fn push(list: &mut Vec<u8>, name: &[u8], is_folder: bool) {
    list.push(if is_folder { b'D' } else { b'Y' });
    list.extend_from_slice(name);
    list.push(0);
}

/// Ends the list.
pub fn end(list: &mut Vec<u8>) {
    list.push(0);
}

/// Checks that a list is one that we write.
///
/// # Errors
/// When it has other letters, an empty name or one that leads elsewhere, or no end.
pub fn check(list: &[u8]) -> Result<(), Malformed> {
    let fault = Malformed("the list of a folder");
    let names = match list {
        [0] => return Ok(()),
        [names @ .., 0, 0] => names,
        _ => return Err(fault),
    };
    for name in names.split(|byte| *byte == 0) {
        let is_plain = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/');
        match name.split_first() {
            Some((b'D' | b'Y', name)) if is_plain(name) => {}
            _ => return Err(fault),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_without_its_end_or_with_a_path_is_refused() {
        for list in [&b""[..], b"Ya\0", b"Na\0\0", b"Y\0\0", b"Y..\0\0", b"Da/b\0\0", b"Ya\0\0Yb\0\0"] {
            assert!(check(list).is_err(), "{}", list.escape_ascii());
        }
        assert!(check(b"\0").is_ok() && check(b"Ya\0Db\0\0").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_accepted(names in prop::collection::vec(("[a-z\u{e4}]{1,9}", any::<bool>()), 0..6)) {
            let mut list = Vec::new();
            for (name, is_folder) in &names {
                push(&mut list, name.as_bytes(), *is_folder);
            }
            end(&mut list);
            prop_assert!(check(&list).is_ok());
        }
    }
}
