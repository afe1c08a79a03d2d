//! PrestaShop 1.7, 8 and 9 (and the settings file of 1.6): `app/config/parameters.php`.
//!
//! Read in PrestaShop/PrestaShop 1.7.6.2, 8.2.0 and 9.0.0: `app/config/parameters.php`, `config/bootstrap.php`,
//! `classes/db/DbPDO.php`, `src/Core/Version.php`, `app/AppKernel.php`.

use std::path::Path;

use crate::environment::{Environment, Lookup};
use crate::error::Result;
use crate::folder::{CONFIG_LIMIT_BYTES, Folder};
use crate::kinds::{Confidence, Match, Platform};
use crate::layout::{Condition, Obstacle, Query, ShopLayout};
use crate::matters::{self, PlatformRows};
use crate::php_config::{self, Data, Reading, Unread, Value};
use crate::reading::{Credentials, LocalPort};
use crate::sanity::{SanityCheck, SanitySource, SanitySubject};
use crate::step::{Maintenance, ShopPath, Step};
use crate::yaml;

const PARAMETERS: &str = "app/config/parameters.php";
const PARAMETERS_YAML: &str = "app/config/parameters.yml";
const OLD_SETTINGS: &str = "config/settings.inc.php";

const EXCLUDED: &[(&str, &str)] = &[
    (
        "connections connections_page connections_source page_viewed pagenotfound statssearch",
        "statistics of visits",
    ),
    ("log mail", "logs"),
    ("smarty_cache smarty_lazy_cache smarty_last_flush", "records of the template cache"),
    ("customer_session employee_session", "sessions"),
    ("admin_filter", "the administrators' last filters"),
    (
        "layered_filter_block layered_price_index layered_product_attribute",
        "indexes that their module builds anew",
    ),
    ("referrer_cache", "statistics, built anew"),
    ("eventbus_*", "the queue of a connector"),
];
const PROTECTED: &[(&str, &str)] = &[
    ("orders order_*", "orders and their legal numbers"),
    (
        "customer customer_group customer_thread customer_message address guest cart cart_*",
        "customers and baskets",
    ),
    (
        "product product_* category category_* image image_* attachment* attribute* feature* manufacturer* supplier* stock_*",
        "the catalogue",
    ),
    (
        "configuration* module module_* hook hook_* shop shop_* lang currency* tax tax_* cms cms_*",
        "settings and pages",
    ),
    ("employee profile access authorization_role webservice_* api_client mutation", "staff and rights"),
];
const IMPORTANT: &[&str] =
    &["product", "category", "orders", "customer", "configuration", "shop_url", "employee"];

/// PrestaShop.
#[derive(Debug)]
pub(super) struct PrestaShop;

impl Platform for PrestaShop {
    fn name(&self) -> &'static str {
        "prestashop"
    }

    fn title(&self) -> &'static str {
        "PrestaShop"
    }

    fn rows(&self) -> PlatformRows {
        matters::PRESTASHOP
    }

    fn recognise(&self, root: &Folder) -> Option<Match> {
        let found = |confidence, why: &str| Some(Match { confidence, why: why.to_owned() });
        let classes = root.has_folder("classes") && root.has_file("config/defines.inc.php");
        if classes && root.has_file(PARAMETERS) {
            return found(
                Confidence::Certain,
                "app/config/parameters.php, classes and config/defines.inc.php are there",
            );
        }
        if classes && root.has_file(PARAMETERS_YAML) {
            return found(
                Confidence::Certain,
                "app/config/parameters.yml, classes and config/defines.inc.php are there",
            );
        }
        if classes && !root.has_folder("app/config") && root.has_file(OLD_SETTINGS) {
            return found(
                Confidence::Certain,
                "config/settings.inc.php and classes are there, as in version 1.6",
            );
        }
        if classes && root.has_file("classes/PrestaShopAutoload.php") {
            return found(Confidence::Likely, "PrestaShop's classes are there, its parameters are not");
        }
        None
    }

    fn layout(&self, root: &Folder, environment: &dyn Environment) -> Result<ShopLayout> {
        let mut layout = ShopLayout::empty(self.name(), self.title(), root.root().to_owned());
        if root.has_file(PARAMETERS) {
            read_parameters(&mut layout, root, environment);
        } else if root.has_file(PARAMETERS_YAML) {
            read_yaml(&mut layout, root, environment);
        } else if root.has_file(OLD_SETTINGS) {
            read_old_settings(&mut layout, root, environment);
        } else {
            let why = format!("neither {PARAMETERS} nor {PARAMETERS_YAML} is there");
            layout.configuration_unread(&root.at(PARAMETERS), Unread::new(Obstacle::Missing, why));
        }
        if layout.version.is_none() {
            layout.version = version(root);
        }
        if root.has_file("config/defines_custom.inc.php") {
            layout.config_files.push(root.at("config/defines_custom.inc.php"));
            layout.warnings.push("config/defines_custom.inc.php may move folders of the shop".to_owned());
        }
        layout.set_tables(EXCLUDED, PROTECTED, IMPORTANT);
        exclude_paths(&mut layout, admin_folder(root).as_deref());
        describe_database(&mut layout);
        after_restore(&mut layout);
        Ok(layout)
    }

    fn sanity(&self, layout: &ShopLayout) -> Vec<SanityCheck> {
        let table = |name: &str| SanitySource::of(format!("{}{name}", layout.prefix()));
        vec![
            SanityCheck::one(
                SanitySubject::NewestOrder,
                table("orders").newest("id_order", &["id_order", "date_add"]),
            ),
            SanityCheck::one(SanitySubject::ActiveProducts, table("product").with("active", "1")),
            // Profile 1 is the one that may do everything, and cannot be removed.
            SanityCheck::one(
                SanitySubject::AdminAccounts,
                table("employee").with("active", "1").with("id_profile", "1"),
            ),
        ]
    }
}

