//! The tables whose rows a person wants to see when two states of a shop are compared: who may sign in, what is set,
//! what runs. Data only; each platform lists its own.
//!
//! Names of columns are given as words with blanks between them. A table, or a column, that a version of the
//! software does not have is passed over, so that one list serves several versions.

mod laravel;
mod magento;
mod opencart;
mod prestashop;
mod secrets;
mod woocommerce;

use serde::{Deserialize, Serialize};

use crate::layout::ShopLayout;
use crate::pattern::matches;

pub(crate) use laravel::ROWS as LARAVEL;
pub(crate) use magento::ROWS as MAGENTO;
pub(crate) use opencart::ROWS as OPENCART;
pub(crate) use prestashop::ROWS as PRESTASHOP;
pub use secrets::{is_secret_name, is_secret_value};
pub(crate) use woocommerce::ROWS as WOOCOMMERCE;

/// What a table's rows are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowGroup {
    /// Who may sign in to the back office.
    Administrators,
    /// What they may do there.
    Roles,
    /// Programs that may sign in from outside, and those that are told of events.
    Connections,
    /// Payment.
    Payments,
    /// Carriers, their zones and prices.
    Carriers,
    /// What is installed, and whether it is on.
    Modules,
    /// What is called when something happens in the shop.
    Hooks,
    /// What runs by itself.
    ScheduledJobs,
    /// All other settings.
    Settings,
}

/// What is shown of a platform's rows.
#[derive(Debug, Clone, Copy)]
pub struct PlatformRows {
    /// The tables whose rows are shown.
    pub tables: &'static [MatteringTable],
    /// Patterns of tables that change by themselves and can be made anew, besides those that a backup leaves out.
    pub noise_tables: &'static str,
}

impl PlatformRows {
    /// Nothing is known.
    pub const NONE: Self = Self { tables: &[], noise_tables: "" };
}

/// A table whose rows are shown.
#[derive(Debug, Clone, Copy)]
pub struct MatteringTable {
    /// Its name without the prefix.
    pub name: &'static str,
    /// What its rows are about.
    pub group: RowGroup,
    /// What one row is called.
    pub called: &'static str,
    key: &'static str,
    label: &'static str,
    secret: &'static str,
    noise: &'static str,
    setting: Option<NamedValues>,
    groups: &'static [(&'static str, RowGroup)],
    only: (&'static str, &'static str),
    passes_over: (&'static str, &'static str),
    only_named_by: Option<NamedBy>,
}

/// That only those rows matter which a row that matters of another table names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedBy {
    /// The column that is named.
    pub column: &'static str,
    /// The other table, without the prefix.
    pub table: &'static str,
    /// The other table's column that names it.
    pub their_column: &'static str,
}

/// That rows are settings, with a name and a value each.
#[derive(Debug, Clone, Copy)]
struct NamedValues {
    name: &'static str,
    value: &'static str,
    noise_names: &'static str,
}

impl MatteringTable {
    const fn new(name: &'static str, group: RowGroup, called: &'static str) -> Self {
        let (key, label, secret, noise) = ("", "", "", "");
        let (only, passes_over) = (("", ""), ("", ""));
        let (setting, groups, only_named_by) = (None, &[], None);
        Self {
            name,
            group,
            called,
            key,
            label,
            secret,
            noise,
            setting,
            groups,
            only,
            passes_over,
            only_named_by,
        }
    }

    /// Columns that tell rows apart, where the primary key is a number that saving anew changes.
    const fn key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// Columns by which a person knows a row.
    const fn label(self, label: &'static str) -> Self {
        Self { label, ..self }
    }

    /// Columns whose values are never shown.
    const fn secret(self, secret: &'static str) -> Self {
        Self { secret, ..self }
    }

    /// Columns that change by themselves.
    const fn noise(self, noise: &'static str) -> Self {
        Self { noise, ..self }
    }

