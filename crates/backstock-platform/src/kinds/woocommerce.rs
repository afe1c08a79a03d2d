//! WordPress with or without WooCommerce, in its plain, sub-folder and Bedrock layouts.
//!
//! Read in WordPress 6.7.1 (`wp-load.php`, `wp-includes/class-wpdb.php`, `wp-includes/load.php`) and WooCommerce 9.5.1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::dotenv;
use crate::environment::{Environment, Layered};
use crate::error::Result;
use crate::folder::{CONFIG_LIMIT_BYTES, Folder};
use crate::kinds::{Confidence, Match, Platform};
use crate::layout::{Condition, Obstacle, Query, ShopLayout};
use crate::matters::{self, PlatformRows};
use crate::php_config::{self, Data, Evaluated, Reading, Unread, Value};
use crate::reading::{Credentials, LocalPort};
use crate::sanity::{SanityCheck, SanityCondition, SanitySource, SanitySubject};
use crate::step::{Maintenance, ShopPath, Step};
use crate::versions;

/// Files that start WordPress; following them leads away from the configuration.
const NEVER_FOLLOW: &[&str] =
    &["wp-settings.php", "wp-load.php", "wp-blog-header.php", "index.php", "autoload.php"];
/// The configuration of Bedrock.
const BEDROCK: &str = "config/application.php";

const EXCLUDED: &[(&str, &str)] = &[
    ("woocommerce_sessions", "sessions of visitors"),
    ("woocommerce_log actionscheduler_logs", "logs"),
    ("actionscheduler_claims wc_rate_limits wc_reserved_stock", "work in flight"),
    ("wc_admin_notes wc_admin_note_actions", "notes to the administrator"),
];
const PROTECTED: &[(&str, &str)] = &[
    (
        "posts postmeta options users usermeta terms term_taxonomy term_relationships termmeta comments commentmeta links",
        "WordPress's own data",
    ),
    (
        "wc_orders* wc_order_addresses wc_order_operational_data woocommerce_order_items woocommerce_order_itemmeta",
        "orders",
    ),
    (
        "woocommerce_tax_rates* woocommerce_shipping_zone* woocommerce_attribute_taxonomies wc_tax_rate_classes",
        "settings",
    ),
    (
        "woocommerce_payment_tokens* woocommerce_payment_tokenmeta woocommerce_downloadable_product_permissions wc_product_download_directories",
        "payments and downloads",
    ),
    ("woocommerce_api_keys wc_webhooks actionscheduler_actions", "connections and work to come"),
];
const IMPORTANT: &[&str] = &["posts", "postmeta", "options", "users", "usermeta", "terms"];

/// WordPress and WooCommerce.
#[derive(Debug)]
pub(super) struct WooCommerce;

/// Where the parts of a WordPress are, relative to the root.
struct Places {
    /// WordPress itself, empty for the root.
    wordpress: String,
    /// The content folder.
    content: String,
    bedrock: bool,
}