fn read_parameters(layout: &mut ShopLayout, root: &Folder, environment: &dyn Environment) {
    let file = root.at(PARAMETERS);
    layout.config_files.push(file.clone());
    match php_config::read(&Reading::new(root, environment), &file) {
        Ok(config) => {
            layout.config_files.extend(config.files.iter().skip(1).cloned());
            let parameters = config.at(&["parameters"]);
            take_parameters(layout, &|key| symfony_value(&parameters.at(&[key]), environment), &file);
        }
        Err(unread) => layout.configuration_unread(&file, unread),
    }
}

fn read_yaml(layout: &mut ShopLayout, root: &Folder, environment: &dyn Environment) {
    let file = root.at(PARAMETERS_YAML);
    layout.config_files.push(file.clone());
    let bytes = match root.read(PARAMETERS_YAML, CONFIG_LIMIT_BYTES) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(error) => return layout.configuration_unread(&file, error.into()),
    };
    match yaml::section(&bytes, "parameters") {
        Ok(values) => {
            let value = |key: &str| match values.get(key) {
                Some(Some(text)) => symfony_value(&Value::text(text.as_bytes()), environment),
                Some(None) => Value::null(),
                None => Value::new(Data::Absent(format!("there is no key '{key}'").into())),
            };
            take_parameters(layout, &value, &file);
        }
        Err(why) => layout.configuration_unread(&file, Unread::new(Obstacle::Malformed, why)),
    }
}

fn take_parameters(layout: &mut ShopLayout, value: &dyn Fn(&str) -> Value, file: &Path) {
    let port = value("database_port");
    let credentials = Credentials {
        host: value("database_host"),
        port: (!matches!(port.data, Data::Absent(_))).then_some(port),
        socket: None,
        name: value("database_name"),
        user: value("database_user"),
        password: value("database_password"),
        local_port: LocalPort::Ignored,
    };
    layout.take_database(&credentials, file);
    layout.take_prefix(&value("database_prefix"));
}

fn read_old_settings(layout: &mut ShopLayout, root: &Folder, environment: &dyn Environment) {
    let file = root.at(OLD_SETTINGS);
    layout.config_files.push(file.clone());
    match php_config::read(&Reading::new(root, environment), &file) {
        Ok(config) => {
            let credentials = Credentials {
                host: config.constant("_DB_SERVER_"),
                port: None,
                socket: None,
                name: config.constant("_DB_NAME_"),
                user: config.constant("_DB_USER_"),
                password: config.constant("_DB_PASSWD_"),
                local_port: LocalPort::Ignored,
            };
            layout.take_database(&credentials, &file);
            layout.take_prefix(&config.constant("_DB_PREFIX_"));
            let version = config.constant("_PS_VERSION_").to_text();
            layout.version = version.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        }
        Err(unread) => layout.configuration_unread(&file, unread),
    }
    layout.warnings.push("this is PrestaShop 1.6 or older: the defaults here are those of 1.7".to_owned());
}

/// A Symfony parameter: `%%` is `%`, `%env(NAME)%` an environment variable, any other `%name%` is not followed.
fn symfony_value(value: &Value, environment: &dyn Environment) -> Value {
    let Data::Text(bytes) = &value.data else { return value.clone() };
    let mut text = Vec::with_capacity(bytes.len());
    let mut result = Value::null();
    let mut parts = bytes.split(|byte| *byte == b'%');
    text.extend_from_slice(parts.next().unwrap_or_default());
    while let Some(name) = parts.next() {
        let Some(after) = parts.next() else {
            // A single per cent sign: Symfony refuses it, the old part of the shop takes it as it is.
            text.push(b'%');
            text.extend_from_slice(name);
            break;
        };
        match name.strip_prefix(b"env(").and_then(|name| name.strip_suffix(b")")) {
            _ if name.is_empty() => text.push(b'%'),
            Some(variable) => match environment.lookup(variable) {
                Lookup::Set(set) => text.extend(set),
                _ => {
                    let variable = String::from_utf8_lossy(variable);
                    result = Value::unknown(format!("it is the environment variable {variable}"));
                }
            },
            None => {
                let name = String::from_utf8_lossy(name);
                result = Value::unknown(format!("it refers to the parameter {name}"));
            }
        }
        text.extend_from_slice(after);
    }
    if result.is_known() { Value::text(text).resting_on(value) } else { result }
}