    /// Its rows are settings: the column of the name, that of the value, and patterns of names that change by themselves.
    const fn settings(self, name: &'static str, value: &'static str, noise_names: &'static str) -> Self {
        Self { setting: Some(NamedValues { name, value, noise_names }), ..self }
    }

    /// Rows whose name fits a pattern are about something else; the first pattern decides.
    const fn groups(self, groups: &'static [(&'static str, RowGroup)]) -> Self {
        Self { groups, ..self }
    }

    /// Only rows matter whose value of a column fits one of these patterns.
    const fn only(self, column: &'static str, patterns: &'static str) -> Self {
        Self { only: (column, patterns), ..self }
    }

    /// Rows do not matter whose value of a column fits one of these patterns.
    const fn passes_over(self, column: &'static str, patterns: &'static str) -> Self {
        Self { passes_over: (column, patterns), ..self }
    }

    /// Only rows matter that a row of another table names.
    const fn only_named_by(self, named_by: NamedBy) -> Self {
        Self { only_named_by: Some(named_by), ..self }
    }

    /// The table whose rows decide which of this one's matter.
    pub fn named_by(&self) -> Option<NamedBy> {
        self.only_named_by
    }

    /// Columns that tell rows apart; none where the primary key does.
    pub fn key_columns(&self) -> impl Iterator<Item = &'static str> {
        self.key.split_whitespace()
    }

    /// Columns by which a person knows a row, the first that is there and not empty.
    pub fn label_columns(&self) -> impl Iterator<Item = &'static str> {
        self.label.split_whitespace()
    }

    /// The column that names a setting.
    pub fn name_column(&self) -> Option<&'static str> {
        self.setting.map(|setting| setting.name)
    }

    /// Whether a column changes by itself.
    pub fn is_noise_column(&self, column: &[u8]) -> bool {
        has(self.noise, column)
    }

    /// Whether a row changes by itself or does not matter, given the values of its columns.
    pub fn is_noise_row<'a>(&self, value_of: &dyn Fn(&str) -> Option<&'a [u8]>) -> bool {
        let fits = |(column, patterns): (&str, &str)| {
            value_of(column).is_some_and(|value| fits_any(patterns, value))
        };
        let changes_by_itself = self.setting.is_some_and(|setting| fits((setting.name, setting.noise_names)));
        changes_by_itself || (!self.only.0.is_empty() && !fits(self.only)) || fits(self.passes_over)
    }

    /// Whether a value must never be shown: by its column, by the name of the setting that it is, or by what it looks like.
    pub fn is_secret(&self, column: &[u8], name: Option<&[u8]>, value: &[u8]) -> bool {
        let is_value = self.setting.is_some_and(|setting| setting.value.as_bytes() == column);
        has(self.secret, column)
            || (is_value && name.is_some_and(is_secret_name))
            || (!self.is_known_as_plain(column) && is_secret_name(column))
            || is_secret_value(value)
    }

    /// Columns that name or tell rows apart are shown, whatever their names look like: `key` names a setting.
    fn is_known_as_plain(&self, column: &[u8]) -> bool {
        has(self.key, column)
            || has(self.label, column)
            || self.setting.is_some_and(|setting| {
                setting.name.as_bytes() == column || setting.value.as_bytes() == column
            })
    }

    /// What a row is about, given the name of the setting that it is.
    pub fn group_of(&self, name: Option<&[u8]>) -> RowGroup {
        let fitting = name.and_then(|name| self.groups.iter().find(|(patterns, _)| fits_any(patterns, name)));
        fitting.map_or(self.group, |(_, group)| *group)
    }
}

fn has(words: &str, column: &[u8]) -> bool {
    words.split_whitespace().any(|word| word.as_bytes() == column)
}

fn fits_any(patterns: &str, name: &[u8]) -> bool {
    patterns.split_whitespace().any(|pattern| matches(pattern.as_bytes(), name))
}

