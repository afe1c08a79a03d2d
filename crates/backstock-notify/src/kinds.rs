//! Every kind of notifier, in the order in which the screens show them.

mod email;

use std::sync::Arc;

use backstock_host::{Field, Host, settings};
use schemars::Schema;

use crate::{Notifier, Result};

/// One kind of notifier, as it describes itself.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name in settings; it never changes.
    pub name: &'static str,
    /// Its title on screens.
    pub title: &'static str,
    /// What it needs to know, as JSON Schema.
    pub schema: fn() -> Schema,
    /// Opens one with settings in JSON, secrets among them.
    pub open: fn(&Host, &serde_json::Value) -> Result<Arc<dyn Notifier>>,
}

impl Kind {
    /// What it needs to know, setting by setting.
    pub fn fields(&self) -> Vec<Field> {
        settings::fields(&(self.schema)())
    }
}

/// Every kind of notifier.
pub const KINDS: &[Kind] = &[email::KIND];

/// Which kind of notifier, and its settings as that kind reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierSettings {
    /// A name in [`KINDS`].
    pub kind: String,
    /// What the kind needs to know, secrets among them: for memory alone.
    pub settings: serde_json::Value,
}

pub(crate) fn known() -> String {
    KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_every_kind_is_explained() {
        for kind in KINDS {
            for field in kind.fields() {
                assert!(field.help.ends_with('.'), "{}: {field:?}", kind.name);
                assert!(!field.takes.is_empty() || !field.words.is_empty(), "{}: {field:?}", kind.name);
            }
        }
    }

    #[test]
    fn an_unknown_kind_names_the_known_ones() {
        let settings = NotifierSettings { kind: "pigeon".into(), settings: serde_json::Value::Null };
        let error = crate::open(&Host::real(), &settings).unwrap_err();
        assert_eq!(error.to_string(), "there is no kind of notifier called \"pigeon\"; known are: email");
    }
}
