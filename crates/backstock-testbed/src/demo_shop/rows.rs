//! Fills the tables of the made-up shop with rows, many to a statement.

use mysql::Conn;

use super::words::{CITIES, FIRST_NAMES, LANGUAGES, LAST_NAMES, MATERIALS, SENTENCES, THINGS};
use super::{Choices, PREFIX, query};
use crate::error::TestbedError;

/// Rows to a statement: large enough to be fast, small enough for any `max_allowed_packet`.
const ROWS_PER_STATEMENT: usize = 400;
/// Products to a category.
const PRODUCTS_PER_CATEGORY: u32 = 40;

/// Rows on their way into one table.
struct Batch<'a> {
    connection: &'a mut Conn,
    head: String,
    rows: Vec<String>,
}

impl<'a> Batch<'a> {
    fn new(connection: &'a mut Conn, table: &str, columns: &str) -> Self {
        let head = format!("INSERT INTO `{PREFIX}{table}` ({columns}) VALUES ");
        Self { connection, head, rows: Vec::with_capacity(ROWS_PER_STATEMENT) }
    }

    fn push(&mut self, row: String) -> Result<(), TestbedError> {
        self.rows.push(row);
        if self.rows.len() >= ROWS_PER_STATEMENT { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TestbedError> {
        if !self.rows.is_empty() {
            query(self.connection, &format!("{}{}", self.head, self.rows.join(",")))?;
            self.rows.clear();
        }
        Ok(())
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A day within the last years, at some second.
pub(super) fn day(choices: &mut Choices) -> String {
    format!(
        "'20{:02}-{:02}-{:02} {:02}:{:02}:{:02}'",
        20 + choices.below(6),
        1 + choices.below(12),
        1 + choices.below(28),
        choices.below(24),
        choices.below(60),
        choices.below(60)
    )
}

pub(super) fn price(choices: &mut Choices) -> String {
    format!("{}.{:02}00", 1 + choices.below(900), choices.below(100))
}

/// Fills all tables.
pub(super) fn fill(connection: &mut Conn, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    query(connection, "SET autocommit=0")?;
    query(connection, "SET time_zone='+00:00'")?;
    settings(connection)?;
    categories(connection, products, choices)?;
    catalogue(connection, products, choices)?;
    descriptions(connection, products, choices)?;
    customers(connection, products / 2 + 5, choices)?;
    orders(connection, products + 5, choices)?;
    visitors(connection, products, choices)?;
    stock(connection, products, choices)?;
    query(connection, "COMMIT")?;
    query(connection, "SET autocommit=1")
}

fn settings(connection: &mut Conn) -> Result<(), TestbedError> {
    let mut batch = Batch::new(connection, "language", "name, code, locale, status");
    for (code, name) in LANGUAGES {
        batch.push(format!("({}, '{code}', '{code}', 1)", quote(name)))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "setting", "store_id, code, `key`, value, serialized");
    for (key, value, serialized) in [
        ("config_maintenance", "0", 0),
        ("config_name", "The Demo \"Shop\" & Söhne", 0),
        ("config_email", "owner@shop.example", 0),
        ("config_seo_url", "1", 0),
        ("config_theme", "basic", 0),
        ("config_encryption", "k3y-that-must-stay", 0),
        ("config_complete_status", "[\"5\",\"3\"]", 1),
        ("config_mail_smtp_password", "no'secret\\really", 0),
    ] {
        batch.push(format!("(0, 'config', '{key}', {}, {serialized})", quote(value)))?;
    }
    batch.flush()?;
    query(
        connection,
        "INSERT INTO `oc_user` (username, password, email, status) VALUES ('admin', '$2y$10$no.such.hash', 'admin@shop.example', 1)",
    )?;
    query(connection, "INSERT INTO `oc_customer_group` (approval, sort_order) VALUES (0, 1), (1, 2)")?;
    query(
        connection,
        "INSERT INTO `oc_store` (name, url) VALUES ('Outlet', 'https://outlet.shop.example/')",
    )?;
    query(
        connection,
        "INSERT INTO `oc_extension` (extension, type, code) VALUES ('opencart', 'payment', 'cod'), ('stock', 'module', 'stock')",
    )?;
    query(
        connection,
        "INSERT INTO `oc_module` (name, code, setting) VALUES ('Front', 'opencart.banner', '{\"banner_id\":\"7\",\"width\":1140}')",
    )?;
    query(
        connection,
        "INSERT INTO `oc_event` (code, `trigger`, action, status) VALUES ('stock', 'catalog/model/checkout/order.addHistory/after', 'extension/stock/event.move', 1)",
    )
}

fn categories(connection: &mut Conn, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    let count = products / PRODUCTS_PER_CATEGORY + 3;
    let mut batch = Batch::new(connection, "category", "category_id, image, parent_id, sort_order, status");
    for id in 1..=count {
        batch.push(format!("({id}, 'catalog/category-{id}.jpg', {}, {}, 1)", id / 4, choices.below(9)))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "category_path", "category_id, path_id, level");
    for id in 1..=count {
        batch.push(format!("({id}, {id}, {})", u32::from(id >= 4)))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(
        connection,
        "category_description",
        "category_id, language_id, name, description, meta_title",
    );
    for id in 1..=count {
        for (language, things) in THINGS.iter().enumerate() {
            let name = format!("{} {id}", things[id as usize % things.len()]);
            batch.push(format!("({id}, {}, {1}, {1}, {1})", language + 1, quote(&name)))?;
        }
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "manufacturer", "name, image, sort_order");
    for id in 0..20 {
        batch.push(format!("('Workshop {id}', 'catalog/maker-{id}.png', {id})"))?;
    }
    batch.flush()?;
    for (table, key) in [("attribute", "attribute_id"), ("option", "option_id")] {
        let column = if table == "attribute" { "attribute_group_id" } else { "type" };
        query(
            connection,
            &format!("INSERT INTO `oc_{table}` ({key}, {column}) VALUES (1, '1'), (2, '2'), (3, '3')"),
        )?;
        for language in 1..=3 {
            query(
                connection,
                &format!(
                    "INSERT INTO `oc_{table}_description` ({key}, language_id, name) VALUES (1, {language}, 'Größe'), (2, {language}, '色'), (3, {language}, 'Weight')"
                ),
            )?;
        }
    }
    query(
        connection,
        "INSERT INTO `oc_option_value` (option_id, image, sort_order) VALUES (1, '', 1), (1, '', 2), (2, '', 1), (2, '', 2)",
    )
}

fn catalogue(connection: &mut Conn, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    let mut batch = Batch::new(
        connection,
        "product",
        "product_id, model, sku, variant, quantity, image, manufacturer_id, price, date_available, weight, status, date_added, date_modified",
    );
    for id in 1..=products {
        let available = if id % 7 == 0 { "'0000-00-00'" } else { "'2023-05-01'" };
        let ending = if id % 5 == 0 { "png" } else { "jpg" };
        batch.push(format!(
            "({id}, 'M-{id:05}', 'SKU{:08X}', '{{}}', {}, 'catalog/products/{:02}/product-{id}.{ending}', {}, {}, {available}, {}.5, 1, {}, {})",
            choices.below(u32::MAX), choices.below(500), id % 50, 1 + choices.below(20), price(choices), choices.below(40), day(choices), day(choices)
        ))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "product_to_category", "product_id, category_id");
    for id in 1..=products {
        batch.push(format!("({id}, {})", 1 + id / PRODUCTS_PER_CATEGORY))?;
        batch.push(format!("({id}, {})", 2 + id / PRODUCTS_PER_CATEGORY))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "product_image", "product_id, image, sort_order");
    for id in 1..=products {
        batch.push(format!("({id}, 'catalog/products/{:02}/product-{id}-side.jpg', 1)", id % 50))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "product_option", "product_id, option_id, value, required");
    for id in (1..=products).step_by(3) {
        batch.push(format!("({id}, {}, '', 1)", 1 + id % 3))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "product_related", "product_id, related_id");
    for id in 2..=products {
        batch.push(format!("({id}, {})", id - 1))?;
    }
    batch.flush()?;
    let mut batch =
        Batch::new(connection, "review", "product_id, customer_id, author, text, rating, status, date_added");
    for _ in 0..products / 3 {
        let text = SENTENCES[choices.below(3) as usize][choices.below(5) as usize];
        batch.push(format!(
            "({}, 0, {}, {}, {}, 1, {})",
            1 + choices.below(products),
            quote(choices.pick(&FIRST_NAMES)),
            quote(text),
            1 + choices.below(5),
            day(choices)
        ))?;
    }
    batch.flush()
}

fn descriptions(connection: &mut Conn, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    let mut texts = Vec::new();
    for id in 1..=products {
        let (material, thing) = (choices.below(6) as usize, choices.below(8) as usize);
        for language in 0..LANGUAGES.len() {
            let name = format!(
                "{}{}{} №{id}",
                MATERIALS[language][material],
                if language == 0 { " " } else { "" },
                THINGS[language][thing]
            );
            // As the shop stores it: escaped on arrival.
            let mut description = String::new();
            for _ in 0..2 + choices.below(6) {
                let sentence = SENTENCES[language][choices.below(5) as usize]
                    .replace('&', "&amp;")
                    .replace('"', "&quot;");
                description += &format!("&lt;p&gt;{sentence}&lt;/p&gt;\r\n");
            }
            texts.push((id, language + 1, name, description));
        }
    }
    let mut batch = Batch::new(
        connection,
        "product_description",
        "product_id, language_id, name, description, tag, meta_title",
    );
    for (id, language, name, description) in &texts {
        batch.push(format!("({id}, {language}, {0}, {1}, '', {0})", quote(name), quote(description)))?;
    }
    batch.flush()?;
    let mut batch =
        Batch::new(connection, "product_attribute", "product_id, attribute_id, language_id, text");
    for (id, language, name, _) in &texts {
        batch.push(format!("({id}, {}, {language}, {})", 1 + id % 3, quote(name)))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "seo_url", "language_id, `key`, value, keyword");
    for (id, language, name, _) in &texts {
        let keyword = name.to_lowercase().replace([' ', '№'], "-");
        batch.push(format!("({language}, 'product_id', '{id}', {})", quote(&keyword)))?;
    }
    batch.flush()
}

fn customers(connection: &mut Conn, customers: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    let mut batch = Batch::new(
        connection,
        "customer",
        "customer_group_id, language_id, firstname, lastname, email, telephone, password, custom_field, newsletter, ip, status, date_added",
    );
    for id in 1..=customers {
        batch.push(format!(
            "(1, {}, {}, {}, 'Customer{id}@mail.example', '+43 660 {id:07}', '{:064x}', '{{\"1\":\"https://mail.example/{id}\"}}', {}, '198.51.100.{}', 1, {})",
            1 + choices.below(3), quote(choices.pick(&FIRST_NAMES)), quote(choices.pick(&LAST_NAMES)), choices.next(), choices.below(2), id % 256, day(choices)
        ))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(
        connection,
        "address",
        "customer_id, firstname, lastname, company, address_1, city, postcode, `default`",
    );
    for id in 1..=customers {
        batch.push(format!(
            "({id}, {}, {}, '', 'Weg {}', {}, '{:05}', 1)",
            quote(choices.pick(&FIRST_NAMES)),
            quote(choices.pick(&LAST_NAMES)),
            choices.below(99),
            quote(choices.pick(&CITIES)),
            choices.below(99_999)
        ))?;
    }
    batch.flush()
}

fn orders(connection: &mut Conn, orders: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    let mut batch = Batch::new(
        connection,
        "order",
        "order_id, store_name, store_url, customer_id, firstname, lastname, email, payment_city, shipping_city, comment, total, order_status_id, language_id, currency_code, ip, user_agent, date_added, date_modified",
    );
    for id in 1..=orders {
        let (first, last, city) =
            (choices.pick(&FIRST_NAMES), choices.pick(&LAST_NAMES), quote(choices.pick(&CITIES)));
        batch.push(format!(
            "({id}, 'The Demo Shop', 'https://shop.example/', {}, {}, {}, 'customer{id}@mail.example', {city}, {city}, {}, {}, {}, {}, 'EUR', '203.0.113.{}', 'Mozilla/5.0', {}, {})",
            1 + choices.below(orders / 2), quote(first), quote(last), quote(SENTENCES[choices.below(3) as usize][choices.below(5) as usize]), price(choices),
            1 + choices.below(5), 1 + choices.below(3), id % 256, day(choices), day(choices)
        ))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(
        connection,
        "order_product",
        "order_id, product_id, name, model, quantity, price, total, tax, reward",
    );
    for id in 1..=orders {
        for _ in 0..1 + choices.below(4) {
            let product = 1 + choices.below(orders);
            batch.push(format!(
                "({id}, {product}, 'Thing №{product}', 'M-{product:05}', {}, {}, {}, 0.2000, 0)",
                1 + choices.below(5),
                price(choices),
                price(choices)
            ))?;
        }
    }
    batch.flush()?;
    let mut batch =
        Batch::new(connection, "order_history", "order_id, order_status_id, notify, comment, date_added");
    for id in 1..=orders {
        for status in 1..=1 + choices.below(3) {
            batch.push(format!(
                "({id}, {status}, 1, {}, {})",
                quote(choices.pick(&SENTENCES[1])),
                day(choices)
            ))?;
        }
    }
    batch.flush()?;
    let mut batch =
        Batch::new(connection, "order_total", "order_id, extension, code, title, value, sort_order");
    for id in 1..=orders {
        for (place, code) in ["sub_total", "tax", "shipping", "total"].iter().enumerate() {
            batch.push(format!("({id}, 'opencart', '{code}', 'Summe', {}, {place})", price(choices)))?;
        }
    }
    batch.flush()
}

/// Sessions, carts and what else comes and goes with visitors.
fn visitors(connection: &mut Conn, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    let mut batch = Batch::new(connection, "session", "session_id, data, expire");
    for id in 0..products {
        batch.push(format!(
            "('{id:08x}{:016x}', '{{\"language\":\"de-de\",\"currency\":\"EUR\",\"n\":\"{:x}\"}}', {})",
            choices.next(),
            choices.next(),
            day(choices)
        ))?;
    }
    batch.flush()?;
    let mut batch =
        Batch::new(connection, "cart", "customer_id, session_id, product_id, `option`, quantity, date_added");
    for _ in 0..products / 4 {
        batch.push(format!(
            "(0, '{:032x}', {}, '[]', 1, {})",
            choices.next(),
            1 + choices.below(products),
            day(choices)
        ))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "product_viewed", "product_id, viewed");
    for id in 1..=products {
        batch.push(format!("({id}, {})", choices.below(5000)))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "customer_activity", "customer_id, `key`, data, ip, date_added");
    for id in 0..products / 2 {
        batch.push(format!("({id}, 'login', '{{}}', '198.51.100.{}', {})", id % 256, day(choices)))?;
    }
    batch.flush()?;
    query(
        connection,
        "INSERT INTO `oc_statistics` (code, value) VALUES ('order_sale', 12345.6700), ('returns', 0)",
    )
}

/// Rows of the extension: raw bytes, floats, enumerations, sub-second times.
fn stock(connection: &mut Conn, products: u32, choices: &mut Choices) -> Result<(), TestbedError> {
    query(
        connection,
        "INSERT INTO `oc_stock_place` (place_id, name, parent_id) VALUES (1, 'Lager', NULL), (2, '棚', 1), (3, 'It''s here', 2)",
    )?;
    let mut batch = Batch::new(
        connection,
        "stock_move",
        "place_id, product_id, moved, weight_kg, label, flags, code, raw, moved_at",
    );
    for id in 1..=products {
        batch.push(format!(
            "({}, {id}, {}e0/3, {}.1, {}, {}, x'{:016X}', x'{:016X}275C0A', '2024-{:02}-{:02} 02:30:00.{:03}')",
            1 + id % 3, choices.below(10_000), choices.below(100), 1 + choices.below(3), choices.below(8), choices.next(), choices.next(),
            1 + choices.below(12), 1 + choices.below(28), choices.below(1000)
        ))?;
    }
    batch.flush()?;
    let mut batch = Batch::new(connection, "import_log", "line, at");
    for id in 0..200 {
        batch.push(format!("(_latin1 x'4CE46E6765203A20{id:02X}', '2024-01-01 00:00:00')"))?;
    }
    batch.flush()
}
