//! Laravel shops, Bagisto first of all: `.env` and `config/database.php`, or the cached configuration that replaces both.
//!
//! Read in bagisto/bagisto v1.2.0 and v2.4 (`.env.example`, `config/*.php`) and in Laravel's own default
//! `config/database.php`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dotenv;
use crate::environment::{Environment, Layered, Lookup};
use crate::error::Result;
use crate::folder::{CONFIG_LIMIT_BYTES, Folder};
use crate::kinds::{Confidence, Match, Platform};
use crate::layout::{Obstacle, Query, ShopLayout, Unclear};
use crate::matters::{self, PlatformRows};
use crate::php_config::{self, Data, Key, Reading, Unread, Value};
use crate::reading::{Credentials, DATABASE_FLAGS, LocalPort};
use crate::sanity::{SanityCheck, SanitySource, SanitySubject};
use crate::step::{Maintenance, ShopPath, Step};
use crate::url::{Url, percent_decoded};
use crate::versions;

const CACHED: &str = "bootstrap/cache/config.php";

const EXCLUDED: &[(&str, &str)] = &[
    ("sessions", "sessions"),
    ("cache cache_locks", "caches"),
    ("failed_jobs job_batches", "records of past jobs"),
    (
        "password_resets password_reset_tokens admin_password_resets customer_password_resets",
        "one-time tokens",
    ),
];
const EXCLUDED_BAGISTO: &[(&str, &str)] = &[
    ("notifications visits search_terms", "notes and statistics"),
    ("import_batches agent_conversation*", "work in flight"),
];
const PROTECTED: &[(&str, &str)] =
    &[("migrations", "the record of what ran: lost, it runs again and fails"), ("jobs", "work to come")];
const PROTECTED_BAGISTO: &[(&str, &str)] = &[
    ("orders order_* invoices* invoice_* shipments* shipment_* refunds* refund_*", "orders"),
    ("customers customer_groups addresses cart cart_*", "customers, baskets and rules"),
    ("products product_* attributes* attribute_* categories* category_* catalog_rules*", "the catalogue"),
    (
        "core_config channels* channel_* locales currencies tax_* cms_* theme_customizations* theme_customization_*",
        "settings and pages",
    ),
    ("roles admins", "staff"),
];
const IMPORTANT_BAGISTO: &[&str] =
    &["products", "categories", "orders", "customers", "channels", "core_config", "admins"];

/// Laravel-type shops.
#[derive(Debug)]
pub(super) struct Laravel;

impl Platform for Laravel {
    fn name(&self) -> &'static str {
        "laravel"
    }

    fn title(&self) -> &'static str {
        "Laravel"
    }

    fn rows(&self) -> PlatformRows {
        matters::LARAVEL
    }

    fn recognise(&self, root: &Folder) -> Option<Match> {
        if !root.has_file("artisan") || !root.has_file("composer.json") {
            return None;
        }
        let configured =
            root.has_file(".env") || root.has_file(CACHED) || root.has_file("config/database.php");
        let why = if is_bagisto(root) {
            "artisan and Bagisto's packages are there"
        } else {
            "artisan and composer.json are there"
        };
        let confidence = if configured { Confidence::Certain } else { Confidence::Likely };
        Some(Match { confidence, why: why.to_owned() })
    }

    fn layout(&self, root: &Folder, environment: &dyn Environment) -> Result<ShopLayout> {
        let bagisto = is_bagisto(root);
        let title = if bagisto { "Bagisto" } else { self.title() };
        let mut layout = ShopLayout::empty(self.name(), title, root.root().to_owned());
        let laravel = versions::locked(root, &["laravel/framework"]).map(|(_, version)| version);
        let values = read_dotenv(&mut layout, root, environment);
        let file = values.clone().unwrap_or_default();
        let layered = Layered { real: environment, file: &file };
        if bagisto {
            layout.framework = laravel.as_ref().map(|version| format!("Laravel {version}"));
            layout.version = bagisto_version(root, &layered);
        } else {
            layout.version = laravel.clone();
        }
        if root.has_file(CACHED) {
            take_cached(&mut layout, root, environment);
        } else if values.is_some() || !root.has_file(".env") {
            take_configured(&mut layout, root, &layered);
        }
        if bagisto {
            let excluded = [EXCLUDED, EXCLUDED_BAGISTO].concat();
            let protected = [PROTECTED, PROTECTED_BAGISTO].concat();
            layout.set_tables(&excluded, &protected, IMPORTANT_BAGISTO);
            describe_channels(&mut layout);
        } else {
            layout.set_tables(EXCLUDED, PROTECTED, &["migrations"]);
        }
        exclude_paths(&mut layout);
        maintenance(&mut layout, laravel.as_deref(), &layered);
        after_restore(&mut layout);
        Ok(layout)
    }

    fn sanity(&self, layout: &ShopLayout) -> Vec<SanityCheck> {
        if layout.title != "Bagisto" {
            return Vec::new();
        }
        let table = |name: &str| SanitySource::of(format!("{}{name}", layout.prefix()));
        vec![
            SanityCheck::one(SanitySubject::NewestOrder, table("orders").newest("id", &["id", "created_at"])),
            SanityCheck::one(SanitySubject::ActiveProducts, table("product_flat").with("status", "1")),
            SanityCheck::one(SanitySubject::AdminAccounts, table("admins").with("status", "1")),
        ]
    }
}

