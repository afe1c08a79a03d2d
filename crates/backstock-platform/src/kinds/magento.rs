//! Magento 2.4, Adobe Commerce and Mage-OS: `app/etc/env.php`, overlaid by environment variables.
//!
//! Read in magento/magento2 2.4.6-p4: `lib/internal/Magento/Framework/App/DeploymentConfig.php`,
//! `.../DB/Adapter/Pdo/Mysql.php`, `.../App/MaintenanceMode.php`.

use std::path::Path;

use crate::environment::{Environment, Lookup};
use crate::error::Result;
use crate::folder::Folder;
use crate::kinds::{Confidence, Match, Platform};
use crate::layout::{Condition, Obstacle, Query, ShopLayout};
use crate::matters::{self, PlatformRows};
use crate::php_config::{self, Data, Evaluated, Key, Reading, Value};
use crate::reading::{Credentials, LocalPort};
use crate::sanity::{SanityCheck, SanityCondition, SanitySource, SanitySubject, is};
use crate::step::{Maintenance, ShopPath, Step};
use crate::versions;

const ENV_PHP: &str = "app/etc/env.php";
const CONFIG_PHP: &str = "app/etc/config.php";
/// Most connections that are looked at.
const CONNECTIONS_LIMIT: usize = 32;

const PACKAGES: &[&str] = &[
    "magento/product-enterprise-edition",
    "magento/product-community-edition",
    "mage-os/product-community-edition",
];

const EXCLUDED: &[(&str, &str)] = &[
    ("cache cache_tag session", "caches and sessions"),
    ("cron_schedule", "past and coming runs of cron, planned anew"),
    (
        "report_event report_viewed_product_index report_compared_product_index report_viewed_product_aggregated_daily report_viewed_product_aggregated_monthly report_viewed_product_aggregated_yearly reporting_counts reporting_module_status reporting_orders reporting_system_updates reporting_users",
        "statistics",
    ),
    (
        "customer_visitor customer_log admin_user_session password_reset_request_event captcha_log sendfriend_log",
        "logs of visits and sign-ins",
    ),
    ("oauth_nonce oauth_token_request_log login_as_customer", "one-time tokens"),
    (
        "magento_bulk magento_operation magento_acknowledged_bulk queue_message queue_message_status queue_lock queue_poison_pill",
        "jobs in flight",
    ),
    (
        "search_query import_history importexport_importdata adminnotification_inbox",
        "statistics and past imports",
    ),
];
const PROTECTED: &[(&str, &str)] = &[
    ("sales_*", "orders, invoices, credit notes"),
    ("sequence_*", "their AUTO_INCREMENT is the next order number"),
    (
        "*_cl mview_state indexer_state",
        "change logs: their AUTO_INCREMENT is the version the indexers continue from",
    ),
    ("quote quote_*", "open baskets"),
    (
        "customer_entity* customer_address_entity* customer_group customer_form_attribute customer_eav_attribute*",
        "customers",
    ),
    ("catalog_* eav_* inventory_* catalogrule salesrule*", "the catalogue, stock and rules"),
    (
        "store store_* core_config_data cms_* url_rewrite theme translation setup_module patch_list",
        "settings and pages",
    ),
    (
        "admin_user authorization_* integration oauth_consumer oauth_token vault_payment_token",
        "staff, rights and tokens",
    ),
];
const IMPORTANT: &[&str] = &[
    "catalog_product_entity",
    "catalog_category_entity",
    "sales_order",
    "customer_entity",
    "core_config_data",
    "store",
];

/// Magento 2.
#[derive(Debug)]
pub(super) struct Magento;

