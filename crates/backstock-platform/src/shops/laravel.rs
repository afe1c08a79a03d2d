//! Bagisto and Laravel: `.env`, `config/database.php`, the cached configuration, one-line addresses.

use std::collections::BTreeMap;
use std::path::Path;

use super::Shop;
use crate::{Certainty, KnownEnvironment, Maintenance, Obstacle, contract, detect};

#[test]
fn bagisto_with_the_odd_lines_of_env() {
    for fixture in ["bagisto-1.2", "bagisto-2"] {
        let layout = Shop::copy(fixture).detect().layout;
        let database = layout.database.as_ref().unwrap();
        assert_eq!((database.host.as_deref(), database.port), (Some("127.0.0.1"), Some(3307)), "{fixture}");
        assert_eq!(
            (database.name.as_slice(), database.user.as_slice()),
            (&b"fixture_bg"[..], &b"fixture_user"[..])
        );
        assert_eq!(database.password.expose(), b"p4 ss#\"$bag");
        assert_eq!(database.certainty, Certainty::Stated);
        assert_eq!(layout.table_prefix.as_deref(), Some("bg"), "a prefix need not end in _");
        assert!(layout.exclusion(b"bgsessions").is_some() && layout.exclusion(b"bgjobs").is_none());
        assert_eq!(layout.base_urls, ["https://fixture.example"]);
        let Maintenance::File { content, also_remove, .. } = &layout.maintenance else { panic!() };
        assert_eq!(
            content.contains("allowed"),
            fixture == "bagisto-1.2",
            "Laravel 7 and 8 write different files"
        );
        assert_eq!(also_remove[0].path, "storage/framework/maintenance.php");
    }
}

#[test]
fn the_cached_configuration_replaces_env() {
    let shop = Shop::copy("bagisto-2");
    shop.write(
        "bootstrap/cache/config.php",
        "<?php return array('app' => array('url' => 'https://cached.example'), 'database' => array('default' => 'mysql',
         'connections' => array('mysql' => array('driver' => 'mysql', 'host' => 'db.example', 'port' => '3309',
         'write' => array('host' => array('writer.example', 'second.example')), 'database' => 'fixture_cached',
         'username' => 'u', 'password' => 'p', 'unix_socket' => '', 'prefix' => 'x'))));",
    );
    let layout = shop.detect().layout;
    let database = layout.database.as_ref().unwrap();
    assert_eq!(
        (database.name.as_slice(), database.host.as_deref(), database.port),
        (&b"fixture_cached"[..], Some("writer.example"), Some(3309))
    );
    assert_eq!(layout.table_prefix.as_deref(), Some("x"));
    assert_eq!(layout.base_urls, ["https://cached.example"]);
    assert_eq!(contract::problems(&layout), Vec::<String>::new());
    let excluded = |layout: &crate::ShopLayout| {
        layout.excluded_paths.iter().any(|excluded| excluded.pattern == "bootstrap/cache/config.php")
    };
    assert!(excluded(&layout), "it is made anew from .env");
    std::fs::remove_file(shop.root.join(".env")).unwrap();
    let layout = shop.detect().layout;
    assert!(!excluded(&layout), "it is the only source of the credentials");
    assert_eq!(layout.database.unwrap().name, b"fixture_cached");
}

#[test]
fn an_address_in_one_line_beats_the_parts() {
    let layout = Shop::copy("laravel-11").detect().layout;
    let database = layout.database.as_ref().unwrap();
    assert_eq!((database.user.as_slice(), database.password.expose()), (&b"us@er"[..], &b"p#w/"[..]));
    assert_eq!(
        (database.name.as_slice(), database.socket.as_deref()),
        (&b"fixture_url"[..], Some(Path::new("/run/fixture.sock")))
    );
    let shop = Shop::copy("bagisto-2");
    let env = std::fs::read_to_string(shop.root.join(".env")).unwrap();
    shop.write(".env", format!("{env}DB_URL=mysql://other:w@db.example/fixture_line\n"));
    let database = shop.detect().layout.database.unwrap();
    assert_eq!(
        (database.name.as_slice(), database.host.as_deref(), database.port),
        (&b"fixture_line"[..], Some("db.example"), Some(3307))
    );
}

#[test]
fn the_real_environment_beats_env_and_chooses_it() {
    let shop = Shop::copy("bagisto-2");
    let set = |name: &str, value: &str| {
        KnownEnvironment(BTreeMap::from([(name.as_bytes().to_vec(), value.as_bytes().to_vec())]))
    };
    let name = |environment: &KnownEnvironment| {
        detect(&shop.root, environment).unwrap().layout.database.unwrap().name
    };
    assert_eq!(name(&set("DB_DATABASE", "real")), b"real");
    let env = std::fs::read_to_string(shop.root.join(".env")).unwrap();
    shop.write(".env.staging", env.replace("fixture_bg", "fixture_staging"));
    assert_eq!(name(&set("APP_ENV", "staging")), b"fixture_staging");
    assert_eq!(name(&set("APP_ENV", "../../etc")), b"fixture_bg");
}

#[test]
fn another_vendor_and_a_switch_in_the_cache_are_said() {
    let shop = Shop::copy("bagisto-2");
    shop.replace(".env", "DB_CONNECTION=mysql", "DB_CONNECTION=sqlite\nAPP_MAINTENANCE_DRIVER=cache");
    let layout = shop.detect().layout;
    assert_eq!(layout.unclear[0].obstacle, Obstacle::Unsupported);
    assert!(matches!(layout.maintenance, Maintenance::None { .. }));
}
