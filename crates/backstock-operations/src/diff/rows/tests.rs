//! Rows of one table on two sides: what is told of them, against a comparison that looks every row up.

use std::collections::BTreeMap;

use backstock_database::{Checksum, ColumnRecord, Contents, DefinitionSpans, LiteralForm};
use backstock_platform::{MatteringTable, ShopLayout};
use proptest::prelude::*;

use super::super::difference::Difference;
use super::*;

/// Rows in memory.
struct Given(Vec<RowValues>);

impl RowSource for Given {
    fn each_row(&self, _: &TableRecord, each: &mut dyn FnMut(&[u8], RowValues)) -> Result<()> {
        self.0.iter().cloned().for_each(|row| each(b"", row));
        Ok(())
    }
}

fn record(table: &str, columns: &[&str], rows: usize) -> TableRecord {
    let literal = LiteralForm::Text;
    TableRecord {
        name: table.into(),
        definition: format!("CREATE TABLE `{table}` (`id` int, PRIMARY KEY (`id`)) ENGINE=InnoDB")
            .as_str()
            .into(),
        spans: DefinitionSpans::default(),
        engine: "InnoDB".to_owned(),
        collation: String::new(),
        columns: columns
            .iter()
            .map(|name| ColumnRecord { name: (*name).into(), literal, type_text: "text".into() })
            .collect(),
        contents: Contents::Included,
        row_count: rows as u64,
        checksum: Checksum::default(),
        frames: Vec::new(),
        in_snapshot: true,
        partitioned: false,
        auto_increment: None,
        versioning: None,
        estimated_bytes: 0,
        foreign: None,
    }
}

fn rules(platform: &str, table: &str) -> &'static MatteringTable {
    let layout: ShopLayout = serde_json::from_value(serde_json::json!({
        "platform": platform, "title": "", "version": null, "framework": null, "root": "/shop", "database": null,
        "further_databases": [], "table_prefix": "", "base_urls": [], "base_url_queries": [], "outside_folders": [],
        "outside_files": [], "excluded_paths": [], "excluded_contents": [], "protected_tables": [], "important_tables": [],
        "maintenance": {"way": "none", "why": ""}, "after_restore": [], "unclear": [], "warnings": [], "config_files": []
    }))
    .unwrap();
    layout.mattering_table(table.as_bytes()).unwrap()
}

fn row(values: &[&str]) -> RowValues {
    values.iter().map(|value| (*value != "NULL").then(|| value.as_bytes().to_vec())).collect()
}

fn compare(
    rules: &'static MatteringTable,
    columns: [&[&str]; 2],
    before: Vec<RowValues>,
    after: Vec<RowValues>,
) -> Vec<RowChange> {
    let records = (record("t", columns[0], before.len()), record("t", columns[1], after.len()));
    let pair = TablePair { before: &records.0, after: &records.1, rules, named_by: None };
    match pair.compare(&Given(before), &Given(after)).unwrap() {
        RowsFound::All(changes) => changes,
        RowsFound::TooMuch(why) => panic!("{why}"),
    }
}

/// A change in a few words: `~ 1 value: a -> b`.
fn told(changes: &[RowChange]) -> Vec<String> {
    let text = |value: &ShownValue| match value {
        ShownValue::Null => "NULL".to_owned(),
        ShownValue::Text(text) => text.to_string(),
        ShownValue::Part { text, offset_bytes, size_bytes } => format!("{text}@{offset_bytes}/{size_bytes}"),
        ShownValue::Masked => "***".to_owned(),
    };
    let key = |name: &RowName| name.key.iter().map(|key| text(&key.value)).collect::<Vec<_>>().join("/");
    let values = |values: &[NamedValue]| {
        values.iter().map(|value| format!(" {}={}", value.column, text(&value.value))).collect::<String>()
    };
    let line = |change: &RowChange| match &change.difference {
        Difference::RowAdded { row: name, values: with } => format!("+ {}{}", key(name), values(with)),
        Difference::RowRemoved { row: name, values: with } => format!("- {}{}", key(name), values(with)),
        Difference::RowChanged { row: name, changes } => {
            let changes = changes
                .iter()
                .map(|one| format!(" {}: {} -> {}", one.column, text(&one.before), text(&one.after)));
            format!("~ {}{}", key(name), changes.collect::<String>())
        }
        other => panic!("{other:?}"),
    };
    changes.iter().map(line).collect()
}

