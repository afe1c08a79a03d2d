//! OpenCart 3 and 4: two `config.php` files full of constants, and a storage folder that is often outside the root.
//!
//! Read in opencart/opencart 3.0.4.1 and 4.1.0.3: `config.php`, `admin/config.php`, `system/startup.php`, `index.php`.

use crate::environment::Environment;
use crate::error::Result;
use crate::folder::{CONFIG_LIMIT_BYTES, Folder};
use crate::kinds::{Confidence, Match, Platform};
use crate::layout::{Condition, Query, ShopLayout};
use crate::matters::{self, PlatformRows};
use crate::php_config::{self, Evaluated, Reading, Value};
use crate::reading::{Credentials, LocalPort};
use crate::sanity::{SanityCheck, SanitySource, SanitySubject};
use crate::step::{Maintenance, ShopPath, Step};

/// Files that start the shop; following them leads away from the configuration.
const NEVER_FOLLOW: &[&str] = &["startup.php", "index.php"];

/// Contents that are not worth keeping.
const EXCLUDED: &[(&str, &str)] = &[
    ("session api_session customer_online", "sessions of visitors"),
    ("customer_activity customer_search customer_login user_login", "logs of visits and sign-ins"),
    ("user_token customer_token", "one-time tokens"),
    ("api_history statistics product_viewed product_report marketing_report download_report", "statistics"),
    ("notification", "notes to the administrator"),
];
/// Contents that always travel.
const PROTECTED: &[(&str, &str)] = &[
    ("order order_*", "orders"),
    ("customer address customer_transaction customer_reward", "customers"),
    ("voucher* coupon* return* subscription* recurring*", "vouchers, returns and subscriptions"),
    ("product product_* category category_* option option_* manufacturer*", "the catalogue"),
    (
        "setting module extension* event startup cron modification theme translation layout* seo_url store",
        "settings",
    ),
    ("user user_group user_authorize api download* upload information*", "staff, downloads and pages"),
];
/// Without these it is no OpenCart.
const IMPORTANT: &[&str] = &["product", "category", "order", "customer", "setting", "user"];

/// OpenCart.
#[derive(Debug)]
pub(super) struct OpenCart;

impl Platform for OpenCart {
    fn name(&self) -> &'static str {
        "opencart"
    }

    fn title(&self) -> &'static str {
        "OpenCart"
    }

    fn rows(&self) -> PlatformRows {
        matters::OPENCART
    }

    fn recognise(&self, root: &Folder) -> Option<Match> {
        let catalog = root.has_folder("catalog/controller");
        if root.has_file("config.php") && catalog && root.has_file("system/startup.php") {
            return Some(Match {
                confidence: Confidence::Certain,
                why: "config.php, catalog/controller and system/startup.php are there".to_owned(),
            });
        }
        let shape = catalog && root.has_folder("system") && root.has_file("index.php");
        shape.then(|| Match {
            confidence: Confidence::Likely,
            why: "catalog/controller and system are there, config.php or system/startup.php is not"
                .to_owned(),
        })
    }

    fn layout(&self, root: &Folder, environment: &dyn Environment) -> Result<ShopLayout> {
        let mut layout = ShopLayout::empty(self.name(), self.title(), root.root().to_owned());
        layout.version = version(root);
        let reading = Reading { never_follow: NEVER_FOLLOW, ..Reading::new(root, environment) };
        let file = root.at("config.php");
        layout.config_files.push(file.clone());
        let admin = admin_folder(root, &reading);
        match php_config::read(&reading, &file) {
            Ok(config) => {
                layout.config_files.extend(config.files.iter().skip(1).cloned());
                take_configuration(&mut layout, root, &config);
            }
            Err(unread) => layout.configuration_unread(&file, unread),
        }
        match admin {
            Some((name, config)) => take_admin(&mut layout, root, &name, &config),
            None => layout.warnings.push(
                "no admin folder was found (a folder whose config.php defines HTTP_CATALOG)".to_owned(),
            ),
        }
        layout.set_tables(EXCLUDED, PROTECTED, IMPORTANT);
        describe_database(&mut layout);
        after_restore(&mut layout);
        Ok(layout)
    }

    fn sanity(&self, layout: &ShopLayout) -> Vec<SanityCheck> {
        let table = |name: &str| SanitySource::of(format!("{}{name}", layout.prefix()));
        vec![
            SanityCheck::one(
                SanitySubject::NewestOrder,
                table("order").newest("order_id", &["order_id", "date_added"]),
            ),
            SanityCheck::one(SanitySubject::ActiveProducts, table("product").with("status", "1")),
            SanityCheck::one(SanitySubject::AdminAccounts, table("user").with("status", "1")),
        ]
    }
}

