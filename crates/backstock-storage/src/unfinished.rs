//! Names of uploads under way, for kinds that write beside the final name and rename: no object has such a name.

use backstock_host::hex;

use crate::ObjectName;

/// What the name of an unfinished upload ends with.
const UNFINISHED: &str = ".uploading";
/// Bytes of the hash in the name: enough to tell the contents apart that one name is tried with.
const MARK_BYTES: usize = 4;

/// The name beside an object under which these bytes are uploaded. It is the same at each try, so that a later one finds
/// what an earlier one has left.
pub(crate) fn beside(name: &ObjectName, sha256: &[u8; 32]) -> String {
    let mark = hex::encode(&sha256[..MARK_BYTES]);
    let folder = name.folder().map(|folder| format!("{folder}/")).unwrap_or_default();
    format!("{folder}.{}.{mark}{UNFINISHED}", name.last_step())
}

/// Whether a step is the name of an upload under way.
pub(crate) fn is_unfinished(step: &str) -> bool {
    step.starts_with('.') && step.ends_with(UNFINISHED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_lies_beside_its_object_and_is_none() {
        for text in ["a", "shop/db/db.sql.zst"] {
            let name = ObjectName::new(text).unwrap();
            let beside = beside(&name, &[0xab; 32]);
            assert!(is_unfinished(beside.rsplit('/').next().unwrap()), "{beside}");
            assert!(ObjectName::new(&beside).is_err());
            assert!(beside.ends_with(".abababab.uploading"));
        }
        let longest = ObjectName::new(&"a".repeat(200)).unwrap();
        assert!(beside(&longest, &[0; 32]).len() <= 255);
    }
}