const SETTING: &[&str] = &["setting_id", "store_id", "code", "key", "value", "serialized"];

#[test]
fn settings_that_were_saved_anew_are_the_same_settings() {
    let before = vec![
        row(&["1", "0", "config", "config_name", "Lamps", "0"]),
        row(&["2", "0", "payment_cod", "payment_cod_status", "1", "0"]),
        row(&["3", "0", "smtp", "smtp_password", "one", "0"]),
        row(&["4", "0", "feed", "feed_last_run", "1700000000", "0"]),
    ];
    let after = vec![
        row(&["12", "0", "payment_cod", "payment_cod_status", "0", "0"]),
        row(&["13", "0", "smtp", "smtp_password", "two", "0"]),
        row(&["14", "0", "feed", "feed_last_run", "1700000009", "0"]),
        row(&["15", "0", "config", "config_name", "Lamps", "0"]),
        row(&["16", "1", "config", "config_name", "Lamps", "0"]),
    ];
    let changes = compare(rules("opencart", "setting"), [SETTING, SETTING], before, after);
    assert_eq!(
        told(&changes),
        [
            "~ 0/payment_cod/payment_cod_status value: 1 -> 0",
            "~ 0/smtp/smtp_password value: *** -> ***",
            "+ 1/config/config_name value=Lamps serialized=0",
        ]
    );
    let Difference::RowChanged { row: name, .. } = &changes[0].difference else { panic!("{changes:?}") };
    assert_eq!((name.group, name.called), (backstock_platform::RowGroup::Payments, "setting"));
}

#[test]
fn secrets_of_an_account_are_masked_and_its_visits_are_noise() {
    const USER: &[&str] = &["user_id", "username", "password", "email", "code", "ip"];
    let before = vec![
        row(&["1", "ann", "hash one", "a@b", "", "10.0.0.1"]),
        row(&["2", "bob", "x", "b@b", "", "10.0.0.2"]),
    ];
    let after = vec![
        row(&["1", "ann", "hash two", "a@b", "", "10.0.0.1"]),
        row(&["2", "bob", "x", "b@b", "", "10.9.9.9"]),
        row(&["3", "eve", "hash three", "e@b", "NULL", "10.0.0.3"]),
    ];
    let changes = compare(rules("opencart", "user"), [USER, USER], before, after);
    assert_eq!(told(&changes), ["~ 1 password: *** -> ***", "+ 3 username=eve password=*** email=e@b"]);
    let shown: Vec<String> = changes.iter().map(|change| format!("{:?}", change.difference)).collect();
    assert!(!shown.concat().contains("hash"), "{shown:?}");
}

/// The differences of one table of a PrestaShop, each with its group.
fn of_prestashop(
    table: &str,
    columns: &'static [&'static str],
    before: &[RowValues],
    after: &[RowValues],
) -> Vec<String> {
    let changes = compare(rules("prestashop", table), [columns, columns], before.to_vec(), after.to_vec());
    let group = |change: &RowChange| match &change.difference {
        Difference::RowAdded { row, .. }
        | Difference::RowRemoved { row, .. }
        | Difference::RowChanged { row, .. } => {
            format!("{:?} {}", row.group, row.called)
        }
        other => panic!("{other:?}"),
    };
    let both = changes.iter().map(group).zip(told(&changes));
    both.map(|(group, told)| format!("{group}: {told}")).collect()
}

/// Each of these is a way in that a contractor of a PrestaShop may leave.
#[test]
fn of_a_prestashop_each_group_is_told() {
    let one = of_prestashop;
    const EMPLOYEE: &[&str] = &["id_employee", "id_profile", "email", "passwd", "last_connection_date"];
    assert_eq!(
        one(
            "employee",
            EMPLOYEE,
            &[
                row(&["1", "1", "a@b", "$2y$one", "2026-01-01"]),
                row(&["2", "2", "c@d", "$2y$x", "2026-01-01"])
            ],
            &[
                row(&["1", "1", "a@b", "$2y$one", "2026-02-02"]),
                row(&["2", "1", "c@d", "$2y$y", "2026-02-02"])
            ],
        ),
        ["Administrators administrator: ~ 2 id_profile: 2 -> 1 passwd: *** -> ***"]
    );
    const ACCESS: &[&str] = &["id_profile", "id_authorization_role"];
    assert_eq!(one("access", ACCESS, &[], &[row(&["4", "77"])]), ["Roles right of a role: + 4/77"]);
    const MODULE: &[&str] = &["id_module", "name", "active", "version"];
    assert_eq!(
        one("module", MODULE, &[row(&["9", "psgdpr", "1", "1.0"])], &[row(&["9", "psgdpr", "0", "1.0"])]),
        ["Modules module: ~ psgdpr active: 1 -> 0"]
    );
    const DELIVERY: &[&str] = &["id", "id_carrier", "price"];
    assert_eq!(
        one("delivery", DELIVERY, &[row(&["3", "2", "5.000000"])], &[row(&["3", "2", "9.000000"])]),
        ["Carriers price of a carrier: ~ 3 price: 5.000000 -> 9.000000"]
    );
}

