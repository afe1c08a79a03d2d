//! The tables of the made-up shop, and what extensions add: views, triggers, a function, a procedure, an event.

use mysql::Conn;

use super::{PREFIX, query};
use crate::error::TestbedError;

/// Name and columns of each table, as OpenCart 4 lays them out, less what the demo has no use for.
const TABLES: &[(&str, &str)] = &[
    (
        "language",
        "language_id int NOT NULL AUTO_INCREMENT, name varchar(32), code varchar(5), locale varchar(255), sort_order int(3) DEFAULT 0, status tinyint(1), PRIMARY KEY (language_id), KEY name (name)",
    ),
    (
        "setting",
        "setting_id int NOT NULL AUTO_INCREMENT, store_id int DEFAULT 0, code varchar(128), `key` varchar(128), value text, serialized tinyint(1) DEFAULT 0, PRIMARY KEY (setting_id)",
    ),
    (
        "store",
        "store_id int NOT NULL AUTO_INCREMENT, name varchar(64), url varchar(255), PRIMARY KEY (store_id)",
    ),
    (
        "category",
        "category_id int NOT NULL AUTO_INCREMENT, image varchar(255), parent_id int DEFAULT 0, sort_order int(3) DEFAULT 0, status tinyint(1) DEFAULT 0, PRIMARY KEY (category_id), KEY parent_id (parent_id)",
    ),
    (
        "category_description",
        "category_id int NOT NULL, language_id int NOT NULL, name varchar(255), description text, meta_title varchar(255), PRIMARY KEY (category_id, language_id), KEY name (name)",
    ),
    (
        "category_path",
        "category_id int NOT NULL, path_id int NOT NULL, level int, PRIMARY KEY (category_id, path_id)",
    ),
    (
        "manufacturer",
        "manufacturer_id int NOT NULL AUTO_INCREMENT, name varchar(64), image varchar(255), sort_order int(3), PRIMARY KEY (manufacturer_id)",
    ),
    (
        "attribute",
        "attribute_id int NOT NULL AUTO_INCREMENT, attribute_group_id int, sort_order int(3), PRIMARY KEY (attribute_id)",
    ),
    (
        "attribute_description",
        "attribute_id int NOT NULL, language_id int NOT NULL, name varchar(64), PRIMARY KEY (attribute_id, language_id)",
    ),
    (
        "option",
        "option_id int NOT NULL AUTO_INCREMENT, type varchar(32), sort_order int(3), PRIMARY KEY (option_id)",
    ),
    (
        "option_description",
        "option_id int NOT NULL, language_id int NOT NULL, name varchar(128), PRIMARY KEY (option_id, language_id)",
    ),
    (
        "option_value",
        "option_value_id int NOT NULL AUTO_INCREMENT, option_id int, image varchar(255), sort_order int(3), PRIMARY KEY (option_value_id)",
    ),
    (
        "product",
        "product_id int NOT NULL AUTO_INCREMENT, master_id int DEFAULT 0, model varchar(64), sku varchar(64), location varchar(128), variant text, override text, quantity int(4) DEFAULT 0, stock_status_id int, image varchar(255), manufacturer_id int, price decimal(15,4) DEFAULT 0.0000, points int(8) DEFAULT 0, date_available date DEFAULT '0000-00-00', weight decimal(15,8) DEFAULT 0.00000000, status tinyint(1) DEFAULT 0, date_added datetime, date_modified datetime, PRIMARY KEY (product_id), KEY model (model), KEY manufacturer_id (manufacturer_id)",
    ),
    (
        "product_description",
        "product_id int NOT NULL, language_id int NOT NULL, name varchar(255), description mediumtext, tag text, meta_title varchar(255), PRIMARY KEY (product_id, language_id), KEY name (name), FULLTEXT KEY description (description)",
    ),
    (
        "product_attribute",
        "product_id int NOT NULL, attribute_id int NOT NULL, language_id int NOT NULL, text text, PRIMARY KEY (product_id, attribute_id, language_id)",
    ),
    (
        "product_image",
        "product_image_id int NOT NULL AUTO_INCREMENT, product_id int, image varchar(255), sort_order int(3), PRIMARY KEY (product_image_id), KEY product_id (product_id)",
    ),
    (
        "product_option",
        "product_option_id int NOT NULL AUTO_INCREMENT, product_id int, option_id int, value text, required tinyint(1), PRIMARY KEY (product_option_id)",
    ),
    (
        "product_option_value",
        "product_option_value_id int NOT NULL AUTO_INCREMENT, product_option_id int, product_id int, option_id int, option_value_id int, quantity int(3), price decimal(15,4), price_prefix varchar(1), PRIMARY KEY (product_option_value_id)",
    ),
    (
        "product_to_category",
        "product_id int NOT NULL, category_id int NOT NULL, PRIMARY KEY (product_id, category_id), KEY category_id (category_id)",
    ),
    (
        "product_related",
        "product_id int NOT NULL, related_id int NOT NULL, PRIMARY KEY (product_id, related_id)",
    ),
    ("product_viewed", "product_id int NOT NULL, viewed int, PRIMARY KEY (product_id)"),
    (
        "review",
        "review_id int NOT NULL AUTO_INCREMENT, product_id int, customer_id int, author varchar(64), text text, rating int(1), status tinyint(1), date_added datetime, PRIMARY KEY (review_id), KEY product_id (product_id)",
    ),
    (
        "seo_url",
        "seo_url_id int NOT NULL AUTO_INCREMENT, store_id int DEFAULT 0, language_id int, `key` varchar(64), value varchar(255), keyword varchar(768), sort_order int(3) DEFAULT 0, PRIMARY KEY (seo_url_id), KEY keyword (keyword), KEY query (`key`, value)",
    ),
    (
        "customer_group",
        "customer_group_id int NOT NULL AUTO_INCREMENT, approval int(1), sort_order int(3), PRIMARY KEY (customer_group_id)",
    ),
    (
        "customer",
        "customer_id int NOT NULL AUTO_INCREMENT, customer_group_id int, store_id int DEFAULT 0, language_id int, firstname varchar(32), lastname varchar(32), email varchar(96), telephone varchar(32), password varchar(255), custom_field text, newsletter tinyint(1) DEFAULT 0, ip varchar(40), status tinyint(1), token text, date_added datetime, PRIMARY KEY (customer_id), KEY email (email)",
    ),
    (
        "address",
        "address_id int NOT NULL AUTO_INCREMENT, customer_id int, firstname varchar(32), lastname varchar(32), company varchar(60), address_1 varchar(128), city varchar(128), postcode varchar(10), country_id int DEFAULT 0, custom_field text, `default` tinyint(1), PRIMARY KEY (address_id), KEY customer_id (customer_id)",
    ),
    (
        "customer_activity",
        "customer_activity_id int NOT NULL AUTO_INCREMENT, customer_id int, `key` varchar(64), data text, ip varchar(40), date_added datetime, PRIMARY KEY (customer_activity_id)",
    ),
    (
        "customer_online",
        "ip varchar(40) NOT NULL, customer_id int, url text, referer text, date_added datetime, PRIMARY KEY (ip)",
    ),
    (
        "order",
        "order_id int NOT NULL AUTO_INCREMENT, invoice_no int DEFAULT 0, invoice_prefix varchar(26), store_id int DEFAULT 0, store_name varchar(64), store_url varchar(255), customer_id int, firstname varchar(32), lastname varchar(32), email varchar(96), telephone varchar(32), custom_field text, payment_city varchar(128), payment_method text, shipping_city varchar(128), shipping_method text, comment text, total decimal(15,4), order_status_id int, language_id int, currency_code varchar(3), currency_value decimal(15,8) DEFAULT 1.00000000, ip varchar(40), user_agent varchar(255), date_added datetime, date_modified datetime, PRIMARY KEY (order_id), KEY customer_id (customer_id), KEY email (email)",
    ),
    (
        "order_product",
        "order_product_id int NOT NULL AUTO_INCREMENT, order_id int, product_id int, name varchar(255), model varchar(64), quantity int(4), price decimal(15,4), total decimal(15,4), tax decimal(15,4), reward int(8), PRIMARY KEY (order_product_id), KEY order_id (order_id)",
    ),
    (
        "order_history",
        "order_history_id int NOT NULL AUTO_INCREMENT, order_id int, order_status_id int, notify tinyint(1), comment text, date_added datetime, PRIMARY KEY (order_history_id), KEY order_id (order_id)",
    ),
    (
        "order_total",
        "order_total_id int NOT NULL AUTO_INCREMENT, order_id int, extension varchar(255), code varchar(32), title varchar(255), value decimal(15,4), sort_order int(3), PRIMARY KEY (order_total_id), KEY order_id (order_id)",
    ),
    (
        "cart",
        "cart_id int NOT NULL AUTO_INCREMENT, api_id int DEFAULT 0, customer_id int, session_id varchar(32), product_id int, `option` text, quantity int(5), date_added datetime, PRIMARY KEY (cart_id), KEY cart_id (customer_id, session_id, product_id)",
    ),
    (
        "session",
        "session_id varchar(32) NOT NULL, data text, expire datetime, PRIMARY KEY (session_id), KEY expire (expire)",
    ),
    (
        "statistics",
        "statistics_id int NOT NULL AUTO_INCREMENT, code varchar(64), value decimal(15,4), PRIMARY KEY (statistics_id)",
    ),
    (
        "user",
        "user_id int NOT NULL AUTO_INCREMENT, username varchar(20), password varchar(255), email varchar(96), status tinyint(1), PRIMARY KEY (user_id)",
    ),
    (
        "user_login",
        "user_login_id int NOT NULL AUTO_INCREMENT, user_id int, ip varchar(40), date_added datetime, PRIMARY KEY (user_login_id)",
    ),
    (
        "extension",
        "extension_id int NOT NULL AUTO_INCREMENT, extension varchar(255), type varchar(32), code varchar(128), PRIMARY KEY (extension_id)",
    ),
    (
        "module",
        "module_id int NOT NULL AUTO_INCREMENT, name varchar(64), code varchar(64), setting text, PRIMARY KEY (module_id)",
    ),
    (
        "event",
        "event_id int NOT NULL AUTO_INCREMENT, code varchar(128), `trigger` text, action text, status tinyint(1), sort_order int(3), PRIMARY KEY (event_id)",
    ),
];