/// Krayin's CRM has the same packages folder, so its shop package is asked for.
fn is_bagisto(root: &Folder) -> bool {
    root.has_folder("packages/Webkul/Shop") || root.has_folder("vendor/bagisto")
}

fn bagisto_version(root: &Folder, environment: &dyn Environment) -> Option<String> {
    let core = root.read("packages/Webkul/Core/src/Core.php", CONFIG_LIMIT_BYTES).ok().flatten();
    let stated = core.and_then(|bytes| php_config::class_constant(&bytes, "BAGISTO_VERSION").ok().flatten());
    let stated = stated.or_else(|| match environment.lookup(b"APP_VERSION") {
        Lookup::Set(version) => Some(version),
        _ => None,
    });
    String::from_utf8(stated?).ok()
}

/// The `.env` file in force. `None` when there is none or it is not understood (then `unclear` says so).
fn read_dotenv(
    layout: &mut ShopLayout,
    root: &Folder,
    environment: &dyn Environment,
) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let special = match environment.lookup(b"APP_ENV") {
        Lookup::Set(name) => {
            String::from_utf8(name).ok().filter(|name| !name.contains('/')).map(|name| format!(".env.{name}"))
        }
        _ => None,
    };
    let name = special.filter(|name| root.has_file(name)).unwrap_or_else(|| ".env".to_owned());
    let file = root.at(&name);
    let bytes = match root.read(&name, CONFIG_LIMIT_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return None,
        Err(error) => {
            layout.config_files.push(file.clone());
            layout.configuration_unread(&file, error.into());
            return None;
        }
    };
    layout.config_files.push(file.clone());
    if let Ok(real) = file.canonicalize()
        && !root.holds(&real)
    {
        layout.add_outside_file("env", real, "the shop's .env is a link to it");
    }
    match dotenv::parse(&bytes, environment) {
        Ok(values) => Some(values),
        Err(why) => {
            layout.configuration_unread(&file, Unread::new(Obstacle::Malformed, why));
            None
        }
    }
}

/// The cached configuration replaces `.env` completely.
fn take_cached(layout: &mut ShopLayout, root: &Folder, environment: &dyn Environment) {
    let file = root.at(CACHED);
    layout.config_files.insert(0, file.clone());
    layout.unclear.clear();
    match php_config::read(&Reading::new(root, environment), &file) {
        Ok(config) => {
            take_connection(layout, &config.at(&["database"]), &file);
            layout.take_base_url(&config.at(&["app", "url"]));
        }
        Err(unread) => layout.configuration_unread(&file, unread),
    }
}

/// `config/database.php` over `.env`; without that file, the names of Laravel's own one.
fn take_configured(layout: &mut ShopLayout, root: &Folder, environment: &Layered<'_>) {
    let value = |name: &str| match environment.lookup(name.as_bytes()) {
        Lookup::Set(value) => Value::text(value),
        _ => Value::new(Data::Absent(format!(".env does not set {name}").into())),
    };
    layout.take_base_url(&value("APP_URL"));
    let file = root.at("config/database.php");
    if root.has_file("config/database.php") {
        match php_config::read(&Reading::new(root, environment), &file) {
            Ok(config) if config.at(&["connections"]).is_known() => {
                let source = layout.config_files.first().cloned().unwrap_or_else(|| file.clone());
                layout.config_files.push(file);
                return take_connection(layout, &config.returned, &source);
            }
            Ok(_) => {
                layout.warnings.push("config/database.php is not understood; .env alone is read".to_owned());
            }
            Err(unread) => layout.warnings.push(format!("config/database.php is not read: {}", unread.why)),
        }
    }
    let source = root.at(".env");
    if !supported(layout, value("DB_CONNECTION").to_text().as_deref().unwrap_or(b"mysql")) {
        return;
    }
    let parts = Parts {
        url: [value("DB_URL"), value("DATABASE_URL")].into_iter().find(Value::is_known),
        host: or_text(value("DB_HOST"), b"127.0.0.1"),
        port: or_text(value("DB_PORT"), b"3306"),
        socket: or_text(value("DB_SOCKET"), b""),
        name: value("DB_DATABASE"),
        user: value("DB_USERNAME"),
        password: or_text(value("DB_PASSWORD"), b""),
    };
    parts.take(layout, &source);
    layout.take_prefix(&or_text(value("DB_PREFIX"), b""));
}

