//! PrestaShop: the odd forms of `parameters.php`, YAML, 1.6, the caches that point at another database.

use super::Shop;
use crate::{Certainty, Maintenance, Obstacle, ShopPath, Step};

const PARAMETERS: &str = "app/config/parameters.php";

#[test]
fn prestashop_8_as_installed() {
    let shop = Shop::copy("prestashop-8");
    let layout = shop.detect().layout;
    let database = layout.database.as_ref().unwrap();
    assert_eq!(database.password.expose(), br"a%b'c\d", "per cent signs are doubled in the file");
    assert_eq!((database.host.as_deref(), database.port), (Some("127.0.0.1"), Some(3307)));
    assert_eq!(database.name, b"fixture_ps", "the cached copy of the parameters is not read");
    assert_eq!(database.certainty, Certainty::Stated);
    let Maintenance::Setting { table, on, off, matching, .. } = &layout.maintenance else { panic!() };
    assert_eq!((table.as_str(), on.as_str(), off.as_str()), ("ps_configuration", "0", "1"));
    assert_eq!(matching, &[("name".to_owned(), "PS_SHOP_ENABLE".to_owned())]);
    assert!(layout.excluded_paths.iter().any(|excluded| excluded.pattern == "admin1a2b3c/autoupgrade"));
    let cleared = |path: &str| {
        let path = ShopPath::root(path);
        layout
            .after_restore
            .iter()
            .any(|step| matches!(step, Step::ClearFolder { path: cleared, .. } if *cleared == path))
    };
    assert!(cleared("var/cache"), "a kept cache connects to the old database");
}

#[test]
fn prestashop_9_with_a_port_in_its_host_and_another_prefix() {
    let layout = Shop::copy("prestashop-9").detect().layout;
    let database = layout.database.as_ref().unwrap();
    assert_eq!((database.host.as_deref(), database.port), (Some("db.example"), Some(3308)));
    assert_eq!(layout.table_prefix.as_deref(), Some("x7_"));
    assert_eq!(layout.base_url_queries[0].table, "x7_shop_url");
}

#[test]
fn ports_and_hosts_in_every_form() {
    for (host, port, expected) in [
        ("'127.0.0.1'", "NULL", (Some("127.0.0.1"), None, None)),
        ("'127.0.0.1'", "3307", (Some("127.0.0.1"), Some(3307), None)),
        ("'127.0.0.1'", "(int) '3307'", (Some("127.0.0.1"), Some(3307), None)),
        ("'db.example:3307'", "''", (Some("db.example"), Some(3307), None)),
        ("'localhost:/run/x.sock'", "''", (Some("localhost"), None, Some("/run/x.sock"))),
        ("getenv('FIXTURE_DB') ?: 'fallback.example'", "''", (Some("fallback.example"), None, None)),
        ("$_ENV['FIXTURE_DB'] ?? 'fallback.example'", "''", (Some("fallback.example"), None, None)),
        ("'localhost'", "'3307'", (Some("localhost"), None, None)),
    ] {
        let shop = Shop::copy("prestashop-8");
        shop.replace(PARAMETERS, "'127.0.0.1'", host).replace(PARAMETERS, "'3307'", port);
        let layout = shop.detect().layout;
        let database = layout.database.as_ref().unwrap_or_else(|| panic!("{host}: {:?}", layout.unclear));
        let socket = database.socket.as_deref().and_then(|socket| socket.to_str());
        assert_eq!((database.host.as_deref(), database.port, socket), expected, "{host} {port}");
        let assumed = matches!(database.certainty, Certainty::Assumed(_));
        assert_eq!(assumed, host.contains("FIXTURE_DB"), "{host}");
    }
}

#[test]
fn a_variable_before_the_return() {
    let shop = Shop::copy("prestashop-8");
    shop.replace(PARAMETERS, "<?php return", "<?php $dbHost = 'db.example'; $all =")
        .replace(PARAMETERS, "'127.0.0.1'", "$dbHost")
        .replace(PARAMETERS, ");\n", "); return $all;\n");
    let shop_text = std::fs::read_to_string(shop.root.join(PARAMETERS)).unwrap();
    assert!(shop_text.contains("return $all"));
    assert_eq!(shop.detect().layout.database.unwrap().host.as_deref(), Some("db.example"));
}

#[test]
fn symfonys_environment_parameters_are_asked_for() {
    let shop = Shop::copy("prestashop-8");
    shop.replace(PARAMETERS, "'127.0.0.1'", "'%env(DATABASE_HOST)%'");
    let detection = shop.detect();
    assert_eq!(detection.layout.unclear[0].obstacle, Obstacle::Undecidable);
    assert!(detection.layout.unclear[0].why.contains("DATABASE_HOST"));
}

#[test]
fn yaml_alone_is_read_and_php_beats_it() {
    let shop = Shop::copy("prestashop-yaml");
    let database = shop.detect().layout.database.unwrap();
    assert_eq!(
        (database.name.as_slice(), database.password.expose()),
        (&b"fixture_yaml"[..], &b"it's 50%"[..])
    );
    let php = std::fs::read_to_string(super::fixtures().join("prestashop-8").join(PARAMETERS)).unwrap();
    shop.write(PARAMETERS, php);
    assert_eq!(shop.detect().layout.database.unwrap().name, b"fixture_ps");
}

#[test]
fn the_settings_of_version_1_6() {
    let layout = Shop::copy("prestashop-1.6").detect().layout;
    let database = layout.database.as_ref().unwrap();
    assert_eq!(database.socket.as_deref(), Some(std::path::Path::new("/run/fixture.sock")));
    assert_eq!((layout.table_prefix.as_deref(), database.password.expose()), (Some(""), &b""[..]));
}