impl Platform for Magento {
    fn name(&self) -> &'static str {
        "magento"
    }

    fn title(&self) -> &'static str {
        "Magento"
    }

    fn rows(&self) -> PlatformRows {
        matters::MAGENTO
    }

    fn recognise(&self, root: &Folder) -> Option<Match> {
        let program = root.has_file("bin/magento");
        let found = |confidence, why: &str| Some(Match { confidence, why: why.to_owned() });
        if root.has_file(ENV_PHP) && (program || root.has_file(CONFIG_PHP)) {
            return found(
                Confidence::Certain,
                "app/etc/env.php is there, with bin/magento or app/etc/config.php",
            );
        }
        if program && root.has_folder("app/etc") {
            return found(
                Confidence::Likely,
                "bin/magento is there, app/etc/env.php is not: it is not installed",
            );
        }
        None
    }

    fn layout(&self, root: &Folder, environment: &dyn Environment) -> Result<ShopLayout> {
        let mut layout = ShopLayout::empty(self.name(), self.title(), root.root().to_owned());
        if let Some((package, version)) = versions::locked(root, PACKAGES) {
            layout.version = Some(version);
            layout.title = match package.as_str() {
                "magento/product-enterprise-edition" => "Adobe Commerce",
                "mage-os/product-community-edition" => "Mage-OS",
                _ => "Magento",
            }
            .to_owned();
        }
        let file = root.at(ENV_PHP);
        layout.config_files.push(file.clone());
        let reading = Reading::new(root, environment);
        let mut production = false;
        match php_config::read(&reading, &file) {
            Ok(config) => {
                layout.config_files.extend(config.files.iter().skip(1).cloned());
                take_env(&mut layout, &config, environment, &file);
                production =
                    config.at(&["MAGE_MODE"]).to_text().is_some_and(|mode| mode.as_ref() == b"production");
            }
            Err(unread) => layout.configuration_unread(&file, unread),
        }
        if root.has_file(CONFIG_PHP) {
            layout.config_files.push(root.at(CONFIG_PHP));
            if let Ok(config) = php_config::read(&reading, &root.at(CONFIG_PHP)) {
                take_locked_urls(&mut layout, &config);
            }
        }
        layout.set_tables(EXCLUDED, PROTECTED, IMPORTANT);
        exclude_paths(&mut layout, production);
        describe_database(&mut layout);
        after_restore(&mut layout, production);
        Ok(layout)
    }

    fn sanity(&self, layout: &ShopLayout) -> Vec<SanityCheck> {
        let name = |name: &str| format!("{}{name}", layout.prefix());
        let of_products = SanityCondition::Among {
            column: "entity_type_id".to_owned(),
            table: name("eav_entity_type"),
            of: "entity_type_id".to_owned(),
            conditions: vec![is("entity_type_code", "catalog_product")],
        };
        let status = SanityCondition::Among {
            column: "attribute_id".to_owned(),
            table: name("eav_attribute"),
            of: "attribute_id".to_owned(),
            conditions: vec![is("attribute_code", "status"), of_products],
        };
        let mut products =
            SanitySource::of(name("catalog_product_entity_int")).with("value", "1").with("store_id", "0");
        products.conditions.push(status);
        vec![
            SanityCheck::one(
                SanitySubject::NewestOrder,
                SanitySource::of(name("sales_order")).newest("entity_id", &["increment_id", "created_at"]),
            ),
            SanityCheck::one(SanitySubject::ActiveProducts, products),
            SanityCheck::one(
                SanitySubject::AdminAccounts,
                SanitySource::of(name("admin_user")).with("is_active", "1"),
            ),
        ]
    }
}

fn take_env(layout: &mut ShopLayout, config: &Evaluated, environment: &dyn Environment, file: &Path) {
    let override_json = environment.lookup(b"MAGENTO_DC__OVERRIDE");
    if let Lookup::Set(_) = override_json {
        layout.unclear.push(crate::layout::Unclear {
            what: "the database".to_owned(),
            why: "the environment variable MAGENTO_DC__OVERRIDE replaces parts of env.php".to_owned(),
            obstacle: Obstacle::Undecidable,
            flags: crate::reading::DATABASE_FLAGS.iter().map(|flag| (*flag).to_owned()).collect(),
        });
        return;
    }
    let prefix = setting(config, &["db", "table_prefix"], environment);
    // A shop without a prefix may leave the key out.
    layout.take_prefix(&if matches!(prefix.data, Data::Absent(_)) { Value::text(*b"") } else { prefix });
    let resource = setting(config, &["resource", "default_setup", "connection"], environment);
    let main = resource
        .to_text()
        .map_or_else(|| "default".to_owned(), |name| String::from_utf8_lossy(&name).into_owned());
    layout.take_database(&connection(config, &main, environment), file);
    take_further(layout, config, &main, environment, file);
    take_locked_urls(layout, config);
    let text =
        |keys: &[&str]| config.at(keys).to_text().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if let Some(driver) = text(&["remote_storage", "driver"])
        && driver != "file"
    {
        layout.warnings.push(format!(
            "media lies on a remote storage ({driver}), not in pub/media: it is not part of the files"
        ));
    }
    if text(&["session", "save"]).as_deref() == Some("db") {
        layout
            .warnings
            .push("visitors' sessions are in the database; their contents are left out".to_owned());
    }
}