impl ShopLayout {
    /// What is known of a table's rows, if they are to be shown. Names are bytes.
    pub fn mattering_table(&self, table: &[u8]) -> Option<&'static MatteringTable> {
        let name = table.strip_prefix(self.table_prefix.as_ref()?.as_bytes())?;
        self.rows().tables.iter().find(|known| known.name.as_bytes() == name)
    }

    /// Whether a table's rows tell which rows of another one matter.
    pub fn is_naming_table(&self, table: &[u8]) -> bool {
        let named = |rules: &MatteringTable| rules.named_by().map(|named| named.table);
        let name = self.mattering_table(table).map(|rules| rules.name);
        name.is_some() && self.rows().tables.iter().any(|rules| named(rules) == name)
    }

    /// Whether a table's rows change by themselves: those that a backup leaves out by default, and some more.
    pub fn is_noise_table(&self, table: &[u8]) -> bool {
        let name = self.table_prefix.as_ref().and_then(|prefix| table.strip_prefix(prefix.as_bytes()));
        self.exclusion(table).is_some() || name.is_some_and(|name| fits_any(self.rows().noise_tables, name))
    }

    fn rows(&self) -> PlatformRows {
        crate::kinds::kind(self.platform).map_or(PlatformRows::NONE, crate::Platform::rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KINDS;

    #[test]
    fn every_list_is_sound() {
        for kind in KINDS {
            let rows = kind.rows();
            let mut names: Vec<&str> = rows.tables.iter().map(|table| table.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), rows.tables.len(), "{}: a table stands there twice", kind.name());
            for table in rows.tables {
                let words = |text: &'static str| text.split_whitespace();
                assert!(!table.called.is_empty(), "{}", table.name);
                assert!(
                    !fits_any(rows.noise_tables, table.name.as_bytes()),
                    "{} matters and is noise",
                    table.name
                );
                // A secret that tells rows apart or names them would be shown.
                let shown =
                    |word: &str| words(table.key).chain(words(table.label)).any(|shown| shown == word);
                assert!(words(table.secret).all(|word| !shown(word)), "{}", table.name);
                assert!(words(table.noise).all(|word| !shown(word)), "{}", table.name);
            }
        }
    }

    #[test]
    fn a_table_is_known_by_its_prefix() {
        let layout = |prefix: Option<&str>| ShopLayout {
            table_prefix: prefix.map(str::to_owned),
            ..ShopLayout::empty("prestashop", "PrestaShop", "/shop".into())
        };
        let name =
            |prefix, table: &str| layout(prefix).mattering_table(table.as_bytes()).map(|table| table.name);
        assert_eq!(name(Some("ps_"), "ps_employee"), Some("employee"));
        assert_eq!((name(Some("ps_"), "employee"), name(Some("ps_"), "ps_orders")), (None, None));
        assert_eq!((name(Some(""), "employee"), name(None, "employee")), (Some("employee"), None));
    }

    #[test]
    fn secrets_are_known_by_column_name_and_value() {
        let table = |name: &str| *PRESTASHOP.tables.iter().find(|table| table.name == name).unwrap();
        let employee = table("employee");
        assert!(employee.is_secret(b"passwd", None, b"x") && !employee.is_secret(b"email", None, b"a@b"));
        let configuration = table("configuration");
        let is_secret = |name: &str, value: &str| {
            configuration.is_secret(b"value", Some(name.as_bytes()), value.as_bytes())
        };
        assert!(is_secret("PS_MAIL_PASSWD", "a") && is_secret("STRIPE_SECRET_KEY", "a"));
        assert!(!is_secret("PS_SHOP_NAME", "Lamps") && is_secret("PS_SHOP_NAME", "sk_live_0123456789abcdef"));
        assert!(!configuration.is_secret(b"name", Some(b"PS_MAIL_PASSWD"), b"PS_MAIL_PASSWD"));
    }
}
