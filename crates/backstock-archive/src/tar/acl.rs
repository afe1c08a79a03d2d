//! Access control lists: the kernel's attribute form (linux/posix_acl_xattr.h, version 2) to the text form that
//! `SCHILY.acl.*` carries (POSIX.1e draft 17, section 23.3), and back.

use super::Malformed;

/// The attribute that holds a file's access list.
pub const ACCESS: &[u8] = b"system.posix_acl_access";
/// The attribute that holds the list that new files in a folder inherit.
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

const VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;
const USER_OWNER: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OWNER: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The text form, entries separated by commas, ids as numbers: `user::rw-,user:33:r--,group::r--,mask::r--,other::---`.
pub fn to_text(attribute: &[u8]) -> Result<String, Malformed> {
    let fault = Malformed("an access control list");
    let (version, entries) = attribute.split_first_chunk::<4>().ok_or(fault)?;
    if u32::from_le_bytes(*version) != VERSION || entries.len() % 8 != 0 {
        return Err(fault);
    }
    let mut parts = Vec::new();
    for entry in entries.chunks_exact(8) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        let bits = u16::from_le_bytes([entry[2], entry[3]]);
        let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
        let who = match tag {
            USER_OWNER => "user:".to_owned(),
            USER => format!("user:{id}"),
            GROUP_OWNER => "group:".to_owned(),
            GROUP => format!("group:{id}"),
            MASK => "mask:".to_owned(),
            OTHER => "other:".to_owned(),
            _ => return Err(fault),
        };
        let letter = |bit: u16, letter: char| if bits & bit == 0 { '-' } else { letter };
        parts.push(format!("{who}:{}{}{}", letter(4, 'r'), letter(2, 'w'), letter(1, 'x')));
    }
    Ok(parts.join(","))
}

/// The attribute form of a text form that [`to_text`] wrote.
pub fn from_text(text: &str) -> Result<Vec<u8>, Malformed> {
    let fault = Malformed("an access control list");
    let mut attribute = VERSION.to_le_bytes().to_vec();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let mut fields = part.split(':');
        let (kind, name, letters) =
            (fields.next().ok_or(fault)?, fields.next().ok_or(fault)?, fields.next().ok_or(fault)?);
        let (tag, id) = match (kind, name) {
            ("user", "") => (USER_OWNER, NO_ID),
            ("user", id) => (USER, id.parse().map_err(|_| fault)?),
            ("group", "") => (GROUP_OWNER, NO_ID),
            ("group", id) => (GROUP, id.parse().map_err(|_| fault)?),
            ("mask", "") => (MASK, NO_ID),
            ("other", "") => (OTHER, NO_ID),
            _ => return Err(fault),
        };
        let mut bits = 0u16;
        for letter in letters.chars() {
            bits |= match letter {
                'r' => 4,
                'w' => 2,
                'x' => 1,
                '-' => 0,
                _ => return Err(fault),
            };
        }
        attribute.extend_from_slice(&tag.to_le_bytes());
        attribute.extend_from_slice(&bits.to_le_bytes());
        attribute.extend_from_slice(&id.to_le_bytes());
    }
    Ok(attribute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attribute_are_the_same_list() {
        let text = "user::rw-,user:33:r-x,group::r--,group:1000:---,mask::r-x,other::---";
        assert_eq!(to_text(&from_text(text).unwrap()).unwrap(), text);
    }

    #[test]
    fn other_versions_and_cut_lists_are_refused() {
        assert!(to_text(&[3, 0, 0, 0]).is_err());
        assert!(to_text(&[2, 0, 0, 0, 1, 0, 7]).is_err());
        assert!(to_text(b"").is_err());
        assert!(from_text("user:www-data:r--").is_err());
    }
}