fn or_text(value: Value, fallback: &[u8]) -> Value {
    if matches!(value.data, Data::Absent(_) | Data::Null) { Value::text(fallback) } else { value }
}

/// The default connection of a database configuration.
fn take_connection(layout: &mut ShopLayout, database: &Value, source: &Path) {
    let default = database.at(&["default"]);
    let Some(name) = default.to_text() else {
        layout.unclear.push(crate::reading::not_clear(
            "which connection is the default one",
            DATABASE_FLAGS,
            &default,
        ));
        return;
    };
    let connection = database.get(&Key::Text(b"connections".to_vec())).get(&Key::text(&name));
    let value = |key: &str| connection.at(&[key]);
    let driver = or_text(value("driver"), &name).to_text();
    if !supported(layout, driver.as_deref().unwrap_or(b"mysql")) {
        return;
    }
    // The writing side of a connection that is split into readers and a writer.
    let host = [connection.at(&["write", "host"]), value("host")]
        .into_iter()
        .find(Value::is_known)
        .unwrap_or_else(|| value("host"));
    let host = if let Data::Array(_) = &host.data { host.at(&["0"]) } else { host };
    let url = value("url");
    let parts = Parts {
        url: if matches!(url.data, Data::Absent(_) | Data::Null) { None } else { Some(url) },
        host,
        port: or_text(value("port"), b""),
        socket: or_text(value("unix_socket"), b""),
        name: value("database"),
        user: value("username"),
        password: or_text(value("password"), b""),
    };
    parts.take(layout, source);
    layout.take_prefix(&or_text(value("prefix"), b""));
}

/// Only MySQL and MariaDB are backed up; another driver is said.
fn supported(layout: &mut ShopLayout, driver: &[u8]) -> bool {
    if matches!(driver, b"mysql" | b"mariadb") {
        return true;
    }
    layout.unclear.push(Unclear {
        what: "the database".to_owned(),
        why: format!(
            "its driver is {}; only MySQL and MariaDB are backed up",
            String::from_utf8_lossy(driver)
        ),
        obstacle: Obstacle::Unsupported,
        flags: Vec::new(),
    });
    false
}

/// A connection's parts; the parts of an address beat the others.
struct Parts {
    url: Option<Value>,
    host: Value,
    port: Value,
    socket: Value,
    name: Value,
    user: Value,
    password: Value,
}

impl Parts {
    fn take(mut self, layout: &mut ShopLayout, source: &Path) {
        if let Some(url) = self.url.take() {
            match url.to_text() {
                Some(text) if text.is_empty() => {}
                Some(text) => match Url::parse(&text) {
                    Some(parsed) => {
                        if !supported(layout, &parsed.scheme) {
                            return;
                        }
                        self.overlay(&parsed, &url);
                    }
                    None => {
                        let why = "the database's address in one line is malformed";
                        layout.unclear.push(crate::reading::missing(
                            "the database's address",
                            DATABASE_FLAGS,
                            why,
                        ));
                        return;
                    }
                },
                None => {
                    layout.unclear.push(crate::reading::not_clear(
                        "the database's address",
                        DATABASE_FLAGS,
                        &url,
                    ));
                    return;
                }
            }
        }
        let credentials = Credentials {
            host: self.host,
            port: Some(self.port),
            socket: Some(self.socket),
            name: self.name,
            user: self.user,
            password: self.password,
            local_port: LocalPort::Ignored,
        };
        layout.take_database(&credentials, source);
    }