/// What an extension for stock and returns adds: foreign keys, other engines and character sets, generated columns.
const EXTENSION_TABLES: &[&str] = &[
    "CREATE TABLE `oc_stock_place` (place_id int NOT NULL AUTO_INCREMENT, name varchar(40) NOT NULL, parent_id int NULL, PRIMARY KEY (place_id), CONSTRAINT stock_place_parent FOREIGN KEY (parent_id) REFERENCES oc_stock_place (place_id)) ENGINE=InnoDB",
    "CREATE TABLE `oc_stock_move` (move_id bigint unsigned NOT NULL AUTO_INCREMENT, place_id int NOT NULL, product_id int NOT NULL, moved double NOT NULL, weight_kg float, label enum('in','out','') NOT NULL, flags set('a','b','c') NOT NULL, code binary(8), raw varbinary(64), moved_at timestamp(3) NOT NULL DEFAULT current_timestamp(3), twice double GENERATED ALWAYS AS (moved * 2) STORED, PRIMARY KEY (move_id), KEY (product_id), CONSTRAINT stock_move_place FOREIGN KEY (place_id) REFERENCES oc_stock_place (place_id) ON DELETE CASCADE) ENGINE=InnoDB",
    "CREATE TABLE `oc_import_log` (line varchar(200) CHARACTER SET latin1, at datetime) ENGINE=MyISAM DEFAULT CHARSET=latin1",
    "CREATE TABLE `oc_order_audit` (audit_id int NOT NULL AUTO_INCREMENT, order_id int, was int, became int, PRIMARY KEY (audit_id)) ENGINE=InnoDB",
];

