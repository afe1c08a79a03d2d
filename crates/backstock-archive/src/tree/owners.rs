//! Names of owners, from the machine's own lists, so that another machine can find the same accounts by name.

use std::collections::HashMap;
use std::path::Path;

/// Lists longer than this are not read: then numbers alone are kept.
const LIST_LIMIT_BYTES: u64 = 16 << 20;

/// Names of users and groups by number.
#[derive(Debug, Default, Clone)]
pub(crate) struct Owners {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Owners {
    /// Reads the machine's lists. What cannot be read is left out: the numbers are what counts.
    pub(crate) fn of_this_machine() -> Self {
        Self { users: read(Path::new("/etc/passwd")), groups: read(Path::new("/etc/group")) }
    }

    /// A user's name.
    pub(crate) fn user(&self, uid: u32) -> Option<&String> {
        self.users.get(&uid)
    }

    /// A group's name.
    pub(crate) fn group(&self, gid: u32) -> Option<&String> {
        self.groups.get(&gid)
    }
}

fn read(path: &Path) -> HashMap<u32, String> {
    let is_short = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() <= LIST_LIMIT_BYTES);
    let text = if is_short { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    parse(&text)
}

/// `name:password:number:…`, one a line; the first name of a number counts.
fn parse(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (name, number) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        if let (false, Ok(number)) = (name.is_empty(), number.parse()) {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts() {
        let names = parse("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nwww:x:33:\nbroken\n:x:5:\n");
        assert_eq!(names.get(&0).map(String::as_str), Some("root"));
        assert_eq!(names.get(&33).map(String::as_str), Some("www"));
        assert_eq!(names.len(), 2);
    }
}