    fn overlay(&mut self, parsed: &Url, url: &Value) {
        let text = |bytes: &[u8]| Value::text(percent_decoded(bytes)).resting_on(url);
        let set = |place: &mut Value, bytes: Option<&[u8]>| {
            if let Some(bytes) = bytes {
                *place = text(bytes);
            }
        };
        set(&mut self.host, parsed.host.as_deref());
        set(&mut self.user, parsed.user.as_deref());
        set(&mut self.password, parsed.password.as_deref());
        set(
            &mut self.name,
            parsed
                .path
                .as_deref()
                .map(|path| path.strip_prefix(b"/").unwrap_or(path))
                .filter(|name| !name.is_empty()),
        );
        if let Some(port) = parsed.port {
            self.port = Value::int(i64::from(port));
        }
        if let Some(socket) = parsed.option("unix_socket") {
            self.socket = Value::text(socket);
        }
    }
}

fn describe_channels(layout: &mut ShopLayout) {
    layout.base_url_queries = vec![Query {
        table: format!("{}channels", layout.prefix()),
        columns: vec!["hostname".to_owned()],
        conditions: Vec::new(),
        lead: String::new(),
        why: "the host of every channel, with or without a scheme".to_owned(),
    }];
}

fn exclude_paths(layout: &mut ShopLayout) {
    let keep = [".gitignore"];
    for (path, why) in [
        ("storage/framework/cache/data", "cache"),
        ("storage/framework/sessions", "sessions"),
        ("storage/framework/views", "compiled templates, made on demand"),
        ("storage/framework/testing", "files of tests"),
        ("storage/logs", "logs"),
        ("storage/debugbar", "records of the debug bar"),
        ("public/cache", "resized pictures, made on demand"),
    ] {
        layout.exclude(path, why, true, &keep);
    }
    layout.exclude("node_modules", "packages of the development tools", false, &[]);
    // The cached configuration is kept where it is the only source of the credentials.
    for name in ["routes*.php", "events.php", "packages.php", "services.php"] {
        layout.exclude(&format!("bootstrap/cache/{name}"), "made anew on demand", false, &[]);
    }
    if layout.config_files.iter().any(|file| file.ends_with(".env")) {
        layout.exclude(CACHED, "made anew from .env", false, &[]);
    }
}

fn maintenance(layout: &mut ShopLayout, laravel: Option<&str>, environment: &Layered<'_>) {
    let driver = [b"APP_MAINTENANCE_DRIVER"].into_iter().find_map(|name| match environment.lookup(name) {
        Lookup::Set(driver) => Some(driver),
        _ => None,
    });
    if driver.as_deref().is_some_and(|driver| driver != b"file") {
        layout.maintenance = Maintenance::None {
            why:
                "the maintenance switch is in the cache store (APP_MAINTENANCE_DRIVER): use php artisan down"
                    .to_owned(),
        };
        return;
    }
    let major = laravel.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let content = if major.is_some_and(|major| major < 8) {
        r#"{"time":0,"message":"","retry":600,"allowed":[]}"#
    } else {
        r#"{"except":[],"redirect":null,"retry":600,"refresh":null,"secret":null,"status":503,"template":null}"#
    };
    layout.maintenance = Maintenance::File {
        path: ShopPath::root("storage/framework/down"),
        content: content.to_owned(),
        also_remove: vec![ShopPath::root("storage/framework/maintenance.php")],
    };
}

fn after_restore(layout: &mut ShopLayout) {
    for name in ["config.php", "routes*.php", "events.php"] {
        if name == "config.php" && !layout.config_files.iter().any(|file| file.ends_with(".env")) {
            continue;
        }
        layout.after_restore.push(Step::RemoveFile {
            path: ShopPath::root(format!("bootstrap/cache/{name}")),
            why: "it still holds the configuration from before the restore".to_owned(),
        });
    }
    for path in ["storage/framework/views", "storage/framework/cache/data"] {
        layout.after_restore.push(Step::ClearFolder {
            path: ShopPath::root(path),
            keep: vec![".gitignore".to_owned()],
            why: "it still holds what was before the restore".to_owned(),
        });
    }
    layout.after_restore.push(Step::Tell(
        "public/storage is an absolute link to storage/app/public: in another folder make it anew with php artisan \
         storage:link"
            .to_owned(),
    ));
    layout.after_restore.push(Step::Tell(
        "keep APP_KEY: with another one stored credentials cannot be read; storage/installed must be there, or Bagisto \
         opens its installer"
            .to_owned(),
    ));
}
