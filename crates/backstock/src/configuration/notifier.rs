//! `[[notifier]]`: who is told, and how. Passwords stand in files of their own.

use std::path::Path;

use backstock_operations::{NOTIFIER_KINDS, NamedNotifier, NotifierSettings};
use serde::Deserialize;

/// A password in a file is no longer than this, in bytes.
const SECRET_LIMIT_BYTES: u64 = 64 * 1024;
/// What the name of a setting ends with that names the file of a secret.
const FILE: &str = "_file";

/// One `[[notifier]]` table.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct NotifierTable {
    /// The name that the command line takes, and messages carry.
    pub(crate) title: String,
    /// A kind of notifier: email.
    kind: String,
    /// What the kind needs to know; a secret by the name of its file, as in `password_file`.
    #[serde(flatten)]
    settings: serde_json::Map<String, serde_json::Value>,
}

impl NotifierTable {
    /// It with its secrets read.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as a sentence.
    pub(crate) fn notifier(&self) -> Result<NamedNotifier, String> {
        let title = &self.title;
        let kind = NOTIFIER_KINDS.iter().find(|kind| kind.name == self.kind);
        let kind = kind.ok_or_else(|| {
            let known: Vec<&str> = NOTIFIER_KINDS.iter().map(|kind| kind.name).collect();
            format!(
                "the notifier {title} is of no known kind: {}; known are: {}",
                self.kind,
                known.join(", ")
            )
        })?;
        let mut settings = self.settings.clone();
        for field in kind.fields().iter().filter(|field| field.is_secret) {
            if settings.contains_key(&field.name) {
                return Err(format!(
                    "the notifier {title} has its {0} in the configuration file: write it into a file of its own, and name that \
                     with {0}{FILE}",
                    field.name
                ));
            }
            let Some(file) = settings.remove(&format!("{}{FILE}", field.name)) else { continue };
            let file = file
                .as_str()
                .ok_or_else(|| format!("{}{FILE} of the notifier {title} names a file", field.name))?;
            let secret = read_secret(Path::new(file)).map_err(|error| {
                format!("the {} of the notifier {title}: reading {file}: {error}", field.name)
            })?;
            settings.insert(field.name.clone(), secret.into());
        }
        let settings = NotifierSettings { kind: self.kind.clone(), settings: settings.into() };
        Ok(NamedNotifier { title: title.clone(), settings })
    }
}

/// The first line of a file.
fn read_secret(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(file)?.take(SECRET_LIMIT_BYTES).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NamedNotifier, String> {
        toml::from_str::<NotifierTable>(text).map_err(|error| error.to_string())?.notifier()
    }

    #[test]
    fn secrets_come_from_files_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "pass word\n").unwrap();
        let text = format!(
            "title = \"owner\"\nkind = \"email\"\nhost = \"mail.example.com\"\nport = 587\nuser = \"shop\"\npassword_file = \"{}\"",
            file.display()
        );
        let notifier = read(&text).unwrap();
        assert_eq!(notifier.settings.settings["password"], "pass word");
        assert_eq!((&notifier.settings.settings["port"], notifier.title.as_str()), (&587.into(), "owner"));
        assert!(notifier.settings.settings.get("password_file").is_none());
        for (wrong, words) in [
            ("title = \"owner\"\nkind = \"email\"\npassword = \"x\"", "password_file"),
            ("title = \"owner\"\nkind = \"email\"\npassword_file = \"/nowhere/x\"", "/nowhere/x"),
            ("title = \"owner\"\nkind = \"pigeon\"", "known are: email"),
            ("kind = \"email\"", "title"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