/// `define('VERSION', '...')` in `index.php`.
fn version(root: &Folder) -> Option<String> {
    let bytes = root.read("index.php", CONFIG_LIMIT_BYTES).ok().flatten()?;
    crate::versions::defined(&bytes, "VERSION")
}

/// The folder, other than `install`, whose `config.php` defines `HTTP_CATALOG`: careful owners rename it.
fn admin_folder(root: &Folder, reading: &Reading<'_>) -> Option<(String, Evaluated)> {
    let mut names = root.folders_in("");
    names.sort_by_key(|name| name != "admin");
    names.into_iter().filter(|name| name != "install" && name != "system" && name != "catalog").find_map(
        |name| {
            let file = format!("{name}/config.php");
            if !root.has_file(&file) {
                return None;
            }
            let config = php_config::read(reading, &root.at(&file)).ok()?;
            config.state.constant(b"HTTP_CATALOG")?;
            Some((name, config))
        },
    )
}

fn take_configuration(layout: &mut ShopLayout, root: &Folder, config: &Evaluated) {
    let file = root.at("config.php");
    if let Some(driver) = config.state.constant(b"DB_DRIVER").and_then(|driver| driver.to_text())
        && driver.as_ref() == b"pgsql"
    {
        layout.unclear.push(crate::layout::Unclear {
            what: "the database".to_owned(),
            why: "config.php names the driver pgsql; only MySQL and MariaDB are backed up".to_owned(),
            obstacle: crate::layout::Obstacle::Unsupported,
            flags: Vec::new(),
        });
    } else {
        layout.take_database(&credentials(config), &file);
    }
    match config.state.constant(b"DB_PREFIX") {
        Some(prefix) => layout.take_prefix(&prefix),
        None => layout.take_prefix(&config.constant("DB_PREFIX")),
    }
    for name in ["HTTPS_SERVER", "HTTP_SERVER"] {
        layout.take_base_url(&config.constant(name));
    }
    take_folders(layout, root, config);
}

fn credentials(config: &Evaluated) -> Credentials {
    Credentials {
        host: config.constant("DB_HOSTNAME"),
        // OpenCart 2 and 3.0.0 have no DB_PORT.
        port: config.state.constant(b"DB_PORT"),
        socket: None,
        name: config.constant("DB_DATABASE"),
        user: config.constant("DB_USERNAME"),
        password: config.constant("DB_PASSWORD"),
        local_port: LocalPort::InHostIsTcp,
    }
}

fn take_folders(layout: &mut ShopLayout, root: &Folder, config: &Evaluated) {
    let folder = |layout: &mut ShopLayout, name: &str, label: &str, why: &str| {
        let value = config.state.constant(name.as_bytes())?;
        layout.take_folder(root, label, &value, why)
    };
    // OpenCart 2 keeps everything in system/ and has no DIR_STORAGE.
    let storage = folder(layout, "DIR_STORAGE", "storage", "the storage folder");
    folder(layout, "DIR_IMAGE", "image", "the pictures");
    for (name, why) in [
        ("DIR_CACHE", "cache, made anew on demand"),
        ("DIR_LOGS", "logs"),
        ("DIR_SESSION", "sessions of visitors"),
    ] {
        // A cache that cannot be found is no gap in a backup.
        let known = layout.unclear.len();
        let label = name.trim_start_matches("DIR_").to_lowercase();
        let found = folder(layout, name, &label, why);
        layout.unclear.truncate(known);
        if let Some((within, path)) = found {
            exclude_inside(layout, within.as_deref(), &path, why);
        }
    }
    for (name, label) in
        [("DIR_DOWNLOAD", "download"), ("DIR_UPLOAD", "upload"), ("DIR_MODIFICATION", "modification")]
    {
        folder(layout, name, label, &format!("the {label} folder"));
    }
    if let Some((within, path)) = storage {
        let backup = if path.is_empty() { "backup".to_owned() } else { format!("{path}/backup") };
        exclude_inside(layout, within.as_deref(), &backup, "old SQL backups of the shop's own tool");
    }
    layout.exclude("image/cache", "resized pictures, made on demand", true, &["index.html"]);
    layout.exclude("vqmod/vqcache", "compiled by vQmod on demand", true, &[]);
    layout.exclude("vqmod/logs", "logs", true, &[]);
}