#[test]
fn settings_of_a_prestashop_are_told_by_their_groups() {
    let one = of_prestashop;
    const CONFIGURATION: &[&str] =
        &["id_configuration", "id_shop_group", "id_shop", "name", "value", "date_upd"];
    let setting = |name: &str, value: &str, at: &str| row(&["5", "NULL", "NULL", name, value, at]);
    assert_eq!(
        one(
            "configuration",
            CONFIGURATION,
            &[
                setting("PS_SHOP_ENABLE", "1", "1"),
                setting("PAYPAL_CLIENT_SECRET", "one", "1"),
                setting("PS_SHIPPING_FREE_PRICE", "0", "1"),
                setting("BLOCK_LAST_RUN", "1", "1"),
            ],
            &[
                setting("PS_SHOP_ENABLE", "1", "2"),
                setting("PAYPAL_CLIENT_SECRET", "two", "2"),
                setting("PS_SHIPPING_FREE_PRICE", "99", "2"),
                setting("BLOCK_LAST_RUN", "2", "2"),
            ],
        ),
        [
            "Payments setting: ~ NULL/NULL/PAYPAL_CLIENT_SECRET value: *** -> ***",
            "Carriers setting: ~ NULL/NULL/PS_SHIPPING_FREE_PRICE value: 0 -> 99",
        ]
    );
}

#[test]
fn a_new_column_does_not_make_every_row_another() {
    let before = vec![row(&["1", "ann", "a@b"]), row(&["2", "bob", "b@b"])];
    let after = vec![row(&["new", "1", "ann", "a@c"]), row(&["new", "2", "bob", "b@b"])];
    let columns: [&[&str]; 2] =
        [&["user_id", "username", "email"], &["added", "user_id", "username", "email"]];
    let changes = compare(rules("opencart", "user"), columns, before, after);
    assert_eq!(told(&changes), ["~ 1 email: a@b -> a@c"]);
}

#[test]
fn a_long_value_is_cut_to_where_it_differs() {
    let long = |letter: &str| format!("{}{letter}{}", "ä".repeat(500), "z".repeat(500));
    let line = |value: &str| vec![row(&["1", "0", "config", "config_text", value, "0"])];
    let changes =
        compare(rules("opencart", "setting"), [SETTING, SETTING], line(&long("x")), line(&long("y")));
    let text = told(&changes).remove(0);
    assert!(
        text.starts_with("~ 0/config/config_text value: ää") && text.contains("xzz") && text.contains("yzz"),
        "{text}"
    );
    assert!(text.contains("@960/1501") && text.len() < 2 * SHOWN + 200, "{text}");
}

const SHOWN: usize = 300;

