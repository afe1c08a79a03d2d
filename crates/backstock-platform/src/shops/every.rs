//! Every fixture shop: recognised as what it is, in keeping with the contract, without its password in any text.

use std::fs;

use super::{Shop, fixtures};
use crate::{Confidence, KINDS, Obstacle, contract, kind};

/// Fixture, kind, title, version, framework.
const SHOPS: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("opencart-3.0", "opencart", "OpenCart", "3.0.4.1", None),
    ("opencart-4.1", "opencart", "OpenCart", "4.1.0.3", None),
    ("prestashop-1.6", "prestashop", "PrestaShop", "1.6.1.24", None),
    ("prestashop-1.7", "prestashop", "PrestaShop", "1.7.6.2", None),
    ("prestashop-yaml", "prestashop", "PrestaShop", "", None),
    ("prestashop-8", "prestashop", "PrestaShop", "8.2.0", None),
    ("prestashop-9", "prestashop", "PrestaShop", "9.0.0", None),
    ("magento-2.4", "magento", "Magento", "2.4.6-p4", None),
    ("wordpress-6", "woocommerce", "WordPress", "6.7.1", None),
    ("woocommerce-9", "woocommerce", "WooCommerce", "9.5.1", Some("WordPress 6.7.1")),
    ("woocommerce-bedrock", "woocommerce", "WooCommerce", "9.5.1", Some("WordPress 6.7.1")),
    ("bagisto-1.2", "laravel", "Bagisto", "1.2.0", Some("Laravel 7.30.6")),
    ("bagisto-2", "laravel", "Bagisto", "2.2.4", Some("Laravel 11.44.0")),
    ("laravel-11", "laravel", "Laravel", "", None),
];

#[test]
fn every_fixture_is_recognised_and_keeps_the_contract() {
    for (fixture, platform, title, version, framework) in SHOPS {
        let shop = Shop::copy(fixture);
        let detection = shop.detect();
        let layout = &detection.layout;
        assert_eq!((layout.platform, layout.title.as_str()), (*platform, *title), "{fixture}");
        assert_eq!(layout.version.as_deref().unwrap_or_default(), *version, "{fixture}");
        assert_eq!(layout.framework.as_deref(), *framework, "{fixture}");
        assert_eq!(detection.matched.confidence, Confidence::Certain, "{fixture}");
        assert_eq!(contract::problems(layout), Vec::<String>::new(), "{fixture}");
        let database = layout.database.as_ref().unwrap_or_else(|| panic!("{fixture}: {:?}", layout.unclear));
        assert!(layout.unclear.is_empty(), "{fixture}: {:?}", layout.unclear);
        assert!(
            database.name.starts_with(b"fixture_") || *fixture == "wordpress-6",
            "{fixture}: {database:?}"
        );
        let password = String::from_utf8(database.password.expose().to_vec()).unwrap();
        let shown = format!("{detection:?}{}", serde_json::to_string(&detection).unwrap());
        assert!(password.is_empty() || !shown.contains(&password), "{fixture} shows its password");
    }
}

#[test]
fn every_fixture_folder_and_every_kind_is_tested() {
    for entry in fs::read_dir(fixtures()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "php-forms" || SHOPS.iter().any(|(fixture, ..)| *fixture == name),
            "{name} is not tested"
        );
    }
    for platform in KINDS {
        assert!(platform.name() == "plain" || SHOPS.iter().any(|(_, kind, ..)| *kind == platform.name()));
        assert_eq!(kind(platform.name()).unwrap().title(), platform.title());
    }
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/kinds")).unwrap().count();
    assert_eq!(files, KINDS.len(), "every file of kinds/ is listed in KINDS");
}

#[test]
fn no_other_kind_claims_a_fixture_as_surely() {
    for (fixture, platform, ..) in SHOPS {
        let folder = crate::Folder::open(&fixtures().join(fixture)).unwrap();
        for other in KINDS.iter().filter(|other| other.name() != *platform) {
            let claim = other.recognise(&folder).map(|found| found.confidence);
            assert!(claim != Some(Confidence::Certain), "{} claims {fixture}", other.name());
        }
    }
}

/// F49: an exclusion that a person gives and that hits orders or customers is an error, a default one never does.
#[test]
fn f49_orders_and_customers_are_protected_in_every_shop() {
    for (fixture, tables) in [
        ("opencart-4.1", ["oc_order", "oc_order_product", "oc_customer", "oc_product", "oc_setting"]),
        (
            "prestashop-8",
            ["ps_orders", "ps_order_detail", "ps_customer", "ps_product_lang", "ps_configuration"],
        ),
        (
            "magento-2.4",
            [
                "mg_sales_order",
                "mg_sequence_order_1",
                "mg_customer_entity",
                "mg_catalog_product_entity",
                "mg_quote",
            ],
        ),
        (
            "woocommerce-9",
            [
                "wp7x_posts",
                "wp7x_wc_orders_meta",
                "wp7x_users",
                "wp7x_options",
                "wp7x_actionscheduler_actions",
            ],
        ),
        ("bagisto-2", ["bgorders", "bgorder_items", "bgcustomers", "bgproducts", "bgjobs"]),
    ] {
        let layout = Shop::copy(fixture).detect().layout;
        for table in tables {
            assert!(layout.protection(table.as_bytes()).is_some(), "{fixture} {table}");
            assert!(layout.exclusion(table.as_bytes()).is_none(), "{fixture} {table}");
        }
    }
    let layout = Shop::copy("opencart-4.1").detect().layout;
    assert!(layout.exclusion(b"oc_session").is_some());
    assert!(layout.exclusion(b"xx_session").is_none());
    assert!(layout.exclusion(b"oc_session_log").is_none());
}

#[test]
fn a_configuration_beyond_reading_is_said_with_flags() {
    for (fixture, file) in [
        ("opencart-4.1", "config.php"),
        ("prestashop-8", "app/config/parameters.php"),
        ("magento-2.4", "app/etc/env.php"),
        ("woocommerce-9", "wp-config.php"),
        ("bagisto-2", ".env"),
    ] {
        let shop = Shop::copy(fixture);
        shop.write(file, vec![b'x'; (1 << 20) + 1]);
        let detection = shop.detect();
        let unclear = detection.layout.unclear.first().unwrap_or_else(|| panic!("{fixture}"));
        assert_eq!(unclear.obstacle, Obstacle::BeyondLimits, "{fixture}");
        let error = detection.require_database().unwrap_err();
        assert!(error.flags().contains(&"--database-name".to_owned()), "{fixture}");
        assert_eq!(error.class(), backstock_vocabulary::ErrorClass::Ask);
        assert!(error.to_string().contains(file), "{error}");
        assert_eq!(contract::problems(&detection.layout), Vec::<String>::new(), "{fixture}");
        let broken = if file == ".env" { "A=b c" } else { "<?php return [" };
        shop.write(file, broken);
        assert_eq!(shop.detect().layout.unclear[0].obstacle, Obstacle::Malformed, "{fixture}");
    }
}