impl Platform for WooCommerce {
    fn name(&self) -> &'static str {
        "woocommerce"
    }

    fn title(&self) -> &'static str {
        "WooCommerce"
    }

    fn rows(&self) -> PlatformRows {
        matters::WOOCOMMERCE
    }

    fn recognise(&self, root: &Folder) -> Option<Match> {
        let places = places(root)?;
        let plugin = root.has_file(&join(&places.content, "plugins/woocommerce/woocommerce.php"));
        let what = if plugin { "WordPress and the WooCommerce plugin are" } else { "WordPress is" };
        let place =
            if places.wordpress.is_empty() { String::new() } else { format!(" in {}", places.wordpress) };
        Some(Match { confidence: Confidence::Certain, why: format!("{what} there{place}") })
    }

    fn layout(&self, root: &Folder, environment: &dyn Environment) -> Result<ShopLayout> {
        let mut layout = ShopLayout::empty(self.name(), "WordPress", root.root().to_owned());
        let Some(mut places) = places(root) else { return Ok(layout) };
        if places.bedrock {
            read_bedrock(&mut layout, root, &mut places, environment);
        } else {
            read_wp_config(&mut layout, root, &mut places, environment);
        }
        take_versions(&mut layout, root, &places);
        layout.set_tables(EXCLUDED, PROTECTED, IMPORTANT);
        exclude_paths(&mut layout, &places);
        describe_database(&mut layout);
        layout.maintenance = Maintenance::File {
            path: ShopPath::root(join(&places.wordpress, ".maintenance")),
            // A stamp of the moment goes stale after ten minutes; asked anew at each request it never does.
            content: "<?php $upgrading = time();\n".to_owned(),
            also_remove: Vec::new(),
        };
        if root.has_file(&join(&places.content, "db.php")) {
            layout.warnings.push("the drop-in db.php may name further database servers".to_owned());
        }
        after_restore(&mut layout, &places);
        Ok(layout)
    }

    fn sanity(&self, layout: &ShopLayout) -> Vec<SanityCheck> {
        let prefix = layout.prefix();
        let table = |name: &str| SanitySource::of(format!("{prefix}{name}"));
        let mut administrators =
            table("usermeta").with("meta_key", &format!("{prefix}capabilities")).shared();
        administrators.conditions.push(SanityCondition::Holds {
            column: "meta_value".to_owned(),
            text: "administrator".to_owned(),
        });
        // Orders are in tables of their own, or among the posts, or in both.
        let orders = vec![
            table("wc_orders").with("type", "shop_order").newest("id", &["id", "date_created_gmt"]).shared(),
            table("posts").with("post_type", "shop_order").newest("ID", &["ID", "post_date_gmt"]).shared(),
        ];
        vec![
            SanityCheck { subject: SanitySubject::NewestOrder, sources: orders },
            SanityCheck::one(
                SanitySubject::ActiveProducts,
                table("posts").with("post_type", "product").with("post_status", "publish").shared(),
            ),
            SanityCheck::one(SanitySubject::AdminAccounts, administrators),
        ]
    }
}

fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

fn is_wordpress(root: &Folder, folder: &str) -> bool {
    root.has_file(&join(folder, "wp-load.php")) && root.has_file(&join(folder, "wp-includes/version.php"))
}

fn places(root: &Folder) -> Option<Places> {
    if is_wordpress(root, "") {
        return Some(Places { wordpress: String::new(), content: "wp-content".to_owned(), bedrock: false });
    }
    if root.has_file(BEDROCK) && is_wordpress(root, "web/wp") {
        return Some(Places { wordpress: "web/wp".to_owned(), content: "web/app".to_owned(), bedrock: true });
    }
    // WordPress in a folder of its own: the root's index.php names it.
    let index = root.read("index.php", CONFIG_LIMIT_BYTES).ok().flatten()?;
    let index = String::from_utf8_lossy(&index).into_owned();
    if !index.contains("wp-blog-header.php") {
        return None;
    }
    let wordpress = root
        .folders_in("")
        .into_iter()
        .find(|name| index.contains(&format!("{name}/wp-blog-header.php")) && is_wordpress(root, name))?;
    let beside = root.has_folder("wp-content");
    let content = if beside { "wp-content".to_owned() } else { join(&wordpress, "wp-content") };
    Some(Places { wordpress, content, bedrock: false })
}

/// `wp-config.php` in WordPress's folder, else one level up when that is not another WordPress.
fn config_file(root: &Folder, places: &Places) -> Option<PathBuf> {
    let folder = root.at(&places.wordpress);
    let inside = folder.join("wp-config.php");
    if inside.is_file() {
        return Some(inside);
    }
    let above = folder.parent()?;
    let file = above.join("wp-config.php");
    (file.is_file() && !above.join("wp-settings.php").exists()).then_some(file)
}