/// What runs inside the database.
const PROGRAMS: &[&str] = &[
    "CREATE VIEW `oc_order_summary` AS SELECT o.order_id, o.email, COUNT(p.order_product_id) AS lines_of_order, SUM(p.total) AS total FROM `oc_order` o LEFT JOIN `oc_order_product` p ON p.order_id = o.order_id GROUP BY o.order_id, o.email",
    "CREATE VIEW `oc_best_customers` AS SELECT email, SUM(total) AS spent FROM `oc_order_summary` GROUP BY email HAVING SUM(total) > 100",
    "CREATE TRIGGER `oc_order_status_audit` AFTER UPDATE ON `oc_order` FOR EACH ROW BEGIN -- who changed what; kept for ever\n IF NEW.order_status_id <> OLD.order_status_id THEN INSERT INTO `oc_order_audit` (order_id, was, became) VALUES (NEW.order_id, OLD.order_status_id, NEW.order_status_id); END IF; END",
    "CREATE TRIGGER `oc_customer_lower` BEFORE INSERT ON `oc_customer` FOR EACH ROW SET NEW.email = LOWER(NEW.email)",
    "CREATE FUNCTION `oc_gross`(net decimal(15,4)) RETURNS decimal(15,4) DETERMINISTIC COMMENT 'price with 20 % tax' RETURN net * 1.2",
    "CREATE PROCEDURE `oc_tidy_carts`(IN days int) MODIFIES SQL DATA BEGIN DELETE FROM `oc_cart` WHERE date_added < NOW() - INTERVAL days DAY; END",
    "CREATE EVENT `oc_nightly` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:30:00' ON COMPLETION PRESERVE DISABLE COMMENT 'clears old carts' DO CALL `oc_tidy_carts`(30)",
];

/// Creates all tables.
pub(super) fn create(connection: &mut Conn) -> Result<(), TestbedError> {
    // As the shop's own code does: dates of zero are part of its schema.
    query(connection, "SET SESSION sql_mode='NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'")?;
    for (name, columns) in TABLES {
        query(
            connection,
            &format!(
                "CREATE TABLE `{PREFIX}{name}` ({columns}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci"
            ),
        )?;
    }
    EXTENSION_TABLES.iter().try_for_each(|statement| query(connection, statement))
}

/// Creates views, triggers, routines and the event, after the rows.
pub(super) fn create_programs(connection: &mut Conn) -> Result<(), TestbedError> {
    query(connection, "SET time_zone='+00:00'")?;
    PROGRAMS.iter().try_for_each(|statement| query(connection, statement))
}
