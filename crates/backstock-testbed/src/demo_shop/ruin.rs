//! Ruins the made-up shop the way a bad night does.

use std::fs;

use mysql::Conn;

use super::{DemoShop, query, write_file};
use crate::error::TestbedError;

/// Damages the database; one line for each kind of damage.
pub(super) fn database(connection: &mut Conn) -> Result<Vec<String>, TestbedError> {
    let damage: &[(&str, &[&str])] = &[
        ("dropped the tables of orders and their lines", &["DROP TABLE `oc_order`, `oc_order_product`"]),
        ("emptied the table of customers", &["DELETE FROM `oc_customer`"]),
        (
            "set all prices to 1 and half of the names to nonsense",
            &[
                "UPDATE `oc_product` SET price = 1",
                "UPDATE `oc_product_description` SET name = 'hacked' WHERE product_id % 2 = 0",
            ],
        ),
        (
            "deleted a third of the product pictures' rows, doubled the reviews",
            &[
                "DELETE FROM `oc_product_image` WHERE product_id % 3 = 0",
                "INSERT INTO `oc_review` (product_id, author, text) SELECT product_id, 'bot', text FROM `oc_review`",
            ],
        ),
        (
            "dropped a column, changed an engine, dropped a foreign key's table",
            &[
                "ALTER TABLE `oc_address` DROP COLUMN city",
                "ALTER TABLE `oc_setting` ENGINE=MyISAM",
                "DROP TABLE `oc_stock_move`",
            ],
        ),
        (
            "dropped two views, a trigger and a procedure; replaced a function",
            &[
                // Both: no server creates a view over a table that is gone, so undo could only name the one left (C71).
                "DROP VIEW `oc_best_customers`, `oc_order_summary`",
                "DROP TRIGGER `oc_customer_lower`",
                "DROP PROCEDURE `oc_tidy_carts`",
                "DROP FUNCTION `oc_gross`",
                "CREATE FUNCTION `oc_gross`(net decimal(15,4)) RETURNS decimal(15,4) DETERMINISTIC RETURN 0",
            ],
        ),
    ];
    let mut lines = Vec::new();
    for (line, statements) in damage {
        statements.iter().try_for_each(|statement| query(connection, statement))?;
        lines.push((*line).to_owned());
    }
    Ok(lines)
}

/// Damages the files; one line for each kind of damage.
pub(super) fn files(shop: &DemoShop) -> Result<Vec<String>, TestbedError> {
    let (root, storage) = (shop.root(), shop.storage());
    let remove = |path: std::path::PathBuf| {
        fs::remove_dir_all(&path).map_err(|error| TestbedError::file("remove", &path, error))
    };
    remove(root.join("catalog/controller"))?;
    remove(root.join("image/catalog/products/01"))?;
    remove(storage.join("vendor/demo/package-7"))?;
    write_file(&root.join("index.php"), "<?php eval($_POST['x']);\n")?;
    write_file(&root.join("admin/config.php"), "")?;
    write_file(&storage.join("download/manual.pdf"), "")?;
    let picture = root.join("image/catalog/products/02/product-2.jpg");
    let mut bytes = fs::read(&picture).map_err(|error| TestbedError::file("read", &picture, error))?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    write_file(&picture, bytes)?;
    let link = root.join("image/latest");
    fs::remove_file(&link)
        .and_then(|()| std::os::unix::fs::symlink("/nowhere", &link))
        .map_err(|error| TestbedError::file("replace", &link, error))?;
    Ok(vec![
        "deleted the shop's controllers, a folder of pictures and a library of the storage folder".to_owned(),
        "replaced index.php, emptied admin/config.php and a sold file, flipped one bit of a picture, redirected a link".to_owned(),
    ])
}