/// Customers of a WordPress shop are users too, and are not told of.
#[test]
fn of_users_only_those_are_told_that_may_do_more_than_a_customer() {
    const META: &[&str] = &["umeta_id", "user_id", "meta_key", "meta_value"];
    const USERS: &[&str] = &["ID", "user_login", "user_pass", "user_email"];
    let right = |id: &str, role: &str| {
        row(&["9", id, "wp_capabilities", &format!("a:1:{{s:{}:\"{role}\";b:1;}}", role.len())])
    };
    let meta = |rows: &[RowValues]| (record("usermeta", META, rows.len()), Given(rows.to_vec()));
    let (old_meta, new_meta) = (
        meta(&[right("1", "administrator"), right("2", "customer")]),
        meta(&[right("1", "administrator"), right("2", "customer"), right("3", "administrator")]),
    );
    /// Both tables of a side.
    struct Both<'a>(&'a Given, Given);
    impl RowSource for Both<'_> {
        fn each_row(&self, table: &TableRecord, each: &mut dyn FnMut(&[u8], RowValues)) -> Result<()> {
            if table.name.as_bytes() == b"usermeta" {
                self.0.each_row(table, each)
            } else {
                self.1.each_row(table, each)
            }
        }
    }
    let before =
        Both(&old_meta.1, Given(vec![row(&["1", "ann", "x", "a@b"]), row(&["2", "buyer", "x", "c@d"])]));
    let after = Both(
        &new_meta.1,
        Given(vec![
            row(&["1", "ann", "x", "a@c"]),
            row(&["2", "buyer", "y", "d@d"]),
            row(&["3", "eve", "z", "e@e"]),
        ]),
    );
    let records = (record("users", USERS, 2), record("users", USERS, 3));
    let named_by = Some((&old_meta.0, &new_meta.0, rules("woocommerce", "usermeta")));
    let pair =
        TablePair { before: &records.0, after: &records.1, rules: rules("woocommerce", "users"), named_by };
    let RowsFound::All(changes) = pair.compare(&before, &after).unwrap() else { panic!() };
    assert_eq!(
        told(&changes),
        ["~ 1 user_email: a@b -> a@c", "+ 3 user_login=eve user_pass=*** user_email=e@e"]
    );
}

#[test]
fn what_is_too_much_is_said() {
    let given = |count: usize, value: &str| {
        (0..count).map(|id| row(&[&id.to_string(), value, "x"])).collect::<Vec<_>>()
    };
    let columns: &[&str] = &["user_id", "username", "email"];
    let found = |before: Vec<RowValues>, after: Vec<RowValues>, rows: u64| {
        let records = (
            record("t", columns, before.len()),
            TableRecord { row_count: rows, ..record("t", columns, after.len()) },
        );
        TablePair { before: &records.0, after: &records.1, rules: rules("opencart", "user"), named_by: None }
            .compare(&Given(before), &Given(after))
            .unwrap()
    };
    let most = DIFFERING_ROWS_LIMIT;
    assert!(
        matches!(found(given(most, "a"), given(most, "b"), most as u64), RowsFound::All(rows) if rows.len() == most)
    );
    assert!(matches!(found(given(most + 1, "a"), given(most + 1, "b"), 1), RowsFound::TooMuch(_)));
    assert!(matches!(found(Vec::new(), Vec::new(), ROWS_LIMIT + 1), RowsFound::TooMuch(_)));
}

fn any_rows() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..6_u8, 0..3_u8), 0..16)
}

/// How many rows of each key and value a side has more than the other: what cannot be paired by value.
fn naive(before: &[(u8, u8)], after: &[(u8, u8)]) -> BTreeMap<u8, (usize, usize)> {
    let mut keys: BTreeMap<u8, (usize, usize)> = BTreeMap::new();
    for key in 0..6 {
        for value in 0..3 {
            let count = |rows: &[(u8, u8)]| rows.iter().filter(|row| **row == (key, value)).count();
            let (one, other) = (count(before), count(after));
            let entry = keys.entry(key).or_default();
            entry.0 += one.saturating_sub(other);
            entry.1 += other.saturating_sub(one);
        }
    }
    keys
}

proptest! {
    /// Also where a key stands several times, as it may in a table of settings.
    #[test]
    fn any_two_sets_of_rows_differ_as_a_naive_comparison_says(before in any_rows(), after in any_rows()) {
        let columns: &[&str] = &["user_id", "username"];
        let rows = |side: &[(u8, u8)]| -> Vec<RowValues> {
            side.iter().map(|(key, value)| row(&[&key.to_string(), &value.to_string()])).collect()
        };
        let changes = compare(rules("opencart", "user"), [columns, columns], rows(&before), rows(&after));
        let mut expected = Vec::new();
        for (key, (old, new)) in naive(&before, &after) {
            let both = old.min(new);
            expected.extend(std::iter::repeat_n(format!("~ {key}"), both));
            expected.extend(std::iter::repeat_n(format!("- {key}"), old - both));
            expected.extend(std::iter::repeat_n(format!("+ {key}"), new - both));
        }
        let found: Vec<String> = told(&changes).iter().map(|line| line[..3].to_owned()).collect();
        prop_assert_eq!(found, expected);
    }
}
