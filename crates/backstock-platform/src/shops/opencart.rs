//! OpenCart shops: two configurations, storage inside and outside the root, a renamed admin folder.

use std::fs;

use super::Shop;
use crate::{Certainty, Maintenance, Obstacle};

#[test]
fn opencart_4_as_installed() {
    let shop = Shop::copy("opencart-4.1");
    let layout = shop.detect().layout;
    assert_eq!((layout.platform, layout.version.as_deref()), ("opencart", Some("4.1.0.3")));
    assert!(layout.unclear.is_empty(), "{:?}", layout.unclear);
    let database = layout.database.as_ref().unwrap();
    assert_eq!((database.host.as_deref(), database.port), (Some("127.0.0.1"), Some(3307)));
    assert_eq!(
        (database.name.as_slice(), database.user.as_slice()),
        (&b"fixture_shop"[..], &b"fixture_user"[..])
    );
    assert_eq!(database.password.expose(), b"it's a \\ word");
    assert_eq!(database.certainty, Certainty::Stated);
    assert_eq!(layout.table_prefix.as_deref(), Some("oc_"));
    assert_eq!(layout.base_urls, ["https://fixture.example/sub/"]);
    assert!(layout.outside_folders.is_empty());
    let excluded: Vec<_> = layout.excluded_paths.iter().map(|excluded| excluded.pattern.as_str()).collect();
    for pattern in ["system/storage/cache", "system/storage/logs", "system/storage/session", "image/cache"] {
        assert!(excluded.contains(&pattern), "{pattern} of {excluded:?}");
    }
    assert!(matches!(&layout.maintenance, Maintenance::Setting { table, .. } if table == "oc_setting"));
    assert_eq!(layout.config_files, [shop.root.join("config.php"), shop.root.join("admin/config.php")]);
}

#[test]
fn the_storage_outside_the_root_is_followed() {
    let shop = Shop::copy("opencart-4.1");
    let storage = shop.account().join("storage");
    fs::rename(shop.root.join("system/storage"), &storage).unwrap();
    for file in ["config.php", "admin/config.php"] {
        shop.replace(file, "DIR_SYSTEM . 'storage/'", &format!("'{}/'", storage.display()));
    }
    let layout = shop.detect().layout;
    let [outside] = layout.outside_folders.as_slice() else { panic!("{:?}", layout.outside_folders) };
    assert_eq!((outside.label.as_str(), &outside.path), ("storage", &storage));
    let cache = layout.excluded_paths.iter().find(|excluded| excluded.pattern == "cache").unwrap();
    assert_eq!(cache.within.as_deref(), Some("storage"));
    assert!(layout.unclear.is_empty(), "{:?}", layout.unclear);
}

#[test]
fn opencart_3_with_a_renamed_admin_folder() {
    let shop = Shop::copy("opencart-3.0");
    let layout = shop.detect().layout;
    assert_eq!(layout.config_files[1], shop.root.join("backroom/config.php"));
    let database = layout.database.as_ref().unwrap();
    assert!(database.means_default_socket(), "localhost with a separate port is PHP's socket: {database:?}");
    assert!(layout.warnings.is_empty(), "{:?}", layout.warnings);
    assert_eq!(layout.base_urls, ["https://fixture.example/", "http://fixture.example/"]);
    let excluded = |pattern: &str| layout.excluded_paths.iter().any(|excluded| excluded.pattern == pattern);
    assert!(
        excluded("system/storage/cache") && !excluded("system/storage/modification"),
        "OCMOD's result is kept"
    );
}

#[test]
fn a_port_inside_the_host_beats_db_port_and_is_tcp_even_for_localhost() {
    let shop = Shop::copy("opencart-3.0");
    shop.replace("config.php", "'DB_HOSTNAME', 'localhost'", "'DB_HOSTNAME', 'localhost:3307'");
    let database = shop.detect().layout.database.unwrap();
    assert_eq!((database.host.as_deref(), database.port), (Some("localhost"), Some(3307)));
    assert!(!database.means_default_socket());
}

#[test]
fn two_configurations_that_disagree_are_told() {
    let shop = Shop::copy("opencart-4.1");
    shop.replace("admin/config.php", "'fixture_shop'", "'another_shop'");
    let layout = shop.detect().layout;
    assert_eq!(layout.database.unwrap().name, b"fixture_shop");
    assert!(
        layout.warnings.iter().any(|warning| warning.contains("different databases")),
        "{:?}",
        layout.warnings
    );
}

