//! OpenCart shops: two configurations, storage inside and outside the root, a renamed admin folder.

use std::fs;

use super::Shop;
use crate::{Certainty, Maintenance};

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