/// A value, after `MAGENTO_DC_…` variables and `#env(…)`.
fn setting(config: &Evaluated, keys: &[&str], environment: &dyn Environment) -> Value {
    let name = format!("MAGENTO_DC_{}", keys.join("__").to_uppercase());
    if let Lookup::Set(value) = environment.lookup(name.as_bytes()) {
        return Value::text(value);
    }
    from_environment(config.at(keys), environment)
}

/// `#env(NAME)` and `#env(NAME, "default")`.
fn from_environment(value: Value, environment: &dyn Environment) -> Value {
    let Data::Text(bytes) = &value.data else { return value };
    let text = String::from_utf8_lossy(bytes);
    let Some(inner) = text.trim().strip_prefix("#env(").and_then(|rest| rest.strip_suffix(')')) else {
        return value;
    };
    let (name, fallback) = match inner.split_once(',') {
        Some((name, fallback)) => (name.trim(), Some(fallback.trim().trim_matches(['"', '\'']))),
        None => (inner.trim(), None),
    };
    let name = name.trim_matches(['"', '\'']);
    match (environment.lookup(name.as_bytes()), fallback) {
        (Lookup::Set(value), _) => Value::text(value),
        (Lookup::NotSet, Some(fallback)) => Value::text(fallback.as_bytes()),
        (Lookup::Unknown, Some(fallback)) => {
            Value::text(fallback.as_bytes()).assuming(&format!("the environment variable {name} is not set"))
        }
        (_, None) => Value::unknown(format!("it is the environment variable {name}")),
    }
}

fn connection(config: &Evaluated, name: &str, environment: &dyn Environment) -> Credentials {
    let value = |key: &str| setting(config, &["db", "connection", name, key], environment);
    Credentials {
        host: value("host"),
        port: None,
        socket: None,
        name: value("dbname"),
        user: value("username"),
        password: match value("password") {
            absent if matches!(absent.data, Data::Absent(_)) => Value::text(*b""),
            password => password,
        },
        local_port: LocalPort::Ignored,
    }
}

/// Other active connections that lead to another database (the split database of Adobe Commerce).
fn take_further(
    layout: &mut ShopLayout,
    config: &Evaluated,
    main: &str,
    environment: &dyn Environment,
    file: &Path,
) {
    let connections = config.at(&["db", "connection"]);
    let Data::Array(map) = &connections.data else { return };
    for (key, value) in map.in_order().into_iter().take(CONNECTIONS_LIMIT) {
        let Key::Text(name) = key else { continue };
        let name = String::from_utf8_lossy(name).into_owned();
        if name == main || value.at(&["active"]).truth() == Some(false) {
            continue;
        }
        let mut ignored = Vec::new();
        let Ok(settings) = connection(config, &name, environment).settings(file, &mut ignored) else {
            layout.warnings.push(format!("the connection {name} of env.php is not clear and is left out"));
            continue;
        };
        let same = |known: &crate::settings::DatabaseSettings| {
            (&known.name, &known.host, known.port, &known.socket)
                == (&settings.name, &settings.host, settings.port, &settings.socket)
        };
        if !layout.database.iter().chain(&layout.further_databases).any(same) {
            layout.warnings.push(format!(
                "the connection {name} of env.php leads to a further database ({}): it needs a backup of its own",
                String::from_utf8_lossy(&settings.name)
            ));
            layout.further_databases.push(settings);
        }
    }
}

