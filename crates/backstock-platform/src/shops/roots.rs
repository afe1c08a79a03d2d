//! Where the root is: links, web folders, shops inside shops, plain folders, folders that are none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::Shop;
use crate::{Maintenance, NoEnvironment, Obstacle, PlatformError, contract, detect};

#[test]
fn a_link_to_the_current_release_is_followed_and_said() {
    let shop = Shop::copy("magento-2.4");
    let current = shop.account().join("current");
    symlink("shop", &current).unwrap();
    let detection = detect(&current, &NoEnvironment).unwrap();
    assert_eq!((&detection.given, &detection.layout.root), (&current, &shop.root));
    assert!(detection.notes[0].contains("link"), "{:?}", detection.notes);
    let detection = detect(shop.account(), &NoEnvironment).unwrap();
    assert_eq!(detection.layout.root, shop.root, "the account's folder leads to the shop below");
}

#[test]
fn the_web_folder_leads_to_the_root_above() {
    for (fixture, web) in [("magento-2.4", "pub"), ("bagisto-2", "public")] {
        let shop = Shop::copy(fixture);
        let detection = detect(&shop.root.join(web), &NoEnvironment).unwrap();
        assert_eq!(detection.layout.root, shop.root, "{fixture}");
        assert!(detection.notes[0].contains("web folder"), "{:?}", detection.notes);
    }
    let shop = Shop::empty();
    let inner = Shop::copy("opencart-4.1");
    fs::rename(&inner.root, shop.root.join("public_html")).unwrap();
    assert_eq!(shop.detect().layout.root, shop.root.join("public_html"));
}

#[test]
fn a_blog_inside_a_shop_is_said() {
    let shop = Shop::copy("prestashop-8");
    let blog = Shop::copy("wordpress-6");
    fs::rename(&blog.root, shop.root.join("blog")).unwrap();
    let detection = shop.detect();
    assert_eq!(detection.layout.platform, "prestashop");
    assert_eq!(
        (detection.nested[0].platform, &detection.nested[0].path),
        ("woocommerce", &shop.root.join("blog"))
    );
    assert!(detection.notes[0].contains("a backup of its own"), "{:?}", detection.notes);
}

#[test]
fn what_links_lead_to_belongs_to_the_shop() {
    let shop = Shop::copy("bagisto-2");
    let linked = shop.account().join("linked");
    fs::create_dir_all(&linked).unwrap();
    fs::rename(shop.root.join("storage"), linked.join("storage")).unwrap();
    fs::rename(shop.root.join(".env"), linked.join(".env")).unwrap();
    symlink("../linked/storage", shop.root.join("storage")).unwrap();
    symlink("../linked/.env", shop.root.join(".env")).unwrap();
    symlink("/etc", shop.root.join("public/hostile")).unwrap();
    symlink("/nowhere/at/all", shop.root.join("public/dangling")).unwrap();
    symlink("index.php", shop.root.join("public/inside")).unwrap();
    let layout = shop.detect().layout;
    assert_eq!(layout.database.as_ref().unwrap().name, b"fixture_bg");
    let folders: Vec<_> =
        layout.outside_folders.iter().map(|folder| (folder.label.as_str(), &folder.path)).collect();
    assert_eq!(folders, [("link-storage", &linked.join("storage"))]);
    assert_eq!(layout.outside_files[0].path, linked.join(".env"));
    assert_eq!(layout.unclear.len(), 1, "{:?}", layout.unclear);
    assert_eq!(layout.unclear[0].obstacle, Obstacle::NotOurs);
    assert_eq!(contract::problems(&layout), Vec::<String>::new());
}

#[test]
fn a_folder_without_a_platform_is_plain_and_says_so() {
    let shop = Shop::empty();
    shop.write("index.html", "hello");
    let detection = shop.detect();
    assert_eq!(detection.layout.platform, "plain");
    assert!(detection.notes[0].contains("plain folder"));
    assert!(matches!(detection.layout.maintenance, Maintenance::None { .. }));
    assert!(detection.require_database().unwrap_err().flags().contains(&"--database-name".to_owned()));
    assert_eq!(contract::problems(&detection.layout), Vec::<String>::new());
    shop.write("app/etc/local.xml", "<config/>");
    assert!(shop.detect().layout.unclear[0].why.contains("Magento 1"));
}

#[test]
fn no_folder_a_file_and_an_unreadable_configuration() {
    let shop = Shop::copy("opencart-4.1");
    assert!(matches!(detect(&shop.root.join("none"), &NoEnvironment), Err(PlatformError::NoFolder { .. })));
    assert!(matches!(
        detect(&shop.root.join("config.php"), &NoEnvironment),
        Err(PlatformError::NotAFolder { .. })
    ));
    let file = shop.root.join("config.php");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&file).is_ok() {
        // The superuser reads everything; then there is nothing to refuse.
        assert!(shop.detect().layout.database.is_some());
        return;
    }
    let detection = shop.detect();
    assert_eq!(detection.layout.unclear[0].obstacle, Obstacle::Unreadable);
    assert!(detection.layout.unclear[0].why.contains("ermission"), "{:?}", detection.layout.unclear);
    assert!(detection.layout.excluded_paths.iter().any(|excluded| excluded.pattern == "image/cache"));
}
