//! The files of the made-up shop: code, configuration, pictures, caches, and the storage folder outside the root.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Choices, DATABASE, DemoShop, PASSWORD, PREFIX, USER, pictures, write_file};
use crate::error::TestbedError;

/// Sizes of the photographs, in bytes: from a thumbnail to a small photograph.
const SMALLEST_PICTURE_BYTES: u32 = 2_000;
const PICTURE_SPREAD_BYTES: u32 = 24_000;

/// Makes the whole tree.
pub(super) fn make(shop: &DemoShop, choices: &mut Choices) -> Result<(), TestbedError> {
    let (root, storage) = (shop.root(), shop.storage());
    code(&root, &storage)?;
    write_file(&root.join("config.php"), configuration(shop, "Catalog"))?;
    write_file(&root.join("admin/config.php"), configuration(shop, "Admin"))?;
    images(&root, shop.products, choices)?;
    storage_folder(&storage, shop.products, choices)?;
    oddities(&root, &storage).map_err(|error| TestbedError::file("build the shop in", &root, error))
}

fn php_string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `config.php` as the installer writes it, the storage moved outside as the shop's own admin page does.
fn configuration(shop: &DemoShop, application: &str) -> String {
    let with_slash = |path: &Path| php_string(&format!("{}/", path.display()));
    let is_admin = application == "Admin";
    let server = if is_admin { "https://shop.example/admin/" } else { "https://shop.example/" };
    let mut text = format!("<?php\n// APPLICATION\ndefine('APPLICATION', '{application}');\n\n// HTTP\n");
    text += &format!("define('HTTP_SERVER', '{server}');\n");
    if is_admin {
        text += "define('HTTP_CATALOG', 'https://shop.example/');\n";
    }
    text += &format!("\n// DIR\ndefine('DIR_OPENCART', {});\n", with_slash(&shop.root()));
    let folder = if is_admin { "admin" } else { "catalog" };
    text += &format!("define('DIR_APPLICATION', DIR_OPENCART . '{folder}/');\n");
    for (name, base, folder) in [
        ("SYSTEM", "OPENCART", "system"),
        ("EXTENSION", "OPENCART", "extension"),
        ("IMAGE", "OPENCART", "image"),
    ] {
        text += &format!("define('DIR_{name}', DIR_{base} . '{folder}/');\n");
    }
    text += &format!("define('DIR_STORAGE', {});\n", with_slash(&shop.storage()));
    if is_admin {
        text += "define('DIR_CATALOG', DIR_OPENCART . 'catalog/');\n";
    }
    for (name, base, folder) in [
        ("LANGUAGE", "APPLICATION", "language"),
        ("TEMPLATE", "APPLICATION", "view/template"),
        ("CONFIG", "SYSTEM", "config"),
        ("CACHE", "STORAGE", "cache"),
        ("DOWNLOAD", "STORAGE", "download"),
        ("LOGS", "STORAGE", "logs"),
        ("SESSION", "STORAGE", "session"),
        ("UPLOAD", "STORAGE", "upload"),
    ] {
        text += &format!("define('DIR_{name}', DIR_{base} . '{folder}/');\n");
    }
    text += "\n// DB\ndefine('DB_DRIVER', 'mysqli');\ndefine('DB_HOSTNAME', '127.0.0.1');\n";
    for (name, value) in
        [("USERNAME", USER), ("PASSWORD", PASSWORD), ("DATABASE", DATABASE), ("PREFIX", PREFIX)]
    {
        text += &format!("define('DB_{name}', {});\n", php_string(value));
    }
    text += &format!("define('DB_PORT', '{}');\n", shop.port);
    if is_admin {
        text += "\n// OpenCart API\ndefine('OPENCART_SERVER', 'https://www.opencart.com/');\n";
    }
    text
}