fn read_wp_config(
    layout: &mut ShopLayout,
    root: &Folder,
    places: &mut Places,
    environment: &dyn Environment,
) {
    let Some(file) = config_file(root, places) else {
        let expected = root.at(&join(&places.wordpress, "wp-config.php"));
        let why = "it is neither in WordPress's folder nor one level above";
        return layout.configuration_unread(&expected, Unread::new(Obstacle::Missing, why));
    };
    layout.config_files.push(file.clone());
    let real = file.canonicalize().unwrap_or_else(|_| file.clone());
    if !root.holds(&real) {
        layout.add_outside_file("wp-config", real, "wp-config.php lies outside the folder");
    }
    let wordpress = format!("{}/", root.at(&places.wordpress).display());
    let reading = Reading {
        predefined: vec![("ABSPATH", wordpress.into_bytes())],
        never_follow: NEVER_FOLLOW,
        ..Reading::new(root, environment)
    };
    match php_config::read(&reading, &file) {
        Ok(config) => {
            for included in config.files.iter().skip(1) {
                layout.config_files.push(included.clone());
                if !root.holds(included) {
                    layout.add_outside_file("wp-config-part", included.clone(), "wp-config.php includes it");
                }
            }
            take_configuration(layout, root, &config, &file, places);
        }
        Err(unread) => layout.configuration_unread(&file, unread),
    }
}

/// Bedrock: `.env` gives the values, `config/application.php` makes constants of them.
fn read_bedrock(layout: &mut ShopLayout, root: &Folder, places: &mut Places, environment: &dyn Environment) {
    let mut values = BTreeMap::new();
    for name in [".env", ".env.local"] {
        let file = root.at(name);
        let parsed = match root.read(name, CONFIG_LIMIT_BYTES) {
            Ok(None) => continue,
            Ok(Some(bytes)) => {
                dotenv::parse(&bytes, environment).map_err(|why| Unread::new(Obstacle::Malformed, why))
            }
            Err(error) => Err(error.into()),
        };
        layout.config_files.push(file.clone());
        match parsed {
            Ok(parsed) => values.extend(parsed),
            Err(unread) => return layout.configuration_unread(&file, unread),
        }
        if let Ok(real) = file.canonicalize()
            && !root.holds(&real)
        {
            layout.add_outside_file(name.trim_start_matches('.'), real, "the shop's .env is a link to it");
        }
    }
    let layered = Layered { real: environment, file: &values };
    let file = root.at(BEDROCK);
    layout.config_files.push(file.clone());
    let reading = Reading { never_follow: NEVER_FOLLOW, ..Reading::new(root, &layered) };
    match php_config::read(&reading, &file) {
        Ok(config) => take_configuration(layout, root, &config, &file, places),
        Err(unread) => layout.configuration_unread(&file, unread),
    }
}

fn take_configuration(
    layout: &mut ShopLayout,
    root: &Folder,
    config: &Evaluated,
    file: &Path,
    places: &mut Places,
) {
    let credentials = Credentials {
        host: match config.constant("DB_HOST") {
            // Bedrock leaves it out for localhost.
            absent if places.bedrock && matches!(absent.data, Data::Absent(_)) => Value::text(*b"localhost"),
            host => host,
        },
        port: None,
        socket: None,
        name: config.constant("DB_NAME"),
        user: config.constant("DB_USER"),
        password: config.constant("DB_PASSWORD"),
        local_port: LocalPort::Ignored,
    };
    layout.take_database(&credentials, file);
    layout.take_prefix(&config.variable("table_prefix"));
    for name in ["WP_HOME", "WP_SITEURL"] {
        layout.take_base_url(&config.constant(name));
    }
    if let Some(content) = config.state.constant(b"WP_CONTENT_DIR")
        && let Some((None, path)) = layout.take_folder(root, "content", &content, "the content folder")
    {
        places.content = path;
    }
    for (name, label) in [("WP_PLUGIN_DIR", "plugins"), ("WPMU_PLUGIN_DIR", "mu-plugins")] {
        if let Some(folder) = config.state.constant(name.as_bytes()) {
            layout.take_folder(root, label, &folder, &format!("the {label} folder"));
        }
    }
    if let Some(uploads) = config.state.constant(b"UPLOADS").and_then(|uploads| uploads.to_text()) {
        // Relative to WordPress's folder.
        let base = format!("{}/", root.at(&places.wordpress).display());
        layout.take_folder(
            root,
            "uploads",
            &Value::text([base.as_bytes(), uploads.as_ref()].concat()),
            "the uploads",
        );
    }
    if config.constant("MULTISITE").truth() == Some(true) {
        layout.warnings.push("this is a network of several sites in one database".to_owned());
    }
    for name in ["CUSTOM_USER_TABLE", "CUSTOM_USER_META_TABLE"] {
        if let Some(table) = config.state.constant(name.as_bytes()).and_then(|table| table.to_text()) {
            let table = String::from_utf8_lossy(&table).into_owned();
            layout.warnings.push(format!("the users are in the table {table}, which another site may share"));
        }
    }
}