/// 8 and 9 state it in `Version`, 1.7 in `AppKernel`.
fn version(root: &Folder) -> Option<String> {
    ["src/Core/Version.php", "app/AppKernel.php"].into_iter().find_map(|file| {
        let bytes = root.read(file, CONFIG_LIMIT_BYTES).ok().flatten()?;
        let version = php_config::class_constant(&bytes, "VERSION").ok().flatten()?;
        String::from_utf8(version).ok()
    })
}

/// The admin folder has a random name: it is the one with these files.
fn admin_folder(root: &Folder) -> Option<String> {
    root.folders_in("").into_iter().find(|name| {
        root.has_file(&format!("{name}/get-file-admin.php"))
            && root.has_file(&format!("{name}/init.php"))
            && root.has_folder(&format!("{name}/filemanager"))
    })
}

fn exclude_paths(layout: &mut ShopLayout, admin: Option<&str>) {
    let keep = ["index.php", ".htaccess"];
    for (path, why) in [
        ("var/cache", "cache, made anew; a kept copy may point at another database"),
        ("var/logs", "logs"),
        ("var/sessions", "sessions"),
        ("cache/smarty/cache", "cached pages"),
        ("cache/smarty/compile", "compiled templates"),
        ("cache/cachefs", "cache"),
        ("cache/purifier", "cache"),
        ("cache/tcpdf", "cache"),
        ("cache/sandbox", "cache"),
        ("img/tmp", "resized pictures of the back office, made on demand"),
        ("themes/*/assets/cache", "joined scripts and styles, made on demand"),
        ("themes/*/cache", "joined scripts and styles, made on demand"),
    ] {
        layout.exclude(path, why, true, &keep);
    }
    layout.exclude("config/xml/*.xml", "downloaded lists", false, &[]);
    if layout.version.as_deref().is_some_and(|version| version.starts_with("1.6")) {
        layout.exclude("log", "logs", true, &keep);
    }
    match admin {
        Some(admin) => {
            for (path, why) in [
                ("autoupgrade", "old copies of the shop, made by its upgrade module"),
                ("backups", "old SQL backups of the shop's own tool"),
                ("export", "exports, made on demand"),
                ("import", "files of past imports"),
            ] {
                layout.exclude(&format!("{admin}/{path}"), why, true, &keep);
            }
        }
        None => layout.warnings.push("the admin folder (with get-file-admin.php) was not found".to_owned()),
    }
}

fn describe_database(layout: &mut ShopLayout) {
    if layout.table_prefix.is_none() {
        layout.maintenance = Maintenance::None { why: "the table prefix is not known".to_owned() };
        return;
    }
    let prefix = layout.prefix().to_owned();
    let active = Condition { column: "active".to_owned(), any_of: vec!["1".to_owned()] };
    layout.base_url_queries = vec![Query {
        table: format!("{prefix}shop_url"),
        columns: vec!["domain_ssl".to_owned(), "physical_uri".to_owned(), "virtual_uri".to_owned()],
        conditions: vec![active],
        lead: "https://".to_owned(),
        why: "the addresses of every shop; they are what the shop answers to".to_owned(),
    }];
    layout.maintenance = Maintenance::Setting {
        table: format!("{prefix}configuration"),
        // Every row: a shop without a row of its own inherits the general one.
        matching: vec![("name".to_owned(), "PS_SHOP_ENABLE".to_owned())],
        column: "value".to_owned(),
        on: "0".to_owned(),
        off: "1".to_owned(),
        insert: Vec::new(),
    };
}

fn after_restore(layout: &mut ShopLayout) {
    layout.after_restore.push(Step::ClearFolder {
        path: ShopPath::root("var/cache"),
        keep: vec!["index.php".to_owned(), ".htaccess".to_owned()],
        why: "its cached parameters and menus are those from before the restore".to_owned(),
    });
    for path in ["cache/smarty/cache", "cache/smarty/compile"] {
        layout.after_restore.push(Step::ClearFolder {
            path: ShopPath::root(path),
            keep: vec!["index.php".to_owned(), ".htaccess".to_owned()],
            why: "cached pages are those from before the restore".to_owned(),
        });
    }
    layout.after_restore.push(Step::Tell(
        "under another address: change the rows of shop_url and the configuration PS_SHOP_DOMAIN and \
         PS_SHOP_DOMAIN_SSL, then generate .htaccess and robots.txt anew"
            .to_owned(),
    ));
    layout
        .after_restore
        .push(Step::Tell("the install/ folder must not be there on a running shop".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::NoEnvironment;

    #[test]
    fn per_cent_signs_are_doubled_in_symfony_parameters() {
        let plain = |text: &str| {
            symfony_value(&Value::text(text.as_bytes()), &NoEnvironment)
                .to_text()
                .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        };
        for (text, expected) in [
            ("50%%", "50%"),
            ("pa%%%%ss", "pa%%ss"),
            ("a%%b%%c", "a%b%c"),
            ("none", "none"),
            ("", ""),
            ("100%", "100%"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(plain("%env(SHOP_PASSWORD)%"), None);
        assert_eq!(plain("%other%"), None);
    }
}