/// Code of our own in the places where the platform has its code.
fn code(root: &Path, storage: &Path) -> Result<(), TestbedError> {
    write_file(
        &root.join("index.php"),
        "<?php\n// A stand-in for the demo: it serves nothing.\ndefine('VERSION', '4.1.0.3');\nrequire_once('config.php');\nrequire_once(DIR_SYSTEM . 'startup.php');\n",
    )?;
    write_file(
        &root.join("admin/index.php"),
        "<?php\ndefine('VERSION', '4.1.0.3');\nrequire_once('config.php');\n",
    )?;
    write_file(&root.join("system/startup.php"), "<?php\n// nothing starts here\n")?;
    write_file(&root.join(".htaccess"), "Options -Indexes\nRewriteEngine On\nRewriteBase /\n")?;
    write_file(&root.join("robots.txt"), "User-agent: *\nDisallow: /admin/\n")?;
    for side in ["catalog", "admin"] {
        for layer in ["controller", "model", "language/en-gb", "language/de-de", "view/template"] {
            for area in ["account", "catalog", "checkout", "common", "design", "product"] {
                for name in ["list", "form", "info"] {
                    let ending = if layer.starts_with("view") { "twig" } else { "php" };
                    let text = format!(
                        "<?php\n// {side} {layer} {area} {name}\nnamespace Demo;\nclass {name} {{}}\n"
                    )
                    .repeat(8);
                    write_file(&root.join(format!("{side}/{layer}/{area}/{name}.{ending}")), text)?;
                }
            }
        }
    }
    for area in ["engine", "library", "helper", "config"] {
        for name in ["action", "cache", "loader", "log", "registry"] {
            write_file(
                &root.join(format!("system/{area}/{name}.php")),
                format!("<?php\n// {area} {name}\n"),
            )?;
        }
    }
    for extension in ["opencart", "stock"] {
        write_file(
            &root.join(format!("extension/{extension}/install.json")),
            format!("{{\"name\": \"{extension}\"}}\n"),
        )?;
        write_file(
            &root.join(format!("extension/{extension}/catalog/controller/module.php")),
            "<?php\n// module\n",
        )?;
    }
    for package in 0..60 {
        for file in 0..5 {
            let text = format!("<?php\nnamespace Vendor{package};\nfinal class File{file} {{}}\n").repeat(20);
            write_file(&storage.join(format!("vendor/demo/package-{package}/src/File{file}.php")), text)?;
        }
    }
    write_file(&storage.join("vendor/autoload.php"), "<?php\n// nothing to load\n")
}

fn images(root: &Path, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    for id in 1..=products {
        let folder = root.join(format!("image/catalog/products/{:02}", id % 50));
        let size_bytes = (SMALLEST_PICTURE_BYTES + choices.below(PICTURE_SPREAD_BYTES)) as usize;
        if id % 5 == 0 {
            write_picture(
                &folder.join(format!("product-{id}.png")),
                &pictures::png(u64::from(id), 120),
                choices,
            )?;
        } else {
            write_picture(
                &folder.join(format!("product-{id}.jpg")),
                &pictures::jpeg(u64::from(id), size_bytes),
                choices,
            )?;
        }
        let side = pictures::jpeg(u64::from(id) << 32, size_bytes / 2);
        write_picture(&folder.join(format!("product-{id}-side.jpg")), &side, choices)?;
        let cached = pictures::jpeg(u64::from(id) << 16, 1500);
        let cache = root.join(format!("image/cache/catalog/products/{:02}", id % 50));
        write_picture(&cache.join(format!("product-{id}-250x250.jpg")), &cached, choices)?;
    }
    for id in 0..20 {
        write_picture(&root.join(format!("image/catalog/maker-{id}.png")), &pictures::png(id, 64), choices)?;
    }
    write_file(&root.join("image/catalog/Straße 漢字 & more.jpg"), pictures::jpeg(7, 5000))
}

/// Pictures were put there over the years, at times with fractions of a second.
pub(super) fn write_picture(path: &Path, picture: &[u8], choices: &mut Choices) -> Result<(), TestbedError> {
    write_file(path, picture)?;
    let age =
        Duration::new(1_600_000_000 + u64::from(choices.below(100_000_000)), choices.below(1_000_000_000));
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + age))
        .map_err(|error| TestbedError::file("set the time of", path, error))
}

fn storage_folder(storage: &Path, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    for id in 0..products / 10 + 5 {
        write_file(
            &storage.join(format!("cache/cache.product.{id}.{:08x}", choices.below(u32::MAX))),
            "{\"cached\": true}".repeat(50),
        )?;
        write_file(&storage.join(format!("session/sess_{:016x}", choices.next())), "{\"currency\":\"EUR\"}")?;
    }
    write_file(&storage.join("logs/error.log"), "2024-01-01 00:00:00 - PHP Notice: nothing\n".repeat(2000))?;
    write_file(&storage.join("download/manual.pdf"), crate::torture_database::noise(2, 80_000))?;
    write_file(&storage.join("upload/customer-drawing.png.3f2a"), pictures::png(3, 100))?;
    write_file(&storage.join("marketplace/stock.ocmod.zip"), crate::torture_database::noise(4, 40_000))?;
    write_file(&storage.join("backup/old.sql"), "-- an old dump by hand\n")
}

/// What real shops have lying around: links, tight modes, empty folders, names in old encodings.
fn oddities(root: &Path, storage: &Path) -> std::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    symlink("catalog/products", root.join("image/latest"))?;
    symlink("../../shop-storage/download", root.join("downloads"))?;
    fs::hard_link(root.join("image/catalog/maker-1.png"), root.join("image/catalog/maker-one.png"))?;
    fs::create_dir_all(root.join("image/catalog/empty folder"))?;
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"image/catalog/gr\xfcn.jpg")), pictures::jpeg(8, 900))?;
    for path in [root.join("config.php"), root.join("admin/config.php")] {
        fs::set_permissions(path, Permissions::from_mode(0o640))?;
    }
    fs::set_permissions(storage, Permissions::from_mode(0o750))?;
    fs::set_permissions(storage.join("upload"), Permissions::from_mode(0o2770))
}