fn take_versions(layout: &mut ShopLayout, root: &Folder, places: &Places) {
    let read = |path: &str| root.read(path, CONFIG_LIMIT_BYTES).ok().flatten();
    let wordpress = read(&join(&places.wordpress, "wp-includes/version.php"))
        .and_then(|bytes| versions::assigned(&bytes, "$wp_version"));
    let plugin = join(&places.content, "plugins/woocommerce/woocommerce.php");
    if root.has_file(&plugin) {
        layout.title = "WooCommerce".to_owned();
        layout.version = read(&plugin).and_then(|bytes| versions::header(&bytes, "Version"));
        layout.framework =
            Some(wordpress.map_or_else(|| "WordPress".to_owned(), |version| format!("WordPress {version}")));
    } else {
        layout.version = wordpress;
    }
}

fn exclude_paths(layout: &mut ShopLayout, places: &Places) {
    let label = layout
        .outside_folders
        .iter()
        .find(|folder| folder.label == "content")
        .map(|folder| folder.label.clone());
    let within = |path: &str| if label.is_some() { path.to_owned() } else { join(&places.content, path) };
    for (path, why, keep_folder) in [
        ("cache", "cached pages", true),
        ("upgrade", "files of an update in progress", true),
        ("upgrade-temp-backup", "files of an update in progress", true),
        ("litespeed", "cache", true),
        ("et-cache", "cache", true),
        ("wflogs", "logs of a firewall plugin", true),
        ("debug.log", "logs", false),
        ("uploads/wc-logs", "logs", true),
        ("uploads/cache", "cache", true),
        ("updraft", "backups of another program", true),
        ("ai1wm-backups", "backups of another program", true),
        ("backups-dup-*", "backups of another program", false),
        ("uploads/backwpup*", "backups of another program", false),
        ("backup*", "backups of another program", false),
    ] {
        layout.exclude_within(
            label.as_deref(),
            &within(path),
            why,
            keep_folder,
            &["index.php", "index.html", ".htaccess"],
        );
    }
}

fn describe_database(layout: &mut ShopLayout) {
    let prefix = layout.prefix().to_owned();
    layout.base_url_queries = vec![Query {
        table: format!("{prefix}options"),
        columns: vec!["option_value".to_owned()],
        conditions: vec![Condition {
            column: "option_name".to_owned(),
            any_of: vec!["home".to_owned(), "siteurl".to_owned()],
        }],
        lead: String::new(),
        why: "the site's addresses, unless wp-config.php sets WP_HOME and WP_SITEURL".to_owned(),
    }];
}

fn after_restore(layout: &mut ShopLayout, places: &Places) {
    layout.after_restore.push(Step::ClearFolder {
        path: ShopPath::root(join(&places.content, "cache")),
        keep: vec!["index.php".to_owned(), "index.html".to_owned(), ".htaccess".to_owned()],
        why: "cached pages are those from before the restore".to_owned(),
    });
    if layout.table_prefix.is_some() {
        let table = format!("{}options", layout.prefix()).replace('`', "``");
        layout.after_restore.push(Step::Sql {
            statement: format!(
                "DELETE FROM `{table}` WHERE `option_name` LIKE '\\_transient\\_%' OR `option_name` LIKE '\\_site\\_transient\\_%'"
            ),
            why: "transients are caches".to_owned(),
        });
        layout.after_restore.push(Step::Sql {
            statement: format!(
                "UPDATE `{table}` SET `option_value` = '' WHERE `option_name` = 'rewrite_rules'"
            ),
            why: "the rules are built anew at the next request".to_owned(),
        });
    }
    layout.after_restore.push(Step::Tell(
        "flush the object cache (Redis, Memcached) if one is used: it brings old options back".to_owned(),
    ));
}
