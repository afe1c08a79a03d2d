//! WordPress and WooCommerce: Docker's helper, Bedrock, a configuration above the root, a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Shop;
use crate::{Certainty, KnownEnvironment, Maintenance, Obstacle, ShopPath, contract, detect};

#[test]
fn woocommerce_with_the_usual_shapes() {
    let shop = Shop::copy("woocommerce-9");
    let layout = shop.detect().layout;
    let database = layout.database.as_ref().unwrap();
    assert_eq!(database.socket.as_deref(), Some(Path::new("/run/fixture.sock")));
    assert_eq!(
        (database.name.as_slice(), database.password.expose()),
        (&b"fixture_wp"[..], &b"pa$$word's"[..])
    );
    assert_eq!(database.certainty, Certainty::Stated);
    assert_eq!(layout.table_prefix.as_deref(), Some("wp7x_"));
    assert_eq!(layout.base_urls, ["https://fixture.example"]);
    let Maintenance::File { path, content, .. } = &layout.maintenance else { panic!() };
    assert_eq!((path, content.trim()), (&ShopPath::root(".maintenance"), "<?php $upgrading = time();"));
    shop.write("wp-config-local.php", "<?php define('WP_SITEURL', 'https://fixture.example/wp');");
    let layout = shop.detect().layout;
    assert_eq!(layout.base_urls, ["https://fixture.example", "https://fixture.example/wp"]);
    assert!(layout.config_files.contains(&shop.root.join("wp-config-local.php")));
}

#[test]
fn dockers_helper_gives_assumed_values_and_known_ones() {
    let shop = Shop::copy("wordpress-6");
    let layout = shop.detect().layout;
    let Certainty::Assumed(sentences) = &layout.database.as_ref().unwrap().certainty else { panic!() };
    assert!(
        sentences.contains(&"the environment variable WORDPRESS_DB_NAME is not set".to_owned()),
        "{sentences:?}"
    );
    let pairs = [
        ("WORDPRESS_DB_NAME", "shop"),
        ("WORDPRESS_DB_USER", "u"),
        ("WORDPRESS_DB_PASSWORD", "p"),
        ("WORDPRESS_DB_HOST", "db:3307"),
    ];
    let known = pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let layout = detect(&shop.root, &KnownEnvironment(known.collect::<BTreeMap<_, _>>())).unwrap().layout;
    let database = layout.database.unwrap();
    assert_eq!(
        (database.name.as_slice(), database.host.as_deref(), database.port),
        (&b"shop"[..], Some("db"), Some(3307))
    );
    assert_eq!((database.certainty, layout.table_prefix.as_deref()), (Certainty::Stated, Some("wp_")));
}

#[test]
fn bedrock_reads_its_env_file_and_the_web_folder_leads_to_it() {
    let shop = Shop::copy("woocommerce-bedrock");
    for given in [shop.root.clone(), shop.root.join("web")] {
        let detection = detect(&given, &crate::NoEnvironment).unwrap();
        let layout = &detection.layout;
        assert_eq!(layout.root, shop.root);
        let database = layout.database.as_ref().unwrap();
        assert_eq!(
            (database.name.as_slice(), database.password.expose()),
            (&b"fixture_bedrock"[..], &b"fixture word"[..])
        );
        assert_eq!(
            (database.host.as_deref(), layout.table_prefix.as_deref()),
            (Some("localhost"), Some("wp_"))
        );
        assert_eq!(layout.base_urls, ["https://fixture.example", "https://fixture.example/wp"]);
        assert!(layout.excluded_paths.iter().any(|excluded| excluded.pattern == "web/app/cache"));
        assert_eq!(detection.notes.is_empty(), given == shop.root, "{:?}", detection.notes);
    }
    let env = fs::read_to_string(shop.root.join(".env")).unwrap();
    shop.write(".env", format!("{env}DATABASE_URL='mysql://u:p@db.example/one_line'\n"));
    assert_eq!(
        shop.detect().layout.database.unwrap().name,
        b"one_line",
        "the last definition wins in Bedrock"
    );
}

#[test]
fn a_configuration_one_level_above_counts_unless_it_is_another_wordpress() {
    let shop = Shop::copy("woocommerce-9");
    let above = shop.account().join("wp-config.php");
    fs::rename(shop.root.join("wp-config.php"), &above).unwrap();
    let layout = shop.detect().layout;
    assert_eq!(layout.database.as_ref().unwrap().source, above);
    assert_eq!(layout.outside_files[0].path, above);
    assert_eq!(contract::problems(&layout), Vec::<String>::new());
    fs::write(shop.account().join("wp-settings.php"), "<?php").unwrap();
    let layout = shop.detect().layout;
    assert!(layout.database.is_none());
    assert_eq!(layout.unclear[0].obstacle, Obstacle::Missing);
}

#[test]
fn wordpress_in_a_folder_of_its_own() {
    let shop = Shop::copy("woocommerce-9");
    let inner = shop.root.join("wp");
    fs::create_dir(&inner).unwrap();
    for name in ["wp-load.php", "wp-settings.php", "wp-blog-header.php", "wp-includes"] {
        fs::rename(shop.root.join(name), inner.join(name)).unwrap();
    }
    shop.write("index.php", "<?php require __DIR__ . '/wp/wp-blog-header.php';");
    let layout = shop.detect().layout;
    assert_eq!((layout.title.as_str(), layout.version.as_deref()), ("WooCommerce", Some("9.5.1")));
    assert_eq!(layout.config_files[0], shop.root.join("wp-config.php"));
    let Maintenance::File { path, .. } = &layout.maintenance else { panic!() };
    assert_eq!(path, &ShopPath::root("wp/.maintenance"));
}

#[test]
fn content_and_uploads_may_be_elsewhere() {
    let shop = Shop::copy("woocommerce-9");
    let content = shop.account().join("content");
    fs::rename(shop.root.join("wp-content"), &content).unwrap();
    shop.replace(
        "wp-config.php",
        "define( 'WP_DEBUG', false );",
        "define('WP_CONTENT_DIR', dirname(__DIR__) . '/content');",
    );
    let layout = shop.detect().layout;
    assert_eq!(
        (layout.outside_folders[0].label.as_str(), &layout.outside_folders[0].path),
        ("content", &content)
    );
    let cache = layout.excluded_paths.iter().find(|excluded| excluded.pattern == "cache").unwrap();
    assert_eq!(cache.within.as_deref(), Some("content"));
    assert_eq!(contract::problems(&layout), Vec::<String>::new());
}

#[test]
fn hosts_of_every_form_and_a_network_of_sites() {
    for (host, expected) in [
        ("127.0.0.1:3307", (Some("127.0.0.1"), Some(3307), None)),
        ("localhost:3307:/run/x.sock", (Some("localhost"), None, Some("/run/x.sock"))),
        (":/run/x.sock", (None, None, Some("/run/x.sock"))),
        ("[::1]:3307", (Some("::1"), Some(3307), None)),
        ("::1", (Some("::1"), None, None)),
        ("p:localhost", (Some("localhost"), None, None)),
    ] {
        let shop = Shop::copy("woocommerce-9");
        shop.replace("wp-config.php", "localhost:/run/fixture.sock", host);
        shop.replace("wp-config.php", "define( 'WP_DEBUG', false );", "define('MULTISITE', true);");
        let layout = shop.detect().layout;
        let database = layout.database.unwrap();
        let socket = database.socket.as_deref().and_then(Path::to_str);
        assert_eq!((database.host.as_deref(), database.port, socket), expected, "{host}");
        assert!(layout.warnings.iter().any(|warning| warning.contains("network")));
    }
}
