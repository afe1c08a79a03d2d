//! Magento: connections, `#env`, environment variables, locked addresses, production mode.

use std::collections::BTreeMap;

use super::Shop;
use crate::{Certainty, KnownEnvironment, Maintenance, Obstacle, ShopPath, Step, detect};

const ENV: &str = "app/etc/env.php";

#[test]
fn magento_with_every_kind_of_connection() {
    let shop = Shop::copy("magento-2.4");
    let layout = shop.detect().layout;
    let database = layout.database.as_ref().unwrap();
    assert_eq!((database.host.as_deref(), database.port), (Some("127.0.0.1"), Some(3307)));
    assert_eq!(
        (database.name.as_slice(), database.password.expose()),
        (&b"fixture_mg"[..], &b"fixture-word"[..])
    );
    let further: Vec<_> = layout.further_databases.iter().map(|settings| settings.name.as_slice()).collect();
    assert_eq!(further, [b"fixture_checkout"], "the indexer is the same database, idle is off");
    assert!(layout.warnings.iter().any(|warning| warning.contains("fixture_checkout")));
    assert_eq!(layout.table_prefix.as_deref(), Some("mg_"));
    assert_eq!(layout.base_urls, ["https://locked.example/", "https://de.locked.example/"]);
    assert_eq!(
        layout.maintenance,
        Maintenance::File {
            path: ShopPath::root("var/.maintenance.flag"),
            content: String::new(),
            also_remove: Vec::new()
        }
    );
    let commands: Vec<_> = layout
        .after_restore
        .iter()
        .filter_map(
            |step| if let Step::Run { arguments, .. } = step { Some(arguments.join(" ")) } else { None },
        )
        .collect();
    assert_eq!(
        commands,
        [
            "bin/magento cache:flush",
            "bin/magento setup:upgrade",
            "bin/magento setup:di:compile",
            "bin/magento indexer:reindex"
        ]
    );
}

#[test]
fn hosts_in_every_form() {
    for (host, expected) in [
        ("'/run/fixture.sock'", (None, None, Some("/run/fixture.sock"))),
        ("'localhost'", (Some("localhost"), None, None)),
        ("'db:3306'", (Some("db"), Some(3306), None)),
        ("'#env(DB_HOST, \"db\")'", (Some("db"), None, None)),
        ("'127.0.0.1' . ':' . '3307'", (Some("127.0.0.1"), Some(3307), None)),
    ] {
        let shop = Shop::copy("magento-2.4");
        shop.replace(
            ENV,
            "'host' => '127.0.0.1:3307', 'dbname' => FIXTURE_DB",
            &format!("'host' => {host}, 'dbname' => FIXTURE_DB"),
        );
        let layout = shop.detect().layout;
        let database = layout.database.as_ref().unwrap_or_else(|| panic!("{host}: {:?}", layout.unclear));
        let socket = database.socket.as_deref().and_then(|socket| socket.to_str());
        assert_eq!((database.host.as_deref(), database.port, socket), expected, "{host}");
        assert_eq!(matches!(database.certainty, Certainty::Assumed(_)), host.contains("#env"), "{host}");
    }
    let shop = Shop::copy("magento-2.4");
    shop.replace(
        ENV,
        "'host' => '127.0.0.1:3307', 'dbname' => FIXTURE_DB",
        "'host' => '#env(DB_HOST)', 'dbname' => FIXTURE_DB",
    );
    let layout = shop.detect().layout;
    assert_eq!(layout.unclear[0].obstacle, Obstacle::Undecidable);
    assert_eq!(layout.unclear[0].flags, ["--database-host"]);
}

#[test]
fn environment_variables_beat_the_file() {
    let shop = Shop::copy("magento-2.4");
    let set = |name: &str, value: &str| {
        KnownEnvironment(BTreeMap::from([(name.as_bytes().to_vec(), value.as_bytes().to_vec())]))
    };
    let environment = set("MAGENTO_DC_DB__CONNECTION__DEFAULT__DBNAME", "from_outside");
    let layout = detect(&shop.root, &environment).unwrap().layout;
    assert_eq!(layout.database.unwrap().name, b"from_outside");
    let layout = detect(&shop.root, &set("MAGENTO_DC__OVERRIDE", "{}")).unwrap().layout;
    assert!(layout.database.is_none());
    assert!(layout.unclear[0].why.contains("MAGENTO_DC__OVERRIDE"));
}

#[test]
fn a_file_that_is_split_by_include() {
    let shop = Shop::copy("magento-2.4");
    let text = std::fs::read_to_string(shop.root.join(ENV)).unwrap();
    shop.write("app/etc/env.base.php", &text);
    shop.write(ENV, "<?php\nreturn array_replace_recursive(include __DIR__ . '/env.base.php', ['db' => ['connection' => ['default' => ['dbname' => 'fixture_split']]]]);\n");
    let layout = shop.detect().layout;
    let database = layout.database.unwrap();
    assert_eq!(
        (database.name.as_slice(), database.user.as_slice()),
        (&b"fixture_split"[..], &b"fixture_user"[..])
    );
    assert!(layout.config_files.contains(&shop.root.join("app/etc/env.base.php")));
}

#[test]
fn a_missing_prefix_is_an_empty_one_and_media_elsewhere_is_told() {
    let shop = Shop::copy("magento-2.4");
    shop.replace(ENV, "'table_prefix' => 'mg_',", "").replace(
        ENV,
        "'driver' => 'file'",
        "'driver' => 'aws-s3'",
    );
    let layout = shop.detect().layout;
    assert_eq!(layout.table_prefix.as_deref(), Some(""));
    assert!(layout.warnings.iter().any(|warning| warning.contains("aws-s3")));
}

#[test]
fn production_mode_keeps_what_only_minutes_of_php_could_make() {
    let shop = Shop::copy("magento-2.4");
    let excluded = |shop: &Shop| {
        let layout = shop.detect().layout;
        layout.excluded_paths.into_iter().map(|excluded| excluded.pattern).collect::<Vec<_>>()
    };
    assert!(excluded(&shop).contains(&"pub/static".to_owned()));
    shop.replace(ENV, "'developer'", "'production'");
    let kept = excluded(&shop);
    assert!(!kept.contains(&"pub/static".to_owned()) && !kept.contains(&"generated/code".to_owned()));
    assert!(kept.contains(&"var/cache".to_owned()));
}