/// Addresses that are locked in files win over the database.
fn take_locked_urls(layout: &mut ShopLayout, config: &Evaluated) {
    let mut take = |scope: &Value| {
        for security in ["secure", "unsecure"] {
            let url = scope.at(&["web", security, "base_url"]);
            if url.to_text().is_some_and(|text| !text.starts_with(b"{{")) {
                layout.take_base_url(&url);
            }
        }
    };
    take(&config.at(&["system", "default"]));
    for scope in ["websites", "stores"] {
        if let Data::Array(map) = &config.at(&["system", scope]).data {
            map.in_order().into_iter().take(CONNECTIONS_LIMIT).for_each(|(_, value)| take(value));
        }
    }
}

fn exclude_paths(layout: &mut ShopLayout, production: bool) {
    for (path, why) in [
        ("var/cache", "cache"),
        ("var/page_cache", "cached pages"),
        ("var/view_preprocessed", "prepared templates, made on demand"),
        ("var/session", "sessions"),
        ("var/log", "logs"),
        ("var/report", "error reports"),
        ("var/tmp", "temporary files"),
        ("var/export", "exports, made on demand"),
        ("var/import*", "files of past imports"),
        ("var/backups", "old backups of the shop's own tool"),
        ("var/composer_home", "Composer's cache"),
        ("pub/media/catalog/product/cache", "resized pictures, made on demand"),
        ("pub/media/tmp", "temporary files"),
        ("pub/media/import", "files of past imports"),
        ("pub/media/captcha", "pictures of past captchas"),
    ] {
        layout.exclude(path, why, !path.contains('*'), &[".htaccess"]);
    }
    layout.exclude("node_modules", "packages of the development tools", false, &[]);
    if production {
        // Without them a production shop needs minutes of PHP before it answers again.
        layout.warnings.push(
            "the shop runs in production mode: generated/ and pub/static are kept, so that a restore answers at once"
                .to_owned(),
        );
        return;
    }
    layout.exclude("generated/code", "generated classes, made on demand", true, &[]);
    layout.exclude("generated/metadata", "generated wiring, made on demand", true, &[]);
    layout.exclude(
        "pub/static",
        "published scripts and styles, made on demand",
        true,
        &[".htaccess", "deployed_version.txt"],
    );
}

fn describe_database(layout: &mut ShopLayout) {
    layout.maintenance = Maintenance::File {
        path: ShopPath::root("var/.maintenance.flag"),
        content: String::new(),
        also_remove: Vec::new(),
    };
    layout.base_url_queries = vec![Query {
        table: format!("{}core_config_data", layout.prefix()),
        columns: vec!["value".to_owned()],
        conditions: vec![Condition {
            column: "path".to_owned(),
            any_of: vec!["web/secure/base_url".to_owned(), "web/unsecure/base_url".to_owned()],
        }],
        lead: String::new(),
        why: "the addresses at every scope; those in files win".to_owned(),
    }];
}

fn after_restore(layout: &mut ShopLayout, production: bool) {
    let mut caches = vec!["var/cache", "var/page_cache", "var/view_preprocessed"];
    if !production {
        caches.push("generated/code");
    }
    for path in caches {
        layout.after_restore.push(Step::ClearFolder {
            path: ShopPath::root(path),
            keep: vec![".htaccess".to_owned()],
            why: "it still holds what was before the restore".to_owned(),
        });
    }
    for (command, why) in [
        ("cache:flush", "drops caches outside the folder too (Redis, Varnish)"),
        ("setup:upgrade", "brings data and code to the same version"),
        ("setup:di:compile", "makes the generated classes"),
        ("indexer:reindex", "fills the search engine, which is outside the database"),
    ] {
        layout.after_restore.push(Step::Run {
            program: "php".to_owned(),
            arguments: vec!["bin/magento".to_owned(), command.to_owned()],
            folder: ShopPath::root(""),
            why: why.to_owned(),
        });
    }
    layout.after_restore.push(Step::Tell(
        "Magento's cron (the crontab block between #~ MAGENTO START and #~ MAGENTO END) writes on in maintenance mode: \
         stop it before a restore"
            .to_owned(),
    ));
}