fn exclude_inside(layout: &mut ShopLayout, within: Option<&str>, path: &str, why: &str) {
    let pattern = if path.is_empty() { "*" } else { path };
    layout.exclude_within(within, pattern, why, !path.is_empty(), &["index.html", ".htaccess"]);
}

fn take_admin(layout: &mut ShopLayout, root: &Folder, name: &str, config: &Evaluated) {
    layout.config_files.push(root.at(&format!("{name}/config.php")));
    for constant in ["HTTPS_CATALOG", "HTTP_CATALOG"] {
        layout.take_base_url(&config.constant(constant));
    }
    let mut ignored = Vec::new();
    if let (Some(ours), Ok(theirs)) = (
        &layout.database,
        credentials(config).settings(&root.at(&format!("{name}/config.php")), &mut ignored),
    ) && (&ours.name, &ours.host, ours.port, &ours.socket)
        != (&theirs.name, &theirs.host, theirs.port, &theirs.socket)
    {
        layout.warnings.push(format!(
            "config.php and {name}/config.php name different databases; the one of config.php, which the storefront \
             uses, is taken"
        ));
    }
    let folder = |config: &Value| config.to_text();
    if let (Some(theirs), Some(storage)) = (
        config.state.constant(b"DIR_STORAGE").as_ref().and_then(folder),
        layout.outside_folders.iter().find(|known| known.label == "storage"),
    ) && crate::folder::path_of(&theirs).and_then(|path| path.canonicalize().ok()).as_ref()
        != Some(&storage.path)
    {
        layout.warnings.push(format!("config.php and {name}/config.php name different storage folders"));
    }
}

fn describe_database(layout: &mut ShopLayout) {
    let prefix = layout.prefix().to_owned();
    layout.base_url_queries = vec![Query {
        table: format!("{prefix}store"),
        columns: vec!["url".to_owned()],
        conditions: Vec::<Condition>::new(),
        lead: String::new(),
        why: "the addresses of further stores".to_owned(),
    }];
    if layout.table_prefix.is_none() {
        layout.maintenance = Maintenance::None { why: "the table prefix is not known".to_owned() };
        return;
    }
    let pair = |column: &str, value: &str| (column.to_owned(), value.to_owned());
    layout.maintenance = Maintenance::Setting {
        table: format!("{prefix}setting"),
        matching: vec![pair("code", "config"), pair("key", "config_maintenance")],
        column: "value".to_owned(),
        on: "1".to_owned(),
        off: "0".to_owned(),
        insert: vec![
            pair("store_id", "0"),
            pair("code", "config"),
            pair("key", "config_maintenance"),
            pair("value", "0"),
            pair("serialized", "0"),
        ],
    };
}

fn after_restore(layout: &mut ShopLayout) {
    let caches: Vec<ShopPath> = layout
        .excluded_paths
        .iter()
        .filter(|excluded| excluded.why.starts_with("cache"))
        .map(|excluded| ShopPath {
            within: excluded.within.clone(),
            path: if excluded.pattern == "*" { String::new() } else { excluded.pattern.clone() },
        })
        .collect();
    for path in caches {
        layout.after_restore.push(Step::ClearFolder {
            path,
            keep: vec!["index.html".to_owned(), ".htaccess".to_owned()],
            why: "the cache still holds what was before the restore".to_owned(),
        });
    }
    layout.after_restore.push(Step::Tell(
        "config.php and the admin folder's config.php hold absolute folders and addresses: in another folder or under \
         another address both must be changed"
            .to_owned(),
    ));
    layout
        .after_restore
        .push(Step::Tell("the install/ folder must not be there on a running shop".to_owned()));
}
