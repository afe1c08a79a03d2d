//! `[[set.destination]]`: where else the backups of a set go, as the file says it.

use backstock_operations::{ByteRate, Hours, Limits, NewDestination};
use serde::{Deserialize, Deserializer};

/// One `[[set.destination]]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationTable {
    /// The title of its storage.
    storage: String,
    /// The folder in that storage below which the set has its own.
    #[serde(default)]
    path: String,
    /// How many backups are kept there, if not what the policy says.
    copies: Option<u32>,
    /// The most that may go there in a second, as in `"5 MB"`.
    #[serde(default, deserialize_with = "rate")]
    limit: Option<ByteRate>,
    /// The hours in which it may be sent to, as in `"22:00-06:00"`.
    hours: Option<Hours>,
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteRate>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

impl DestinationTable {
    pub(super) fn destination(&self) -> NewDestination {
        NewDestination {
            storage: self.storage.clone(),
            path: self.path.clone(),
            copies: self.copies,
            limits: Limits { bytes_per_second: self.limit, hours: self.hours },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Configuration;

    #[test]
    fn a_set_may_say_where_its_backups_go() {
        let text = "[[set]]\ntitle = \"acme\"\n[[set.destination]]\nstorage = \"offsite\"\npath = \"shops\"\ncopies = 3\n\
                    limit = \"5 MB\"\nhours = \"22:00-06:00\"\n[[set.destination]]\nstorage = \"disk\"\n\
                    [[set]]\ntitle = \"alone\"\ndestination = []\n[[set]]\ntitle = \"other\"\n";
        let configuration: Configuration = toml::from_str(text).unwrap();
        let acme = configuration.destinations(None, "acme").unwrap();
        let titles: Vec<&str> = acme.iter().map(|destination| destination.storage.as_str()).collect();
        assert_eq!((titles, acme[0].copies, acme[1].copies), (vec!["offsite", "disk"], Some(3), None));
        assert_eq!(acme[0].limits.bytes_per_second.unwrap().bytes(), 5_000_000);
        assert_eq!(acme[0].limits.hours.unwrap().to_string(), "22:00-06:00");
        assert_eq!(configuration.destinations(None, "alone").map(|none| none.len()), Some(0));
        assert!(configuration.destinations(None, "other").is_none(), "the catalog says it");
        for wrong in ["limit = \"1 B\"", "hours = \"25:00-26:00\"", "copy = 3"] {
            let text = format!("[[set]]\ntitle = \"acme\"\n[[set.destination]]\nstorage = \"disk\"\n{wrong}");
            assert!(toml::from_str::<Configuration>(&text).is_err(), "{wrong}");
        }
    }
}