#[test]
fn db_port_and_dir_storage_may_be_missing_and_the_prefix_empty() {
    let shop = Shop::copy("opencart-4.1");
    shop.replace("config.php", "define('DB_PORT', '3307');", "");
    shop.replace("config.php", "'DB_PREFIX', 'oc_'", "'DB_PREFIX', ''");
    let layout = shop.detect().layout;
    assert_eq!(layout.database.as_ref().unwrap().port, None);
    assert_eq!(layout.table_prefix.as_deref(), Some(""));
    assert!(layout.exclusion(b"session").is_some());
}

#[test]
fn a_storage_that_is_a_neighbours_or_around_the_shop_is_not_taken() {
    let shop = Shop::copy("opencart-4.1");
    let foreign = shop.account().parent().unwrap().parent().unwrap().join("foreign");
    fs::create_dir(&foreign).unwrap();
    for storage in
        ["/", "/etc/", &format!("{}/", shop.account().display()), &format!("{}/", foreign.display())]
    {
        let shop = Shop::copy("opencart-4.1");
        shop.replace("config.php", "DIR_SYSTEM . 'storage/'", &format!("'{storage}'"));
        let layout = shop.detect().layout;
        let own_account = storage.contains("home/account") && layout.outside_folders.is_empty();
        assert!(layout.outside_folders.is_empty() || own_account, "{storage}: {:?}", layout.outside_folders);
        let unclear = layout.unclear.iter().find(|unclear| unclear.what.contains("storage")).unwrap();
        assert_eq!(unclear.obstacle, Obstacle::NotOurs, "{storage}");
        assert_eq!(unclear.flags, ["--outside-folder"]);
        assert!(layout.database.is_some(), "the rest is known");
    }
}

#[test]
fn another_database_vendor_is_said() {
    let shop = Shop::copy("opencart-4.1");
    shop.replace("config.php", "'DB_DRIVER', 'mysqli'", "'DB_DRIVER', 'pgsql'");
    let layout = shop.detect().layout;
    assert!(layout.database.is_none());
    assert_eq!(layout.unclear[0].obstacle, Obstacle::Unsupported);
}

#[test]
fn a_host_of_several_stores_that_depends_on_the_request_is_asked_for() {
    let shop = Shop::copy("opencart-4.1");
    shop.replace(
        "config.php",
        "define('DB_DATABASE', 'fixture_shop');",
        "if ($_SERVER['HTTP_HOST'] == 'b.example') { define('DB_DATABASE', 'fixture_b'); } else { define('DB_DATABASE', 'fixture_a'); }",
    );
    let detection = shop.detect();
    assert!(detection.layout.database.is_none());
    let error = detection.require_database().unwrap_err();
    assert_eq!(error.flags(), ["--database-name"]);
    assert!(error.to_string().contains("config.php line"), "{error}");
}

#[test]
fn constants_in_a_file_outside_the_root_are_followed() {
    let shop = Shop::copy("opencart-4.1");
    let text = fs::read_to_string(shop.root.join("config.php")).unwrap();
    let (folders, database) = text.split_once("// DB").unwrap();
    fs::write(shop.account().join("secret.php"), format!("<?php\n{database}")).unwrap();
    shop.write("config.php", format!("{folders}\nrequire_once __DIR__ . '/../secret.php';\n"));
    let layout = shop.detect().layout;
    assert_eq!(layout.database.unwrap().name, b"fixture_shop");
    assert!(layout.config_files.contains(&shop.account().join("secret.php")));
}

#[test]
fn a_shop_that_was_moved_without_its_configuration_asks_for_its_folders() {
    let shop = Shop::copy("opencart-4.1");
    shop.replace("config.php", "__DIR__ . '/'", "'/var/www/where-it-was/'");
    let layout = shop.detect().layout;
    let what: Vec<_> = layout.unclear.iter().map(|unclear| unclear.what.as_str()).collect();
    assert!(what[0].starts_with("the storage folder (/var/www/where-it-was/"), "{what:?}");
    assert!(what.iter().all(|what| !what.contains("cache") && !what.contains("logs")), "{what:?}");
    assert!(layout.unclear.iter().all(|unclear| unclear.obstacle == Obstacle::Missing));
    assert!(layout.database.is_some());
}
